"""The shelf keeps what it acknowledged, and says clearly what is wrong with it."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.collection import clustered_vectors, synthetic_records
from syntype.errors import DataError, ResourceError, VectorError
from syntype.search import shelf as shelves
from syntype.search.records import RECORD, conform_records
from syntype.search.shelf import RECORDS, VECTORS, Mark, Shelf, copy_alive, sweep

DIM = 8


def some(n: int, seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    table = synthetic_records(n, seed)
    return table, clustered_vectors(table, DIM, seed=seed)


def named(*ids: str) -> tuple[pa.Table, np.ndarray]:
    table = conform_records(pa.table({"id": pa.array(ids, pa.string())}))
    return table, clustered_vectors(table, DIM)


def half(vectors: np.ndarray) -> np.ndarray:
    return vectors.astype(np.float16).astype(np.float32)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with closing(Shelf.create(tmp_path / "shelf", DIM)) as made:
        yield made


def test_records_and_vectors_come_back_as_they_went_in(shelf: Shelf) -> None:
    table, vectors = some(700)  # more than a statement takes
    shelf.append(table, vectors)
    ids = table.column("id").to_pylist()
    assert shelf.positions(ids) == list(range(700))
    order = np.random.default_rng(0).permutation(700)
    assert shelf.ids(order.tolist()) == [ids[i] for i in order]
    assert shelf.rows(order.tolist()) == table.take(order).to_pylist()
    assert np.array_equal(shelf.take(order), half(vectors)[order])
    assert pa.concat_tables(shelf.tables(0, 700, RECORD.names)).equals(table)
    with closing(Shelf(shelf.folder, DIM)) as again:
        assert again.rows([5]) == table.slice(5, 1).to_pylist()
        assert again.mark() == Mark(700, 0)


def test_replaced_and_buried_ones_keep_their_place_and_their_death_is_told(shelf: Shelf) -> None:
    shelf.append(*named("a", "b", "c"))
    shelf.append(*named("b", "d"))
    assert shelf.bury(["a", "nobody", "d"]) == 2
    assert shelf.positions(["a", "b", "c", "d"]) == [-1, 3, 2, -1]
    assert shelf.mark() == Mark(5, 3)
    assert shelf.deaths(0, 3).tolist() == [1, 0, 4]
    assert shelf.deaths(1, 2).tolist() == [0], "no later ones than those of the mark"
    assert list(shelf.in_order("")) == [("b", 3), ("c", 2)]
    assert shelf.ids([0, 1]) == ["a", "b"]


def test_700_are_buried_at_once_and_only_they(shelf: Shelf) -> None:
    table, vectors = some(1200)
    shelf.append(table, vectors)
    ids = table.column("id").to_pylist()
    assert shelf.bury(ids[100:800]) == 700
    alive = [id_ for id_, _ in shelf.in_order("")]
    assert alive == sorted(ids[:100] + ids[800:])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=20, unique=True), st.text())
def test_ids_may_be_any_text(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], after: str
) -> None:
    folder = tmp_path_factory.mktemp("ids")
    with closing(Shelf.create(folder / "shelf", DIM)) as shelf:
        shelf.append(*named(*ids))
        assert shelf.positions(ids) == list(range(len(ids)))
        found = [id_ for id_, _ in shelf.in_order(after)]
        assert found == sorted(id_ for id_ in ids if id_ > after), "the order of Python"
        assert shelf.bury(ids) == len(ids)
    shutil.rmtree(folder)


def test_half_of_a_surrogate_pair_is_no_records_id_and_no_fault(shelf: Shelf) -> None:
    shelf.append(*named("a", "\ud7ff", "\ue000"))
    assert shelf.positions(["a", "\ud800", "b\udfff"]) == [0, -1, -1]
    assert shelf.bury(["\ud800"]) == 0
    assert [id_ for id_, _ in shelf.in_order("\ud800")] == ["\ue000"]


def test_what_does_not_fit_is_refused_and_nothing_of_it_kept(shelf: Shelf) -> None:
    table, vectors = named("a", "b")
    for wrong in (vectors[:1], vectors[:, :3]):
        with pytest.raises(VectorError):
            shelf.append(table, wrong)
    with pytest.raises(DataError, match=r"'a' stands 2 times"):
        shelf.append(*named("a", "b", "a"))
    with pytest.raises(DataError, match=r"1 of 2 records have no id"):
        shelf.append(*named("a", ""))
    assert shelf.mark() == Mark(0, 0)


def test_bytes_of_a_write_that_was_cut_off_are_written_over(shelf: Shelf) -> None:
    table, vectors = some(40)
    shelf.append(table.slice(0, 30), vectors[:30])
    for garbage in (b"x" * 7, b"\xff" * (2 * DIM * 50)):
        with (shelf.folder / VECTORS).open("ab") as handle:
            handle.write(garbage)
        with closing(Shelf(shelf.folder, DIM)) as again:
            assert np.array_equal(again.take(np.arange(30)), half(vectors[:30]))
    reader = Shelf(shelf.folder, DIM)
    assert len(reader.vectors(0, 30)) == 30, "it sees the garbage behind them too"
    shelf.append(table.slice(30), vectors[30:])
    for one in (shelf, reader):
        assert np.array_equal(one.take(np.arange(40)), half(vectors))
    reader.close()
    assert (shelf.folder / VECTORS).stat().st_size == 40 * 2 * DIM


def test_a_disk_full_of_vectors_leaves_what_was_acknowledged(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.append(*named("a"))

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match=r"full.*--to"):
            shelf.append(*named("b", "c"))
    assert shelf.mark() == Mark(1, 0)
    shelf.append(*named("b", "a"))
    assert shelf.positions(["a", "b"]) == [2, 1]


def test_a_disk_full_of_records_leaves_what_was_acknowledged(shelf: Shelf) -> None:
    shelf.append(*named("a"))
    ((n_pages,),) = shelf._connection.execute("PRAGMA page_count")
    shelf._connection.execute(f"PRAGMA max_page_count = {n_pages + 2}")
    table, vectors = some(300)
    with pytest.raises(ResourceError, match="full"):
        shelf.append(table, vectors)
    assert shelf.mark() == Mark(1, 0)
    assert shelf.positions(["a"]) == [0]
    shelf._connection.execute("PRAGMA max_page_count = 100000")
    shelf.append(table, vectors)
    assert shelf.positions(["a", "cabinet/r000200"]) == [0, 201]
    assert np.array_equal(shelf.take(np.arange(1, 301)), half(vectors))


@pytest.mark.parametrize("harm", ["garbage", "middle", "empty", "gone"])
def test_damaged_records_are_a_clear_error(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "shelf" / RECORDS
    with closing(Shelf.create(path.parent, DIM)) as shelf:
        shelf.append(*some(300))
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        middle = content[:4096] + b"\xa5" * (len(content) - 4096)
        path.write_bytes({"garbage": b"x" * 9000, "middle": middle, "empty": b""}[harm])
    with closing(Shelf(path.parent, DIM)) as shelf, pytest.raises(DataError, match="is damaged"):
        shelf.mark()
        shelf.rows([1, 2, 299])
    assert path.exists() == (harm != "gone"), "nothing is made in its place"


def test_missing_vectors_are_a_clear_error(shelf: Shelf) -> None:
    shelf.append(*some(20))
    path = shelf.folder / VECTORS
    os.truncate(path, 2 * DIM * 19)
    with pytest.raises(DataError, match="it holds 19 rows of 20"):
        shelf.take(np.array([19]))
    path.unlink()
    with pytest.raises(DataError, match="is damaged"):
        shelf.take(np.array([19]))


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        ("attempt to write a readonly database", ResourceError, "permissions"),
        ("unable to open database file", ResourceError, "permissions"),
        ("database is locked", ResourceError, "busy"),
        ("disk I/O error", ResourceError, "does not work"),
        ("no such table: record", DataError, "damaged"),
        ("near 'SELEKT': syntax error", sqlite3.OperationalError, "SELEKT"),
    ],
)
def test_every_error_of_sqlite_is_told(
    shelf: Shelf, words: str, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told), shelf._speaking():
        raise sqlite3.OperationalError(words)


def test_a_fault_of_ours_is_not_called_damage(shelf: Shelf) -> None:
    with pytest.raises(sqlite3.ProgrammingError), shelf._speaking() as connection:
        connection.close()
        connection.execute("SELECT 1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ResourceError, match=r"--to|permissions"):
            Shelf.create(tmp_path / "shelf", DIM)
    finally:
        tmp_path.chmod(0o700)


def test_only_the_living_are_copied_and_to_the_bit(shelf: Shelf, tmp_path: Path) -> None:
    table, vectors = some(200)
    shelf.append(table, vectors)
    shelf.append(table.slice(50, 50), vectors[50:100][::-1])
    shelf.bury(table.column("id").to_pylist()[:20])
    with closing(Shelf.create(tmp_path / "copy", DIM)) as copy:
        copy_alive(shelf, copy)
        assert copy.mark() == Mark(180, 0)
        for (id_, ours), (also, theirs) in zip(shelf.in_order(""), copy.in_order(""), strict=True):
            assert id_ == also
            assert shelf.rows([ours]) == copy.rows([theirs])
            assert np.array_equal(shelf.vectors(ours, ours + 1), copy.vectors(theirs, theirs + 1))


def test_of_nothing_but_dead_an_empty_one_is_copied(shelf: Shelf, tmp_path: Path) -> None:
    shelf.append(*named("a", "b"))
    shelf.bury(["a", "b"])
    with closing(Shelf.create(tmp_path / "copy", DIM)) as copy:
        copy_alive(shelf, copy)
        assert copy.mark() == Mark(0, 0)


def test_a_shelf_is_swept_when_nobody_holds_it(tmp_path: Path) -> None:
    shelf = Shelf.create(tmp_path / "shelf", DIM)
    shelf.hold()
    sweep(shelf.folder)
    assert (shelf.folder / VECTORS).is_file()
    with closing(Shelf(shelf.folder, DIM)) as other:
        other.hold()
        shelf.close()
        sweep(shelf.folder)
        assert (shelf.folder / VECTORS).is_file()
    sweep(shelf.folder)
    assert not shelf.folder.exists()
    shelf.folder.mkdir()
    (shelf.folder / RECORDS).touch()
    sweep(shelf.folder)
    assert not shelf.folder.exists(), "as is what a removal that was killed left"


def test_who_is_killed_holds_it_no_more(tmp_path: Path) -> None:
    Shelf.create(tmp_path / "shelf", DIM).close()
    code = (
        "import fcntl, sys\n"
        "held = open(sys.argv[1], 'rb')\n"
        "fcntl.flock(held, fcntl.LOCK_SH)\n"
        "print('holds', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "shelf" / VECTORS)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sweep(tmp_path / "shelf")
        assert (tmp_path / "shelf").exists()
        process.kill()
    sweep(tmp_path / "shelf")
    assert not (tmp_path / "shelf").exists()


def test_a_statement_takes_no_more_ids_than_the_oldest_sqlite() -> None:
    assert shelves._ASKED + 2 <= 999
