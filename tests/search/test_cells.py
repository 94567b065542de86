"""The default finder: what it finds beside exact search, and that a loss of cells loses nothing."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fakes import killed_writes
from fakes.collection import synthetic_records
from fakes.killed_writes import DIM, MOMENTS, N_FIRST, N_MORE
from fakes.memory_index import MemoryIndex
from syntype.errors import DataError
from syntype.search.cells import Cells
from syntype.search.embedded import EmbeddedIndex, make
from syntype.search.exact import Exact
from syntype.search.index import Card, Index
from syntype.search.records import conform_records
from syntype.search.where import EVERYTHING, Where

SIZE, WIDE = 6000, 32


def card(dim: int = WIDE) -> Card:
    return Card(engine="cells", dim=dim, encoder={"weights": "fake"})


def open_small(folder: Path, few: int = 0) -> EmbeddedIndex:
    return EmbeddedIndex(folder, Cells(cells_from=500, few=few))


def families(n: int, seed: int = 0, noise: float = 0.5) -> tuple[pa.Table, np.ndarray]:
    """Records of 12 families of 10 species, clustered by both; the last family is far from all."""
    rng = np.random.default_rng(seed)
    centre = np.random.default_rng(99).standard_normal((12, WIDE))
    centre[11] = -centre[:11].sum(0) / 2
    kind = np.random.default_rng(98).standard_normal((120, WIDE)) * 0.7
    species = rng.integers(0, 120, n)
    wide = centre[species // 10] + kind[species] + noise * rng.standard_normal((n, WIDE))
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    table = pa.table(
        {
            "id": [f"r{seed}/{i:06d}" for i in range(n)],
            "family": [f"family {one // 10:02d}" for one in species],
            "species": [f"species {one:03d}" for one in species],
            "institutionCode": [("A", "B", "C")[i % 3] for i in range(n)],
        }
    )
    return conform_records(table), wide.astype(np.float32)


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[EmbeddedIndex, EmbeddedIndex]]:
    """The same records with cells and without."""
    folder = tmp_path_factory.mktemp("cells") / "index"
    make(folder, card())
    with closing(open_small(folder)) as cells, closing(EmbeddedIndex(folder, Exact())) as exact:
        cells.upsert(*families(SIZE))
        cells.build()
        exact.refresh()
        yield cells, exact


def recall(cells: Index, exact: Index, asked: np.ndarray, where: Where, n: int = 10) -> float:
    found, wanted = cells.search(asked, n, where), exact.search(asked, n, where)
    for ours, theirs in zip(found, wanted, strict=True):
        assert len(ours) == len(theirs)
    pairs = zip(found, wanted, strict=True)
    hits = [len({h.id for h in ours} & {h.id for h in theirs}) for ours, theirs in pairs]
    return sum(hits) / sum(map(len, wanted))


WHERES = {
    "all": EVERYTHING,
    "a third": Where(equal={"institutionCode": ("A",)}),
    "a family": Where(equal={"family": ("family 03",)}),
    "a far family": Where(equal={"family": ("family 11",)}),
    "a species": Where(equal={"species": ("species 042",)}),
    "two conditions": Where(
        equal={"family": ("family 01", "family 11"), "institutionCode": ("B",)}
    ),
}


@pytest.mark.parametrize("name", WHERES)
def test_it_finds_what_exact_search_finds(
    built: tuple[EmbeddedIndex, EmbeddedIndex], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # As with a million records: the cells looked at are few, and not nearly all of them.
    monkeypatch.setattr("syntype.search.cells.FIRST", 300)
    monkeypatch.setattr("syntype.search.cells.MOST", 4500)
    cells, exact = built
    assert cells._finder._index is not None
    _, asked = families(60, seed=5)
    assert recall(cells, exact, asked, WHERES[name]) >= 0.95
    far = np.random.default_rng(1).standard_normal((60, WIDE)).astype(np.float32)
    far /= np.linalg.norm(far, axis=1, keepdims=True)
    assert recall(cells, exact, far, WHERES[name]) >= 0.95, "queries far from everything too"


def test_not_every_cell_is_looked_at(
    built: tuple[EmbeddedIndex, EmbeddedIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syntype.search.cells.FIRST", 300)
    monkeypatch.setattr("syntype.search.cells.MOST", 4500)
    cells, _ = built
    finder, looked = cells._finder, []
    scan = finder._scan
    monkeypatch.setattr(
        finder,
        "_scan",
        lambda q, chosen, *rest: looked.append(len(chosen)) or scan(q, chosen, *rest),
    )
    cells.search(families(20, seed=6)[1], 10)
    assert sum(looked) / 20 < len(finder._centres) / 2


def test_all_are_found_when_all_are_asked_for(built: tuple[EmbeddedIndex, EmbeddedIndex]) -> None:
    cells, exact = built
    _, asked = families(2, seed=7)
    for where in (EVERYTHING, WHERES["a family"]):
        ours, theirs = cells.search(asked, 10_000, where), exact.search(asked, 10_000, where)
        assert [len(one) for one in ours] == [len(one) for one in theirs]
        assert ours == theirs


def test_what_came_after_the_build_is_found_at_once_and_what_went_never(tmp_path: Path) -> None:
    make(tmp_path / "index", card())
    with closing(open_small(tmp_path / "index")) as index:
        table, vectors = families(1000)
        index.upsert(table, vectors)
        index.build()
        new, wide = families(100, seed=1)
        index.upsert(new, wide)
        own = [hits[0].id for hits in index.search(wide, 1)]
        assert own == new.column("id").to_pylist()
        gone = table.column("id").to_pylist()[:300] + new.column("id").to_pylist()[:50]
        index.delete(gone)
        index.upsert(table.slice(300, 50), -vectors[300:350])
        for hits in index.search(np.concatenate([vectors[:300], wide[:50]]), 20):
            assert not {hit.id for hit in hits} & set(gone)
            assert len(hits) == 20
        moved = [hits[0].id for hits in index.search(-vectors[300:350], 1)]
        assert moved == table.column("id").to_pylist()[300:350]
    with closing(open_small(tmp_path / "index")) as again:
        assert len(again) == 750
        assert [hits[0].id for hits in again.search(wide[50:], 1)] == own[50:]


def test_two_builds_of_the_same_are_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        make(tmp_path / name, card())
        with closing(open_small(tmp_path / name)) as index:
            table, vectors = families(1500)
            for start in range(0, 1500, 500 if name == "a" else 1500):
                stop = start + (500 if name == "a" else 1500)
                index.upsert(table.slice(start, stop - start), vectors[start:stop])
            index.build()
        place = tmp_path / name / "0001"
        files.append([(place / one).read_bytes() for one in ("cells.json", "cells-1500.faiss")])
    assert files[0] == files[1]


@pytest.mark.parametrize("distinct", [1, 2, 40])
def test_a_picture_may_be_there_many_times(tmp_path: Path, distinct: int) -> None:
    make(tmp_path / "index", card())
    table, vectors = families(1200)
    vectors = vectors[np.arange(1200) % distinct]
    with closing(open_small(tmp_path / "index")) as index:
        index.upsert(table, vectors)
        index.build()
        assert 1 <= len(index._finder._centres) <= distinct
        for n in (1, 10, 700):
            (hits,) = index.search(vectors[:1], n)
            assert len(hits) == n
            n_equal = min(n, 1200 // distinct)
            assert all(hit.similarity > 0.999 for hit in hits[:n_equal])
    with closing(EmbeddedIndex(tmp_path / "index", Exact())) as exact:
        assert [hit.similarity for hit in hits] == [
            hit.similarity for hit in exact.search(vectors[:1], 700)[0]
        ]


def test_the_margin_is_larger_where_a_filter_leaves_far_ones(
    built: tuple[EmbeddedIndex, EmbeddedIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    from syntype.search import cells as module

    finder = built[0]._finder
    shelf, cell, centres = finder._shelf, finder._cell.astype(np.int64), finder._centres
    both = module._margin(shelf, cell, centres)
    neighbours = module._neighbours
    monkeypatch.setattr(module, "_neighbours", lambda s, q, kept: neighbours(s, q, kept | True))
    assert both == finder._margin
    assert both > module._margin(shelf, cell, centres)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.999])
def test_a_damaged_file_is_a_clear_error_and_the_way_out_works(
    tmp_path: Path, share: float
) -> None:
    make(tmp_path / "index", card())
    with closing(open_small(tmp_path / "index")) as index:
        index.upsert(*families(600))
        index.build()
    place = tmp_path / "index" / "0001"
    path = place / "cells-600.faiss"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cells-600.faiss is damaged. Delete .*cells.json"):
        open_small(tmp_path / "index")
    (place / "cells.json").unlink()
    with closing(open_small(tmp_path / "index")) as index:
        assert len(index) == 600
        index.build()
        assert index._finder._index is not None
    assert path.read_bytes() == content


def test_a_build_by_another_process_just_while_it_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syntype.search import cells as module

    make(tmp_path / "index", card())
    table, vectors = families(900)
    with closing(open_small(tmp_path / "index")) as writer:
        writer.upsert(table.slice(0, 600), vectors[:600])
        writer.build()
        writer.upsert(table.slice(600), vectors[600:])
        read_card, told = module._card, []

        def card_and_then_a_build(folder: Path) -> object:
            found = read_card(folder)
            if not told:
                told.append(found)
                writer.build()
            return found

        monkeypatch.setattr(module, "_card", card_and_then_a_build)
        with closing(open_small(tmp_path / "index")) as reader:
            assert told[0]["rows"] == 600
            assert len(reader._finder._cell) == 900
            assert [hits[0].id for hits in reader.search(vectors, 1)] == table["id"].to_pylist()


def test_while_another_builds_one_searches_on_and_takes_it_up_after(tmp_path: Path) -> None:
    make(tmp_path / "index", card())
    table, vectors = families(900)
    writer, reader = (open_small(tmp_path / "index") for _ in range(2))
    with closing(writer), closing(reader):
        writer.upsert(table, vectors)
        reader.refresh()
        before = reader.search(vectors[:30], 5)
        writer.build()
        assert reader.search(vectors[:30], 5) == before, "what it had lives on"
        assert reader._finder._index is None
        assert reader.refresh()
        assert reader._finder._index is not None
        assert not reader.refresh()
        assert [one[0] for one in reader.search(vectors[:30], 5)] == [one[0] for one in before]
        writer.upsert(table.slice(0, 20), -vectors[:20])
        writer.build()
        reader.refresh()
        assert len(reader._finder._cell) == 920
        assert [one[0] for one in reader.search(-vectors[:20], 1)] == [
            one[0] for one in writer.search(-vectors[:20], 1)
        ]


def test_a_shelf_put_back_from_an_older_copy_goes_without_cells(tmp_path: Path) -> None:
    make(tmp_path / "index", card())
    with closing(open_small(tmp_path / "index")) as index:
        index.upsert(*families(600))
        index.build()
        index._shelf._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    place = tmp_path / "index" / "0001"
    make(tmp_path / "other", card())
    with closing(open_small(tmp_path / "other")) as other:
        other.upsert(*families(550))
    for name in ("records.sqlite", "vectors.f16"):
        (place / name).write_bytes((tmp_path / "other" / "0001" / name).read_bytes())
    with closing(open_small(tmp_path / "index")) as index:
        assert len(index) == 550
        assert index._finder._index is None
        assert len(index.search(families(2)[1], 600)[0]) == 550


# What a kill leaves.


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index for each moment at which its process was killed."""
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, killed_writes.__file__, str(folder)], check=True)
    return folder


def naive_of(moment: str) -> MemoryIndex:
    """What must be there: all that was acknowledged, and nothing else."""
    naive = MemoryIndex(DIM)
    naive.upsert(*killed_writes.first())
    if moment in ("columns-parted", "cells-half-written", "cells-without-card"):
        naive.upsert(*killed_writes.more())
    if moment.startswith("copy"):
        naive.delete(synthetic_records(100).column("id").to_pylist())
    return naive


def check_same(index: EmbeddedIndex, naive: MemoryIndex) -> None:
    assert index.browse(1000) == naive.browse(1000)
    ids = naive.browse(1000)
    assert index.records(ids) == naive.records(ids)
    assert np.array_equal(index.vectors(ids), naive.vectors(ids))
    for column in ("family", "license"):
        assert index.facet(column) == naive.facet(column)
    asked = naive.vectors(ids[::7])
    pairs = zip(index.search(asked, 400), naive.search(asked, 400), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose([h[1] for h in ours], [h[1] for h in theirs], atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_moment_it_is_as_before_and_goes_on(killed: Path, moment: str) -> None:
    naive = naive_of(moment)
    with closing(killed_writes.open_small(killed / moment)) as index:
        assert index._finder._index is not None, "the cells of before, or those of after"
        check_same(index, naive)
        for one in (index, naive):
            one.upsert(*killed_writes.more())
            one.delete(["cabinet/a b"])
        check_same(index, naive)
        index.build()
        check_same(index, naive)
        index.compact()
        check_same(index, naive)
    with closing(killed_writes.open_small(killed / moment)) as index:
        check_same(index, naive)
    generations = [path.name for path in (killed / moment).iterdir() if path.is_dir()]
    assert len(generations) == 1, "what the killed one left is swept"
    names = {path.name for path in (killed / moment / generations[0]).iterdir()}
    assert len([name for name in names if name.endswith(".faiss")]) == 1
    assert not [name for name in names if name.endswith(".tmp")]
    assert N_FIRST < len(naive) + 101 < N_FIRST + N_MORE + 101


@pytest.mark.slow
def test_killed_while_it_was_made_it_can_be_made_again(killed: Path) -> None:
    assert (killed / "made" / "0001").is_dir()
    make(killed / "made", killed_writes.CARD)
    with closing(killed_writes.open_small(killed / "made")) as index:
        index.upsert(*killed_writes.first())
        assert len(index) == N_FIRST
