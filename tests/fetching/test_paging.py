"""A query's pages come whole, once, and go on where they stopped, whatever the service does."""

import itertools
import json
import random
import signal
import subprocess
import sys
import time

import pytest

from fakes.occurrence_api import (
    FAULTS,
    MATCH,
    UUID,
    Api,
    gbif_record,
    idigbio_medium,
    idigbio_record,
)
from syntype.configs import FetchConfig
from syntype.data.occurrences.load import read_occurrences
from syntype.errors import DataNotFoundError, IncompleteError, UsageError
from syntype.fetching import gbif_api, idigbio_api
from syntype.fetching.gbif_api import get_gbif
from syntype.fetching.idigbio_api import get_idigbio
from syntype.fetching.paging import polite
from syntype.fetching.transfer import Patience

HASTY = Patience(silence=5.0, window=0.2, least=1, first=0.001, longest=0.01)
CONFIG = FetchConfig(rate=10_000.0, tries=20)


@pytest.fixture(autouse=True)
def in_haste(monkeypatch):
    """Pages are small and nobody waits between them; the double is ours."""
    for module in (gbif_api, idigbio_api):
        monkeypatch.setattr(module, "RATE", 10_000.0)
        monkeypatch.setattr(module, "PAGE", 10)


def puma(n=35, **options):
    return Api([gbif_record(key) for key in range(1, n + 1)], {"Puma concolor": MATCH}, **options)


def keys_in(folder):
    return [
        one["key"]
        for path in sorted(folder.glob("page-*.json"))
        for one in json.loads(path.read_text())["results"]
    ]


def ask(api, folder, text="Puma concolor", **options):
    with api.running() as address:
        return get_gbif(text, folder, CONFIG, api=f"{address}/v1", patience=HASTY, **options)


def test_all_pages_come_and_only_once(tmp_path):
    api = puma()
    found = ask(api, tmp_path)
    assert (found.n_records, found.n_pages, found.n_new, found.total) == (35, 4, 4, 35)
    assert keys_in(tmp_path) == list(range(1, 36))
    assert not found.moved
    n_asked = len(api.asked)
    again = ask(api, tmp_path)
    assert (again.n_records, again.n_new, len(api.asked)) == (35, 0, n_asked)
    assert not list(tmp_path.rglob("*.part*"))
    assert all(agent.startswith("syntype/") for agent in api.agents)


def test_the_name_is_looked_up_and_pictures_are_asked_for(tmp_path):
    api = puma(3)
    ask(api, tmp_path, "Puma concolor&country=US")
    path, given, _ = api.asked[0]
    assert (path, given["name"]) == ("/v1/species/match", "Puma concolor")
    path, given, _ = api.asked[1]
    assert path == "/v1/occurrence/search"
    wanted = {"taxonKey": "2435099", "country": "US", "mediaType": "StillImage"}
    assert given == wanted | {"limit": "10", "offset": "0"}
    source = json.loads((tmp_path / ".fetch" / "source.json").read_text())
    assert "taxon_key=2435099" in source["page"]


def test_a_name_that_gbif_takes_for_its_genus_is_refused(tmp_path):
    api = puma(3)
    near = {"matchType": "HIGHERRANK", "usageKey": 2435098, "scientificName": "Puma Jardine"}
    api.taxa["Puma imaginaria"] = near
    with pytest.raises(DataNotFoundError, match="Puma Jardine"):
        ask(api, tmp_path, "Puma imaginaria")
    with pytest.raises(DataNotFoundError, match="taxonKey=NUMBER"):
        ask(api, tmp_path, "Felis nemo")
    assert not list(tmp_path.glob("page-*"))


@pytest.mark.parametrize("seed", range(12))
def test_no_schedule_of_faults_changes_what_comes(tmp_path, seed):
    draw = random.Random(seed)
    api = puma(faults=draw.choices([*FAULTS, ""], k=15))
    found = ask(api, tmp_path)
    assert keys_in(tmp_path) == list(range(1, 36))
    assert found.n_records == 35
    assert not list(tmp_path.rglob("coming-*"))


def test_a_query_goes_on_where_it_was_stopped(tmp_path):
    api = puma()
    api.faults = ["", "", "", *["error"] * 30]
    with pytest.raises(IncompleteError, match=r"2 pages with 20 records.*goes on from there"):
        ask(api, tmp_path)
    assert keys_in(tmp_path) == list(range(1, 21))
    api.faults, n_asked = [], len(api.asked)
    found = ask(api, tmp_path)
    assert (found.n_records, found.n_new) == (35, 2)
    assert [given["offset"] for _, given, _ in api.asked[n_asked:]] == ["20", "30"]


def test_a_page_that_a_kill_has_cut_is_asked_for_again(tmp_path):
    api = puma()
    ask(api, tmp_path)
    path = tmp_path / "page-000001.json"
    path.write_text(path.read_text()[:100])
    assert ask(api, tmp_path).n_new == 1
    assert keys_in(tmp_path) == list(range(1, 36))


def test_a_limit_is_kept_to_and_can_be_raised(tmp_path):
    api = puma()
    assert ask(api, tmp_path, limit=15).n_records == 15
    assert api.asked[-1][1]["limit"] == "5"
    more = ask(api, tmp_path, limit=25)
    assert (more.n_records, more.n_new) == (25, 2)  # the full page stays, the half one does not
    assert keys_in(tmp_path) == list(range(1, 26))
    less = ask(api, tmp_path, limit=5)
    assert less.n_records == 5


def test_what_is_too_much_for_the_search_is_sent_to_the_downloads(tmp_path, monkeypatch):
    monkeypatch.setattr(gbif_api, "MOST", 30)
    api = puma()
    with pytest.raises(UsageError, match=r"35 records.*30.*--limit.*Darwin Core Archive"):
        ask(api, tmp_path / "a")
    with pytest.raises(UsageError, match="35 records"):
        ask(api, tmp_path / "b", limit=35)
    assert ask(api, tmp_path / "c", limit=30).n_records == 30


def test_a_total_that_moves_is_told(tmp_path):
    found = ask(puma(moves=1), tmp_path)
    assert found.moved
    assert found.n_records == 35
    source = json.loads((tmp_path / ".fetch" / "source.json").read_text())
    assert source["totalMoved"] is True


def test_a_folder_holds_the_answer_to_one_query(tmp_path):
    api = puma()
    ask(api, tmp_path)
    with pytest.raises(UsageError, match="another query"):
        ask(api, tmp_path, "Puma concolor&country=CL")


def test_what_will_never_come_is_not_asked_for_again(tmp_path):
    with pytest.raises(IncompleteError, match="404"):
        api = Api()
        with api.running() as address:
            get_gbif("taxonKey=1", tmp_path, CONFIG, api=f"{address}/v7", patience=HASTY)
    assert len(api.asked) == 1


def test_a_service_that_wants_to_be_left_alone_for_long_is(tmp_path):
    api = puma(faults=["", "busy"])
    impatient = Patience(first=0.001, longest=0.01, rest=-1.0)
    with api.running() as address, pytest.raises(IncompleteError, match="left alone"):
        get_gbif("Puma concolor", tmp_path, CONFIG, api=f"{address}/v1", patience=impatient)


def test_one_thing_at_a_time_and_never_faster_than_is_polite():
    config = polite(FetchConfig(parallel=8, per_host=4, rate=10.0), 2.0)
    assert (config.parallel, config.per_host, config.rate) == (1, 1, 2.0)
    assert polite(FetchConfig(rate=0.5), 2.0).rate == 0.5


def test_pages_are_asked_for_at_the_rate(tmp_path, monkeypatch):
    monkeypatch.setattr(gbif_api, "RATE", 20.0)
    api = puma()
    ask(api, tmp_path)
    times = [when for path, _, when in api.asked if path.endswith("search")]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) > 0.04


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("Puma concolor", "Puma concolor", {}),
        ("Puma concolor&country=US", "Puma concolor", {"country": "US"}),
        ("taxonKey=5&mediaType=Sound", "", {"taxonKey": "5", "mediaType": "Sound"}),
        ("year=1900,2000", "", {"year": "1900,2000"}),
    ],
)
def test_queries_as_users_write_them(text, name, parameters):
    assert gbif_api.parse_query(text) == (name, {"mediaType": "StillImage"} | parameters)


@pytest.mark.parametrize("text", ["", "&", "Puma&Felis", "country="])
def test_queries_that_cannot_be_are_refused(text):
    with pytest.raises(UsageError):
        gbif_api.parse_query(text)


def test_what_came_from_gbif_is_read(tmp_path, monkeypatch):
    api = puma(12, faults=["truncated", "busy"])
    with api.running() as address:
        monkeypatch.setenv("SYNTYPE_GBIF_API", f"{address}/v1/")
        get_gbif("Puma concolor", tmp_path / "puma", CONFIG, patience=HASTY)
    raw = read_occurrences(tmp_path / "puma", work=tmp_path)
    rows = [row for table in raw.tables for row in table.to_pylist()]
    assert len(rows) == 24
    assert raw.card.source.startswith("https://www.gbif.org/occurrence/search")
    for row in rows:
        key, number = row["accessURI"].removesuffix(".jpeg").split("/")[-2:]
        assert row["occurrenceID"].endswith(f"/{key}")
        assert row["creator"] == f"Photographer {key}-{number}"


def specimens():
    """Records of several media in an order that is not theirs; a sound, a medium of nobody here."""
    records = [idigbio_record(n, [100 + 2 * n + 1, 100 + 2 * n]) for n in range(1, 24)]
    media = [idigbio_medium(100 + n, [n // 2]) for n in range(2, 48)]
    return Api(items=records, media=[*media, idigbio_medium(900, [77])])


def test_media_of_idigbio_come_with_their_records(tmp_path, monkeypatch):
    api = specimens()
    api.faults = ["busy", "truncated", "", "cut", "error"]
    with api.running() as address:
        monkeypatch.setenv("SYNTYPE_IDIGBIO_API", f"{address}/v2")
        records, media = get_idigbio("Puma concolor", tmp_path / "a", CONFIG, patience=HASTY)
        n_asked = len(api.asked)
        again = get_idigbio("Puma concolor", tmp_path / "a", CONFIG, patience=HASTY)
        few, of_few = get_idigbio("Puma concolor", tmp_path / "b", CONFIG, limit=5, patience=HASTY)
    assert (records.n_records, records.n_pages, media.n_records) == (23, 3, 46)
    assert [one.n_new for one in again] == [0, 0]
    assert (few.n_records, of_few.n_records) == (5, 10)
    given = api.asked[0][1]
    assert json.loads(given["rq"]) == {"hasImage": True, "scientificname": "puma concolor"}
    assert n_asked < len(api.asked)
    raw = read_occurrences(tmp_path / "a", work=tmp_path)
    rows = [row for table in raw.tables for row in table.to_pylist()]
    assert len(rows) == 46
    assert not raw.left_out
    for row in rows:
        number = int(row["mediaID"][-12:])
        assert row["key"] == UUID.format(number)
        assert row["occurrenceID"].endswith(f":{(number - 100) // 2}")
        assert row["rightsHolder"] == f"Owner {number}"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Puma concolor", {"scientificname": "puma concolor", "hasImage": True}),
        ("genus=puma&hasImage=false", {"genus": "puma", "hasImage": False}),
        ('{"family": "felidae"}', {"family": "felidae", "hasImage": True}),
    ],
)
def test_queries_of_idigbio_as_users_write_them(text, query):
    assert idigbio_api.parse_query(text) == query


@pytest.mark.parametrize("text", ["{", "Puma&Felis", ""])
def test_queries_of_idigbio_that_cannot_be_are_refused(text):
    with pytest.raises(UsageError):
        idigbio_api.parse_query(text)


KILLED = """
import sys
from pathlib import Path
from syntype.configs import FetchConfig
from syntype.fetching import gbif_api
gbif_api.RATE, gbif_api.PAGE = 10_000.0, 10
gbif_api.get_gbif("Puma concolor", Path(sys.argv[1]), FetchConfig(rate=20.0), api=sys.argv[2])
"""


def test_a_query_goes_on_after_a_kill(tmp_path):
    api = puma(300)
    with api.running() as address:
        command = [sys.executable, "-c", KILLED, tmp_path, f"{address}/v1"]
        with subprocess.Popen(command) as process:
            while len(api.asked) < 6:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        n_asked = len(api.asked)
        found = get_gbif("Puma concolor", tmp_path, CONFIG, api=f"{address}/v1", patience=HASTY)
    assert keys_in(tmp_path) == list(range(1, 301))
    assert found.n_new < 30
    # Nothing that was here was asked for again.
    assert len(api.asked) - n_asked == found.n_new
