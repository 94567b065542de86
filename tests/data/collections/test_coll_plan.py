"""What a download would take: the rules in numbers."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.large_sets import write_tree_of_life_200m
from syntype.configs.collections import PlanConfig
from syntype.data.collections.download_plan import duration, plan_download, plan_of, plan_table
from syntype.data.collections.read import read_collection
from syntype.data.importing import import_raw

INAT = "inaturalist-open-data.s3.amazonaws.com"


def rows(*addresses: str) -> pa.Table:
    return pa.table({"accessURI": pa.array(addresses, pa.string())})


def test_a_catalogue_is_planned_by_host(tmp_path: Path) -> None:
    written = write_tree_of_life_200m(tmp_path / "set")
    raw = read_collection("tree-of-life-200m", written.root)
    plan = plan_download(import_raw(raw, tmp_path / "catalogue"), PlanConfig())
    assert {host.name: host.n_files for host in plan.hosts} == {
        INAT: 2, "content.eol.org:443": 1, "database.fathomnet.org": 1, "herbarium.example": 1,
    }  # fmt: skip
    assert (plan.n_files, plan.n_without, plan.n_broken, plan.n_here) == (5, 1, 1, 0)
    assert plan.hosts[0].name == INAT
    title, columns, table = plan_table(plan)
    assert "computed" in title
    assert "a guess" in title
    assert all(len(row) == len(columns) for row in table)
    assert table[-1][:2] == ("all 4 hosts", "5")


def test_the_rules_one_by_one() -> None:
    table = rows(*[f"https://slow.example/{n}" for n in range(1000)])
    base = {"gigabytes_per_day": 0.0, "seconds": 0.1, "megabytes_per_second": 1e6}
    by_rate = plan_of([table], PlanConfig(rate=5.0, per_host=100, parallel=999, **base))
    assert by_rate.seconds == pytest.approx(200)
    assert by_rate.limit == "the host slow.example"
    by_turns = plan_of([table], PlanConfig(rate=1e6, per_host=2, parallel=999, **base))
    assert by_turns.seconds == pytest.approx(50)
    at_a_time = plan_of([table], PlanConfig(rate=1e6, per_host=999, parallel=1, **base))
    assert (at_a_time.seconds, at_a_time.limit) == (pytest.approx(100), "files at a time")
    slow = base | {"megabytes_per_second": 2.0}
    by_bytes = plan_of([table], PlanConfig(rate=1e6, per_host=999, kilobytes=1000.0, **slow))
    assert (by_bytes.seconds, by_bytes.limit) == (pytest.approx(500), "the connection")


def test_inaturalist_is_asked_for_so_many_bytes_a_day() -> None:
    table = rows(*[f"https://static.inaturalist.org/{n}.jpg" for n in range(48)])
    config = PlanConfig(kilobytes=1e6, gigabytes_per_day=24.0, megabytes_per_second=1e6)
    plan = plan_of([table], config)
    assert plan.seconds == pytest.approx(2 * 86_400)
    assert plan_of([table], PlanConfig(kilobytes=1e6, gigabytes_per_day=0.0)).seconds < 86_400
    bucket = rows(*[f"https://{INAT}/photos/{n}/original.jpg" for n in range(48)])
    assert plan_of([bucket], config).seconds < 86_400


hosts = st.sampled_from(["a.example", "B.example:80", "c.example", INAT])
some = st.lists(hosts.map(lambda host: f"http://u:p@{host}/x"), max_size=30)


@given(st.lists(some, max_size=4))
def test_batches_do_not_matter_and_nothing_is_lost(batches: list[list[str]]) -> None:
    config = PlanConfig()
    apart = plan_of([rows(*batch) for batch in batches], config)
    together = plan_of([rows(*(one for batch in batches for one in batch))], config)
    assert apart == together
    assert apart.n_files == sum(map(len, batches))
    assert all(host.seconds <= apart.seconds for host in apart.hosts)


def test_rows_that_are_here_or_have_no_address_are_counted_apart() -> None:
    table = pa.table(
        {
            "accessURI": ["https://a.example/1", "https://a.example/2", "", "file:///x", "https:/"],
            "image": ["here.jpg", "", "", "", ""],
        }
    )
    plan = plan_of([table], PlanConfig())
    assert (plan.n_here, plan.n_files, plan.n_without, plan.n_broken) == (1, 1, 1, 2)


def test_many_hosts_are_one_row() -> None:
    plan = plan_of([rows(*[f"https://h{n}.example/x" for n in range(30)])], PlanConfig())
    _, _, table = plan_table(plan)
    assert table[-2][0] == "18 more hosts"
    assert len(table) == 14


def test_nothing_to_fetch() -> None:
    plan = plan_of([rows()], PlanConfig())
    assert (plan.n_files, plan.seconds) == (0, 0)
    assert plan_table(plan)[2][-1][0] == "all 0 hosts"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.0, "5 s"), (180.0, "3 min"), (18_720.0, "5.2 h"), (86_400.0 * 1205, "1,205 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
