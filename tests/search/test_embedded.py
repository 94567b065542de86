"""The embedded index beside itself: threads, other processes, new generations, other places."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fakes.collection import SET, clustered_vectors, synthetic_records, write_pictures
from fakes.killed_writes import CARD, DIM, open_small
from fakes.memory_index import MemoryIndex
from syntype import files
from syntype.errors import DataError, DataNotFoundError, ResourceError, UsageError
from syntype.search.embedded import EmbeddedIndex, make
from syntype.search.index import Card
from syntype.search.opening import create_index, exists, open_index
from syntype.search.records import conform_records, read_medium
from syntype.search.where import EVERYTHING, Box, Where

TESTS = Path(__file__).resolve().parents[1]
Worker = Callable[[], None]


def some(n: int, seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    table = synthetic_records(n, seed)
    return table, clustered_vectors(table, DIM, seed=seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "index", CARD)
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Iterator[EmbeddedIndex]:
    with closing(open_small(folder)) as opened:
        yield opened


def generations(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def run_beside(until: Callable[[], bool], *workers: Worker) -> None:
    """Run workers again and again in threads; whatever one raises is raised."""
    wrong = list[BaseException]()

    def repeat(work: Worker) -> None:
        try:
            while not (wrong or until()):
                work()
                time.sleep(0.005)  # else threads that only read leave the writer no time
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "nobody waits for ever"
    if wrong:
        raise wrong[0]


# Batches of 30 records, each written as a whole in one of two versions: whatever a reader sees,
# it sees each batch whole, and of one version.
BATCHES, SIDE = 6, 30


def batch(number: int, version: int) -> tuple[pa.Table, np.ndarray]:
    table = conform_records(
        pa.table(
            {
                "id": [f"{number}/{i:02d}" for i in range(SIDE)],
                "family": [f"family {number}"] * SIDE,
                "genus": [f"version {version}"] * SIDE,
            }
        )
    )
    wide = np.zeros((SIDE, DIM), np.float32)
    wide[:, number], wide[:, BATCHES + version] = 0.8, 0.6
    return table, wide


def test_threads_see_whole_states_while_another_writes_builds_and_compacts(
    index: EmbeddedIndex, folder: Path
) -> None:
    rng, done = np.random.default_rng(0), Counter[str]()
    for number in range(BATCHES):
        index.upsert(*batch(number, 0))
    index.build()

    def write() -> None:
        number = int(rng.integers(BATCHES))
        step = ("upsert", "delete", "build", "upsert", "compact", "describe")[done["write"] % 6]
        done["write"] += 1
        if step == "upsert":
            index.upsert(*batch(number, int(rng.integers(2))))
        elif step == "delete":
            index.delete(batch(number, 0)[0].column("id").to_pylist())
        elif step == "describe":
            index.describe(notes={"n": done["write"]})
        else:
            getattr(index, step)()

    def count() -> None:
        assert all(n == SIDE for name, n in index.facet("family"))
        assert len(index) % SIDE == 0
        done["count"] += 1

    def search() -> None:
        number = done["search"] % BATCHES
        done["search"] += 1
        where = Where(equal={"family": (f"family {number}",)})
        (hits,) = index.search(batch(number, 0)[1][:1], SIDE + 5, where)
        assert len({hit.id for hit in hits}) == len(hits)
        assert len(hits) in (0, SIDE)
        assert len({hit.similarity for hit in hits}) <= 1, "all of them of one version"
        assert {hit.id.partition("/")[0] for hit in hits} <= {str(number)}

    def look_up() -> None:
        done["look_up"] += 1
        ids = index.browse(50)
        for id_, record in zip(ids, index.records(ids), strict=True):
            assert record is None or record["id"] == id_
            assert record is None or record["family"] == f"family {id_.partition('/')[0]}"
        try:
            vectors = index.vectors(ids)
        except DataError:  # one was deleted just now
            return
        for id_, vector in zip(ids, vectors, strict=True):
            assert vector[int(id_.partition("/")[0])] == pytest.approx(0.8, abs=1e-3)

    run_beside(
        lambda: done["write"] > 8, write, count, search, look_up, lambda: bool(index.refresh())
    )
    assert len(generations(folder)) == 1


def test_two_that_write_at_once_lose_nothing_whoever_compacts(folder: Path) -> None:
    acknowledged = [set[str](), set[str]()]
    with closing(open_small(folder)) as one, closing(open_small(folder)) as other:

        def write(index: EmbeddedIndex, who: int) -> None:
            n = len(acknowledged[who])
            table = conform_records(pa.table({"id": [f"{who}/{n + i}" for i in range(5)]}))
            index.upsert(table, clustered_vectors(table, DIM))
            acknowledged[who].update(table.column("id").to_pylist())
            index.describe(notes={**index.card.notes, f"by {who}": n})

        def compact() -> None:
            time.sleep(0.05)
            one.compact()

        end = time.monotonic() + 1.2
        run_beside(
            lambda: time.monotonic() > end, lambda: write(one, 0), lambda: write(other, 1), compact
        )
        for index in (one, other):
            index.refresh()
            assert set(index.browse(100_000)) == acknowledged[0] | acknowledged[1]
            assert set(index.card.notes) == {"by 0", "by 1"}
        assert int(generations(folder)[-1]) > 2
    with closing(open_small(folder)) as again:
        assert set(again.browse(100_000)) == acknowledged[0] | acknowledged[1]


def test_one_that_knows_nothing_of_a_compaction_describes_the_new_generation(folder: Path) -> None:
    with closing(open_small(folder)) as stale, closing(open_small(folder)) as other:
        other.upsert(*some(30))
        other.compact()
        stale.describe(spec="new")
        assert stale.card.spec == "new"
        assert len(stale) == 30
    with closing(open_small(folder)) as again:
        assert (len(again), again.card.spec) == (30, "new")


def test_one_that_knows_nothing_of_a_compaction_writes_to_the_new_generation(folder: Path) -> None:
    table, vectors = some(60)
    with closing(open_small(folder)) as stale, closing(open_small(folder)) as other:
        stale.upsert(table.slice(0, 20), vectors[:20])
        other.compact()
        stale.upsert(table.slice(20), vectors[20:])
        other.refresh()
        other.compact()
        assert stale.delete(table.column("id").to_pylist()[:5]) == 5
        other.refresh()
        assert len(other) == len(stale) == 55


def test_a_replaced_record_is_never_missed_by_who_takes_it_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, vectors = some(40)
    with closing(open_small(folder)) as writer, closing(open_small(folder)) as reader:
        writer.upsert(table, vectors)
        deaths = reader._shelf.deaths

        def write_first(*numbers: int) -> np.ndarray:
            monkeypatch.undo()
            writer.upsert(table.slice(0, 10), -vectors[:10])
            return deaths(*numbers)

        monkeypatch.setattr(reader._shelf, "deaths", write_first)
        reader.refresh()
        assert len(reader) == 40, "as it was, whole"
        assert reader.search(vectors[:1], 1)[0][0].id == table["id"][0].as_py()
        reader.refresh()
        assert len(reader) == 40
        assert reader.search(-vectors[:1], 1)[0][0].id == table["id"][0].as_py()


def test_another_process_writes_and_this_one_takes_it_in(folder: Path) -> None:
    code = (
        "import sys\n"
        "from fakes.killed_writes import open_small, first\n"
        "index = open_small(__import__('pathlib').Path(sys.argv[1]))\n"
        "index.upsert(*first())\n"
        "print(1, flush=True); sys.stdin.readline()\n"
        "index.delete(first()[0].column('id').to_pylist()[:100]); index.build()\n"
        "index.compact()\n"
        "print(2, flush=True); sys.stdin.readline()\n"
    )
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    environment = {**os.environ, "PYTHONPATH": path}
    naive = MemoryIndex(DIM)
    with (
        closing(open_small(folder)) as index,
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert index.refresh()
        naive.upsert(*some(300))
        assert index.browse(1000) == naive.browse(1000)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"2\n"
        # What this process has not taken in yet goes on to be read from the old generation.
        asked = naive.vectors(naive.browse(3))
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(index.search(asked, 5)))
        thread.start()
        thread.join()
        assert [[hit.id for hit in hits] for hits in found[0]] == [
            [hit.id for hit in hits] for hits in naive.search(asked, 5)
        ]
        assert generations(folder) == ["0001", "0002"]
        assert index.refresh()
        naive.delete(synthetic_records(100).column("id").to_pylist())
        assert index.browse(1000) == naive.browse(1000)
        assert index._finder._index is not None, "the cells came with the generation"
        assert generations(folder) == ["0002"], "nobody reads the old one any more"
        process.communicate(b"\n")


def test_compacting_keeps_the_living_and_gives_the_room_of_the_dead_back(
    index: EmbeddedIndex, folder: Path
) -> None:
    table, vectors = some(400)
    naive = MemoryIndex(DIM)
    for one in (index, naive):
        one.upsert(table, vectors)
        for _ in range(3):
            one.upsert(table, vectors)
        one.delete(table.column("id").to_pylist()[::2])
    before, size = index.search(vectors[:50], 5), files.folder_bytes(folder)
    state, notes = index.state, {"kept": True}
    index.describe(notes=notes)
    assert index.share_dead == pytest.approx(1 - 200 / 1600)
    index.compact()
    assert index.share_dead == 0
    assert index.share_new == 0
    assert index.state != state
    assert index.search(vectors[:50], 5) == before
    ids = naive.browse(1000)
    assert index.browse(1000) == ids
    assert index.records(ids) == naive.records(ids)
    assert np.array_equal(index.vectors(ids), naive.vectors(ids))
    assert index.card.notes == notes
    assert files.folder_bytes(folder) < size / 3
    assert generations(folder) == ["0002"]
    index.delete(ids)
    index.compact()
    assert len(index) == 0
    assert index.search(vectors[:1], 3) == [[]]
    index.upsert(table, vectors)
    assert len(index) == 400


def test_a_compaction_on_a_full_disk_leaves_the_index_as_it_was(
    index: EmbeddedIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, vectors = some(50)
    index.upsert(table, vectors)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match="full"):
            index.compact()
    assert generations(folder) == ["0001"]
    index.delete(table.column("id").to_pylist()[:10])
    index.compact()
    assert len(index) == 40


def test_a_card_of_another_format_or_none_is_a_clear_error(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "index.json").read_text())
    for wrong in (2, None, "1"):
        (folder / "index.json").write_text(json.dumps({**content, "format": wrong}))
        with pytest.raises(DataError, match=r"has format .* reads 1. Make the index anew"):
            open_index(str(folder))
    with pytest.raises(DataNotFoundError, match="syntype index"):
        open_index(str(tmp_path / "nowhere"))
    assert not exists(str(tmp_path / "nowhere"))


def test_there_must_be_nothing_where_an_index_is_made(tmp_path: Path) -> None:
    create_index(str(tmp_path / "empty" / "deep"), CARD).close()
    with pytest.raises(DataError, match="something already"):
        create_index(str(tmp_path / "empty" / "deep"), CARD)
    (tmp_path / "file").write_text("x")
    (tmp_path / "pictures" / "0001").mkdir(parents=True)
    (tmp_path / "pictures" / "0001" / "a.jpg").write_bytes(b"x")
    for place in ("file", "pictures"):
        with pytest.raises(DataError, match="something already"):
            create_index(str(tmp_path / place), CARD)
    assert (tmp_path / "pictures" / "0001" / "a.jpg").read_bytes() == b"x"
    # The creation of a generation that holds something is no creation that was cut off.
    with closing(open_index(str(tmp_path / "empty" / "deep"))) as index:
        index.upsert(*some(5))
    (tmp_path / "empty" / "deep" / "index.json").unlink()
    with pytest.raises(DataError, match="something already"):
        create_index(str(tmp_path / "empty" / "deep"), CARD)


def test_of_many_that_make_an_index_at_once_one_does(tmp_path: Path) -> None:
    for number in range(5):
        folder, told = tmp_path / f"{number}", list[object]()
        meeting = threading.Barrier(4)

        def create(folder: Path = folder, told: list = told, meeting: Any = meeting) -> None:
            meeting.wait()
            try:
                with closing(create_index(str(folder), CARD)) as index:
                    index.upsert(*some(5))
                told.append("made")
            except DataError as error:
                told.append(str(error))

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert told.count("made") == 1
        assert len([words for words in told if "something already" in str(words)]) == 3
        with closing(open_index(str(folder))) as index:
            assert len(index) == 5


def test_an_engine_goes_with_its_location(tmp_path: Path) -> None:
    for place, engine in ((str(tmp_path), "postgres"), ("postgresql://u@h/d", "cells")):
        with pytest.raises(UsageError, match=r"postgresql://"):
            create_index(place, Card(engine=engine, dim=3, encoder={}))
    with pytest.raises(UsageError, match="choose of exact, cells, postgres"):
        create_index(str(tmp_path / "x"), Card(engine="magic", dim=3, encoder={}))


@pytest.mark.parametrize("how", [shutil.copytree, shutil.move])
def test_moved_with_its_media_it_still_finds_them(
    tmp_path: Path, how: Callable[[Path, Path], object]
) -> None:
    table, vectors = some(20)
    write_pictures(tmp_path / "here" / "pictures", table)
    roots = {SET: tmp_path / "here" / "pictures"}
    with closing(
        create_index(
            str(tmp_path / "here" / "index"), Card(engine="cells", dim=DIM, encoder={}, roots=roots)
        )
    ) as index:
        index.upsert(table, vectors)
    how(tmp_path / "here", tmp_path / "there")
    with closing(open_index(str(tmp_path / "there" / "index"))) as index:
        assert index.card.roots == {SET: (tmp_path / "there" / "pictures").resolve()}
        for record in index.records(index.browse(20)):
            if record["image"]:
                assert read_medium(record, index.card.roots)


def test_many_records_are_browsed_in_the_order_of_ids(
    index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, vectors = some(300)
    index.upsert(table, vectors)
    index.delete(table.column("id").to_pylist()[40:60])
    where = Where(equal={"class": ("Aves", "Insecta")})
    every = [index.browse(1000, one) for one in (EVERYTHING, where)]
    monkeypatch.setattr("syntype.search.embedded._FEW", 0)
    for one, ids in zip((EVERYTHING, where), every, strict=True):
        assert index.browse(1000, one) == ids
        paged, after = list[str](), ""
        while page := index.browse(7, one, after):
            paged += page
            after = page[-1]
        assert paged == ids
        assert index.browse(5, one, "\ud800") == [id_ for id_ in ids if id_ > "\ud800"][:5]


def test_conditions_that_were_asked_before_are_remembered_until_something_changes(
    index: EmbeddedIndex,
) -> None:
    table, vectors = some(50)
    index.upsert(table, vectors)
    world = Box(south=-90.0, west=-180.0, north=90.0, east=180.0)
    for number in range(40):
        index.count(Where(since=str(1900 + number), box=world))
    assert len(index._fits) == 32
    n = index.count(Where(equal={"kingdom": ("Animalia",)}))
    index.delete(index.browse(1, Where(equal={"kingdom": ("Animalia",)})))
    assert index.count(Where(equal={"kingdom": ("Animalia",)})) == n - 1


def test_a_damaged_index_leaves_nothing_open(folder: Path, index: EmbeddedIndex) -> None:
    index.upsert(*some(20))
    index.close()
    (folder / "0001" / "records.sqlite").write_bytes(b"x" * 5000)
    for rest in (folder / "0001").glob("records.sqlite-*"):
        rest.unlink()
    with pytest.raises(DataError, match="is damaged"):
        open_small(folder)
