"""The check of an index tells a sound one from a broken one."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fakes.collection import clustered_vectors, synthetic_index, synthetic_records
from fakes.memory_index import MemoryIndex
from syntype.errors import DataError
from syntype.search.checking import check
from syntype.search.embedded import EmbeddedIndex, make
from syntype.search.exact import Exact
from syntype.search.index import Card, Hit
from syntype.search.records import conform_records
from syntype.search.where import EVERYTHING, Where

DIM = 16


class LosesHalf(MemoryIndex):
    """Forgets every second answer."""

    def search(self, queries: np.ndarray, n: int, where: Where = EVERYTHING) -> list[list[Hit]]:
        return [hits[::2] for hits in super().search(queries, n, where)]


class PassesOver(MemoryIndex):
    """Searches as if there were no conditions."""

    def search(self, queries: np.ndarray, n: int, where: Where = EVERYTHING) -> list[list[Hit]]:
        return super().search(queries, n)


class FiltersAfter(MemoryIndex):
    """Applies conditions after the limit."""

    def search(self, queries: np.ndarray, n: int, where: Where = EVERYTHING) -> list[list[Hit]]:
        fitting = set(self.browse(10_000, where))
        return [[hit for hit in hits if hit.id in fitting] for hits in super().search(queries, n)]


class Repeats(MemoryIndex):
    """Says the best answer again and again."""

    def search(self, queries: np.ndarray, n: int, where: Where = EVERYTHING) -> list[list[Hit]]:
        return [hits[1:2] * n for hits in super().search(queries, n, where)]


def filled(kind: type[MemoryIndex], n: int = 300) -> MemoryIndex:
    index, table = kind(DIM), synthetic_records(n)
    index.upsert(table, clustered_vectors(table, DIM))
    return index


@pytest.fixture
def exact(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    make(tmp_path / "index", Card(engine="exact", dim=DIM, encoder={}))
    with closing(EmbeddedIndex(tmp_path / "index", Exact())) as index:
        yield index


def test_an_exact_engine_finds_all_under_every_condition(exact: EmbeddedIndex) -> None:
    table = synthetic_records(300)
    exact.upsert(table, clustered_vectors(table, DIM))
    found = check(exact, queries=30)
    assert [one.recall for one in found] == [1.0] * len(found)
    assert found[0].condition == "none"
    assert found[0].n == 300
    words = " ".join(one.condition for one in found)
    for part in (" = ", "a box of", " to "):
        assert part in words
    assert all(0 < one.p50 <= one.p95 for one in found)
    assert all(0 < one.n <= 300 for one in found)


def test_of_equal_pictures_any_may_be_answered(exact: EmbeddedIndex) -> None:
    table = synthetic_records(200)
    exact.upsert(table, clustered_vectors(table, DIM, noise=0))
    assert {one.recall for one in check(exact, queries=30)} == {1.0}


@pytest.mark.parametrize(
    ("kind", "least", "most"), [(LosesHalf, 0.4, 0.6), (Repeats, 0.0, 0.2), (MemoryIndex, 1, 1)]
)
def test_a_broken_engine_is_found(kind: type[MemoryIndex], least: float, most: float) -> None:
    found = check(filled(kind), queries=30)
    assert least <= found[0].recall <= most


@pytest.mark.parametrize("kind", [PassesOver, FiltersAfter])
def test_an_engine_that_does_not_filter_within_the_search_is_found(kind: type[MemoryIndex]) -> None:
    first, *filtered = check(filled(kind), queries=30)
    assert first.recall == 1
    assert min(one.recall for one in filtered) < 0.5


def test_the_same_is_checked_each_time() -> None:
    index = filled(LosesHalf)
    left, right = (check(index, queries=20, seed=3) for _ in range(2))
    assert [one[:3] for one in left] == [one[:3] for one in right]
    assert index.search(index.vectors(index.browse(1)), 3)


def test_nothing_to_check_is_an_error() -> None:
    with pytest.raises(DataError, match="empty"):
        check(MemoryIndex(DIM))


@pytest.mark.parametrize("dates", [["1500"], ["2100-12-31"], ["1503"], ["", "May"]])
def test_the_first_and_the_last_year_are_no_end(dates: Sequence[str]) -> None:
    index = MemoryIndex(DIM)
    ids = [str(i) for i in range(len(dates))]
    table = conform_records(pa.table({"id": ids, "eventDate": list(dates)}))
    index.upsert(table, clustered_vectors(table, DIM))
    assert {one.recall for one in check(index)} == {1.0}


@pytest.mark.parametrize("n", [1, 2, 5, 11, 12])
def test_few_records_are_checked_too(n: int) -> None:
    assert {one.recall for one in check(synthetic_index(n, DIM))} == {1.0}
