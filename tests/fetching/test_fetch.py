"""Files come whole and as published, whatever goes wrong, and what will not come is named."""

import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.fault_server import FAULTS, LIES, Site
from syntype.configs import FetchConfig
from syntype.errors import IncompleteError, ResourceError, UsageError
from syntype.fetching import fetch as fetching
from syntype.fetching.fetch import fetch
from syntype.fetching.transfer import Patience
from syntype.fetching.wanted import Wanted

# As little patience as a test on a busy machine can have.
HASTY = Patience(silence=5.0, window=0.2, least=200, first=0.001, longest=0.01, spoils=99)
CONFIG = FetchConfig(parallel=8, per_host=4, rate=10_000.0, tries=50)


def content_of(n, seed=0):
    return random.Random(seed).randbytes(n)


def digest(content, kind="sha256"):
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


def listed(site, address, *, digests=True, sizes=True):
    return [
        Wanted(
            url=address + path,
            path=path[1:],
            size=len(content) if sizes else None,
            digest=digest(content) if digests else "",
        )
        for path, content in site.files.items()
    ]


def check(folder, site):
    """Every byte is right, and nothing but the files and their books is left."""
    for path, content in site.files.items():
        assert (folder / path[1:]).read_bytes() == content
    assert not list(folder.rglob("*.part*"))


@pytest.mark.parametrize("seed", range(100))
def test_every_byte_is_right_after_random_faults(tmp_path, seed):
    draw = random.Random(seed)
    sizes = [draw.choice([0, 1, 700, 30_000, 200_000]) for _ in range(6)]
    files = {f"/a/{n}.bin": content_of(size, seed * 10 + n) for n, size in enumerate(sizes)}
    marks = draw.choice(["etag", "weak", "date", "none"])
    site = Site(files, marks=marks, seed=seed)
    for path in files:
        site.faults[path] = draw.choices(FAULTS, k=draw.randrange(6))
    with site.running() as address:
        found = fetch(listed(site, address), tmp_path, CONFIG, patience=HASTY)
        check(tmp_path, site)
        assert (found.n_files, found.n_new, found.n_bytes) == (6, 6, sum(sizes))
        n_asked = len(site.asked)
        again = fetch(listed(site, address), tmp_path, CONFIG, patience=HASTY)
    assert again.n_new == 0
    assert len(site.asked) == n_asked


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in LIES])
def test_honest_servers_need_no_published_size_or_hash(tmp_path, fault):
    site = Site({"/x.bin": content_of(50_000)})
    site.faults["/x.bin"] = ["cut", fault, "cut", fault]
    with site.running() as address:
        fetch(listed(site, address, digests=False, sizes=False), tmp_path, CONFIG, patience=HASTY)
    check(tmp_path, site)


def test_the_rest_is_asked_for_and_not_all_again(tmp_path):
    site = Site({"/x.bin": content_of(400_000)}, seed=3)
    site.faults["/x.bin"] = ["cut"] * 5
    with site.running() as address:
        fetch(listed(site, address), tmp_path, CONFIG, patience=HASTY)
    check(tmp_path, site)
    starts = [start for _, start, _ in site.asked]
    assert starts == sorted(starts)
    assert starts[-1] > 0
    assert site.served["/x.bin"] == 400_000


@pytest.mark.parametrize("marks", ["etag", "date", "weak", "none"])
def test_parts_of_two_versions_are_never_joined(tmp_path, monkeypatch, marks):
    """Without a hash to tell, only the server's mark can; where it has none all is asked anew."""
    site = Site({"/x.bin": content_of(100_000, 1)}, marks=marks, seed=1)
    site.faults["/x.bin"] = ["cut", "new-version"]
    original = fetching.attempt

    def attempt(*arguments):
        outcome = original(*arguments)
        site.files["/x.bin"] = content_of(100_000, 2)
        return outcome

    monkeypatch.setattr(fetching, "attempt", attempt)
    with site.running() as address:
        wanted = [Wanted(url=f"{address}/x.bin", path="x.bin")]
        fetch(wanted, tmp_path, CONFIG, patience=HASTY)
    assert (tmp_path / "x.bin").read_bytes() == content_of(100_000, 2)


def test_a_file_that_fails_holds_up_no_other_and_is_listed(tmp_path):
    site = Site({f"/{n}.bin": content_of(1000, n) for n in range(5)})
    site.forbidden = frozenset(["/3.bin"])
    site.faults["/4.bin"] = ["error"] * 99
    config = FetchConfig(parallel=2, per_host=2, rate=10_000.0, tries=4)
    with site.running() as address:
        wanted = listed(site, address)
        wanted.append(Wanted(url=f"{address}/gone.bin", path="gone.bin"))
        with pytest.raises(IncompleteError) as caught:
            fetch(wanted, tmp_path, config, patience=HASTY)
        for part in ("3 of 6 files", "gone.bin: 404", "not there any more", "3.bin: 401", "token",
                     "4.bin: 500", "4 attempts", "failed.csv"):  # fmt: skip
            assert part in str(caught.value)
        text = (tmp_path / ".fetch" / "failed.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        assert {row["path"] for row in rows} == {"gone.bin", "3.bin", "4.bin"}
        assert sorted(path.name for path in tmp_path.glob("*.bin")) == ["0.bin", "1.bin", "2.bin"]
        # Once the server is well, the same call has only those to do.
        site.forbidden, site.faults["/4.bin"] = frozenset(), []
        site.files["/gone.bin"] = b"back"
        n_before = len(site.asked)
        fetch(wanted, tmp_path, config, patience=HASTY)
        assert {path for path, _, _ in site.asked[n_before:]} == {"/gone.bin", "/3.bin", "/4.bin"}
    assert not (tmp_path / ".fetch" / "failed.csv").exists()


@pytest.mark.parametrize("fault", LIES)
def test_what_is_not_as_published_never_gets_its_name(tmp_path, fault):
    site = Site({"/x.bin": content_of(5000)}, seed=1)
    site.faults["/x.bin"] = [fault] * 9
    patience = Patience(first=0.001, longest=0.01, spoils=2)
    with site.running() as address, pytest.raises(IncompleteError, match=r"published.*2 times"):
        fetch(listed(site, address), tmp_path, CONFIG, patience=patience)
    assert not list(tmp_path.glob("x.bin*"))


def test_a_page_that_says_log_in_is_no_picture(tmp_path):
    site = Site({"/x.jpg": b"<html>log in</html>"}, types={"/x.jpg": "text/html"})
    with site.running() as address, pytest.raises(IncompleteError, match="no image/ but text/html"):
        fetch([Wanted(url=f"{address}/x.jpg", path="x.jpg", kind="image/")], tmp_path, CONFIG)


def test_a_token_goes_to_the_host_it_is_for_alone(tmp_path):
    site = Site({"/x.bin": b"here"}, forbidden=frozenset(["/x.bin"]))
    other = Site({"/y.bin": b"there"})
    token = {"Authorization": "Bearer secret"}
    with site.running() as address, other.running() as elsewhere:
        site.elsewhere["/y.bin"] = f"{elsewhere}/y.bin"
        wanted = [
            Wanted(url=f"{address}/{name}", path=name, headers=token) for name in ("x.bin", "y.bin")
        ]
        fetch(wanted, tmp_path, CONFIG)
    assert (tmp_path / "x.bin").read_bytes() == b"here"
    assert (tmp_path / "y.bin").read_bytes() == b"there"
    assert site.tokens == ["Bearer secret"] * 2
    assert other.tokens == [""]
    assert "secret" not in (tmp_path / ".fetch" / "files.jsonl").read_text()


def test_a_host_is_asked_no_more_often_than_allowed(tmp_path):
    site = Site({f"/{n}.bin": b"x" for n in range(12)})
    config = FetchConfig(parallel=8, per_host=2, rate=40.0)
    with site.running() as address:
        fetch(listed(site, address), tmp_path, config, patience=HASTY)
    times = sorted(time for _, _, time in site.asked)
    assert times[-1] - times[0] >= 11 / 40 * 0.9
    assert site.most_at_once <= 2


def test_a_busy_host_rests_as_long_as_it_says_and_others_go_on(tmp_path):
    busy, quick = Site({"/x.bin": b"x"}), Site({f"/{n}.bin": b"y" for n in range(5)})
    busy.faults["/x.bin"] = ["busy"]
    with busy.running() as one, quick.running() as other:
        wanted = [*listed(busy, one), *(Wanted(url=f"{other}/{n}.bin", path=f"{n}") for n in
                                        range(5))]  # fmt: skip
        patience = Patience(first=0.6, longest=0.6)
        fetch(wanted, tmp_path, FetchConfig(parallel=1, rate=1000.0), patience=patience)
    (_, _, first), (_, _, second) = busy.asked
    assert second - first >= 0.3
    assert all(time < second for _, _, time in quick.asked)


def test_a_host_that_wants_hours_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("syntype.fetching.transfer._retry_after", lambda text: 7200.0)
    site = Site({"/x.bin": b"x"})
    site.faults["/x.bin"] = ["busy"]
    with site.running() as address, pytest.raises(IncompleteError, match="left alone for 7200 s"):
        fetch(listed(site, address), tmp_path, CONFIG)


def test_room_is_looked_at_before_anything_is_asked_for(tmp_path):
    site = Site({})
    with site.running() as address, pytest.raises(ResourceError, match=r"needs 1000000\.0 GB more"):
        fetch([Wanted(url=f"{address}/x", path="x", size=10**15)], tmp_path, CONFIG)
    assert not site.asked


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_stops_all_and_keeps_what_came(tmp_path):
    site = Site({f"/{n}.bin": content_of(1000, n) for n in range(3)})
    (tmp_path / "1.bin.part").symlink_to("/dev/full")
    with site.running() as address:
        config = FetchConfig(parallel=1, rate=1000.0)
        with pytest.raises(ResourceError, match=r"is full.*--to"):
            fetch(listed(site, address), tmp_path, config, patience=HASTY)
        assert (tmp_path / "0.bin").read_bytes() == site.files["/0.bin"]
        (tmp_path / "1.bin.part").unlink()
        fetch(listed(site, address), tmp_path, config, patience=HASTY)
    check(tmp_path, site)


def test_two_downloads_into_one_folder_are_refused(tmp_path):
    site = Site({"/x.bin": b"x"})
    site.faults["/x.bin"] = ["drip"]
    with site.running() as address:
        wanted = listed(site, address)
        one = threading.Thread(target=fetch, args=(wanted, tmp_path, CONFIG))
        one.start()
        while not site.asked:
            time.sleep(0.01)
        with pytest.raises(ResourceError, match=r"under way.*--to"):
            fetch(wanted, tmp_path, CONFIG)
        one.join()


def test_a_changed_file_is_fetched_again_and_a_foreign_one_is_checked(tmp_path):
    site = Site({"/x.bin": b"right", "/y.bin": b"there"})
    (tmp_path / "y.bin").write_bytes(b"there")  # by other means
    with site.running() as address:
        assert fetch(listed(site, address), tmp_path, CONFIG).n_new == 1
        (tmp_path / "x.bin").write_bytes(b"wrong")
        assert fetch(listed(site, address), tmp_path, CONFIG).n_new == 1
    check(tmp_path, site)


def test_a_killed_download_goes_on_where_it_was(tmp_path):
    """SIGKILL at five moments; in the end every byte is right and little came twice."""
    site = Site({f"/{n}.bin": content_of(300_000, n) for n in range(6)}, seed=5)
    with site.running() as address:
        wanted = [[one.url, one.path, one.size, one.digest] for one in listed(site, address)]
        script = tmp_path / "get.py"
        script.write_text(
            "import json, sys\nfrom pathlib import Path\n"
            "from syntype.configs import FetchConfig\n"
            "from syntype.fetching.fetch import fetch\n"
            "from syntype.fetching.transfer import Patience\n"
            "from syntype.fetching.wanted import Wanted\n"
            "wanted = [Wanted(url=u, path=p, size=s, digest=d) for u, p, s, d in "
            f"json.loads({json.dumps(wanted)!r})]\n"
            f"fetch(wanted, Path({str(tmp_path / 'set')!r}), FetchConfig(parallel=2, rate=1000.0), "
            "patience=Patience(first=0.01))\n"
        )
        for n in range(5):
            for path in site.files:
                site.faults[path] = ["cut", "cut"]
            n_asked = len(site.asked)
            process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
            while len(site.asked) < n_asked + 2 + n and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
        site.faults.clear()
        done = subprocess.run([sys.executable, str(script)], check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
    check(tmp_path / "set", site)
    assert sum(site.served.values()) < 2 * 6 * 300_000


@given(st.text(max_size=20))
def test_no_list_of_files_leads_out_of_its_folder(name):
    try:
        wanted = Wanted(url="https://example.org/x", path=name)
    except UsageError:
        return
    assert ".." not in wanted.path.split("/")
    assert not wanted.path.startswith("/")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "../x"}, "leads out"),
        ({"path": "/etc/passwd"}, "leads out"),
        ({"path": "a//b"}, "leads out"),
        ({"url": "file:///etc/passwd"}, "no web address"),
        ({"url": "https://"}, "no web address"),
        ({"digest": "sha256:abc"}, "no hash"),
    ],
)
def test_bad_files_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        Wanted(**{"url": "https://example.org/x", "path": "x"} | change)


def test_two_files_of_one_name_are_refused(tmp_path):
    twins = [Wanted(url=f"https://example.org/{n}", path="x") for n in range(2)]
    with pytest.raises(UsageError, match="would both become x"):
        fetch(twins, tmp_path, CONFIG)


def test_where_it_came_from_is_written_down(tmp_path):
    site = Site({"/x.bin": b"x"})
    with site.running() as address:
        fetch(listed(site, address), tmp_path, CONFIG, source={"name": "x", "license": "CC0-1.0"})
    source = json.loads((tmp_path / ".fetch" / "source.json").read_text())
    assert (source["license"], source["files"], source["failed"]) == ("CC0-1.0", 1, 0)
    (line,) = (tmp_path / ".fetch" / "files.jsonl").read_text().splitlines()
    assert json.loads(line)["sha256"] == hashlib.sha256(b"x").hexdigest()
