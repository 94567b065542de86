"""Every engine does what the naive index does: the same records, counts and hits, after anything.

The engines stand in `fakes.index_engines.ENGINES`.
"""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import slow_upserts
from fakes.collection import CARD, SET, clustered_vectors, synthetic_records
from fakes.index_engines import ENGINES, Engine, settle
from fakes.memory_index import MemoryIndex
from syntype.errors import DataError, UsageError, VectorError
from syntype.search.index import Card, Hit, Index
from syntype.search.records import FACETS, HAS, conform_records
from syntype.search.where import EVERYTHING, Box, Circle, Where

DIM, N = 16, 240
# Engines tell similarities to six digits, the naive one as they come.
CLOSE = 2e-6
# A server takes its time, so its contract is among the slow tests; tests/search/test_postgres.py
# is not.
NAMED = [
    pytest.param(name, marks=[pytest.mark.slow] * name.startswith("postgres")) for name in ENGINES
]
NAMES = ("kingdom", "class", "family", "genus", "species", "vernacularName")
WHERES = (
    EVERYTHING,
    Where(equal={"family": ("Nymphalidae",)}),
    Where(equal={"genus": ("Vanessa", "Parus"), "institutionCode": ("BMNH", "")}),
    Where(equal={"species": ("",)}),
    Where(equal={"license": ("© The Trustees <of> the Museum", "'; DROP TABLE records; --")}),
    Where(equal={"family": ()}),
    Where(equal={"order": ("Nothing",)}),
    Where(box=Box(south=-60.0, west=170.0, north=60.0, east=-170.0)),
    Where(box=Box(south=-90.0, west=-180.0, north=90.0, east=180.0)),
    Where(box=Box(south=0.0, west=180.0, north=0.0, east=180.0)),
    Where(circle=Circle(latitude=90.0, longitude=77.0, km=1.0)),
    Where(circle=Circle(latitude=-17.0, longitude=179.5, km=400.0)),
    Where(circle=Circle(latitude=51.5, longitude=-0.12, km=0.0)),
    Where(circle=Circle(latitude=0.0, longitude=0.0, km=21_000.0)),
    Where(since="1913-05", until="1913"),
    Where(since="1913-05-28", until="1913-05-28"),
    Where(until="1899-12-31"),
    Where(since="2000"),
    Where(has=("sound",)),
    Where(has=("image", "sound", "place", "date")),
    Where(
        equal={"class": ("Insecta", "Aves"), "mediaType": ("StillImage",)},
        box=Box(south=-40.0, west=-20.0, north=60.0, east=180.0),
        since="1850",
        until="2010",
        has=("place",),
    ),
)
HOSTILE = ("'", '"', "%", "_", "\\", "%s", "{}", "--", "𝔘", "a" * 3000, "; DROP SCHEMA syntype")


def card(dim: int = DIM) -> Card:
    roots = {SET: Path("/media/cabinet")}
    return Card(engine="", dim=dim, encoder={"weights": "fake"}, cards={SET: CARD}, roots=roots)


@dataclass
class Pair:
    """An index and the naive one that holds the same."""

    engine: Engine
    place: str
    index: Index
    naive: MemoryIndex

    def upsert(self, records: pa.Table, vectors: np.ndarray) -> None:
        self.index.upsert(records, vectors)
        self.naive.upsert(records, vectors)

    def delete(self, ids: Sequence[str]) -> None:
        assert self.index.delete(ids) == self.naive.delete(ids)

    def reopen(self) -> None:
        self.index.close()
        self.index = self.engine.open(self.place)


@pytest.fixture(params=NAMED)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


Make = Callable[..., Pair]


@pytest.fixture
def make(engine: Engine, tmp_path: Path) -> Iterator[Make]:
    """Makes a pair, of n synthetic records."""
    made: list[Pair] = []

    def make_pair(n: int = 0, noise: float = 0.5) -> Pair:
        place = engine.place(tmp_path / str(len(made)))
        pair = Pair(engine, place, engine.create(place, card()), MemoryIndex(DIM))
        made.append(pair)
        if n:
            table = synthetic_records(n)
            pair.upsert(table, clustered_vectors(table, DIM, noise=noise))
            settle(pair.index)
        return pair

    yield make_pair
    for pair in made:
        pair.index.close()


def queries(n: int, seed: int = 1) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def check_hits(found: list[Hit], naive: list[Hit], n: int, *, exact: bool) -> float:
    """Hold hits to all that fit, the best first; the share of the n best that was found."""
    wanted = dict(naive)
    assert len(found) == min(n, len(naive)), "n are found whenever n fit"
    assert len({hit.id for hit in found}) == len(found)
    for hit in found:
        assert hit.similarity == pytest.approx(wanted[hit.id], abs=CLOSE)
    assert found == sorted(found, key=lambda hit: (-hit.similarity, hit.id))
    if not found:
        return 1.0
    least = naive[len(found) - 1].similarity - CLOSE
    recall = sum(wanted[hit.id] >= least for hit in found) / len(found)
    assert recall == 1 or not exact
    return recall


def check_same(pair: Pair, where: Where) -> float:
    """Hold every method to the naive one under conditions; the mean recall of searches."""
    index, naive = pair.index, pair.naive
    assert index.count(where) == naive.count(where)
    every = naive.browse(10_000, where)
    assert index.browse(10_000, where) == every
    for n, after in ((7, ""), (3, every[len(every) // 2] if every else "x"), (5, "cabinet/a")):
        assert index.browse(n, where, after) == naive.browse(n, where, after)
    assert index.facets(FACETS, where) == naive.facets(FACETS, where)
    assert index.facets(FACETS[::-1], where, 2) == naive.facets(FACETS[::-1], where, 2)
    assert index.facets([], where) == {}
    assert index.facet("family", where, 0) == []
    assert index.years(where) == naive.years(where)
    for degrees in (5.0, 7.5, 90.0):
        cells, wanted = index.places(degrees, where), naive.places(degrees, where)
        assert [cell.n for cell in cells] == [cell.n for cell in wanted]
        np.testing.assert_allclose(cells or [()], wanted or [()], atol=1e-9)
    recalls = []
    asked = queries(3)
    for n in (1, 10, 10_000):
        for found, best in zip(
            index.search(asked, n, where), naive.search(asked, 10_000, where), strict=True
        ):
            recalls.append(check_hits(found, best, n, exact=pair.engine.exact))
    return float(np.mean(recalls))


def check_all(pair: Pair) -> None:
    """Hold all that can be asked to the naive index."""
    assert len(pair.index) == len(pair.naive)
    recalls = [check_same(pair, where) for where in WHERES]
    assert np.mean(recalls) > 0.98
    ids = [*pair.naive.browse(10_000), "nothing", "", *HOSTILE]
    assert pair.index.records(ids) == pair.naive.records(ids)
    there = pair.naive.browse(10_000)[::-1]
    np.testing.assert_array_equal(pair.index.vectors(there), pair.naive.vectors(there))
    for text in ("v", "Van", " vanessa at", "ADMIRAL", "red a", "veined", "-veined", "", " ", "a"):
        for n in (1, 3, 100):
            assert pair.index.suggest(text, n) == pair.naive.suggest(text, n), text


def test_filled_it_answers_as_the_naive_one(make: Make) -> None:
    check_all(make(N))


def test_empty_it_answers_too(make: Make) -> None:
    pair = make()
    check_all(pair)
    assert pair.index.delete(["nothing"]) == 0
    assert pair.index.delete([]) == 0
    assert pair.index.vectors([]).shape == (0, DIM)
    assert pair.index.search(queries(0), 5) == []


def test_replaced_and_deleted_in_any_order_it_holds_what_the_naive_one_holds(make: Make) -> None:
    pair, rng = make(), random.Random(5)
    table = synthetic_records(N)
    for step in range(8):
        rows = sorted(rng.sample(range(N), rng.choice([1, 20, 90])))
        part = table.take(rows)
        if step % 2:  # another species, place and date than before
            other = synthetic_records(N, seed=step).take(rows)
            part = other.set_column(0, "id", part.column("id")).cast(part.schema)
        pair.upsert(part, clustered_vectors(part, DIM, seed=step))
        pair.delete(rng.sample(table.column("id").to_pylist(), rng.choice([1, 15])))
        if step == 3:
            settle(pair.index)
            pair.reopen()
    pair.delete(["nothing", *pair.naive.browse(3), *pair.naive.browse(3), *HOSTILE])
    check_all(pair)
    pair.delete(pair.naive.browse(10_000))
    check_all(pair)


def test_equal_vectors_come_in_the_order_of_ids(make: Make) -> None:
    pair = make(N, noise=0)
    # Of a species all are equal, so the end of any list cuts through some.
    query = pair.naive.vectors(pair.naive.browse(1, Where(equal={"genus": ("Danaus",)})))
    for n in (1, 5, 12, 100):
        for where in (EVERYTHING, WHERES[1], WHERES[18]):
            (found,), (best,) = (
                pair.index.search(query, n, where),
                pair.naive.search(query, n, where),
            )
            check_hits(found, pair.naive.search(query, N, where)[0], n, exact=pair.engine.exact)
            if pair.engine.exact:
                assert [hit.id for hit in found] == [hit.id for hit in best]


def test_no_hits_are_wanted(make: Make) -> None:
    assert make(5).index.search(queries(2), 0) == [[], []]


def test_many_queries_are_answered_each_for_itself(make: Make) -> None:
    pair, asked = make(N), queries(9)
    together = pair.index.search(asked, 4, WHERES[1])
    assert together == [pair.index.search(one[None], 4, WHERES[1])[0] for one in asked]


def test_what_is_no_vector_of_it_is_refused(make: Make) -> None:
    pair = make(5)
    table = synthetic_records(6).slice(5)
    for wrong in (
        queries(1)[:, :-1],
        np.full((1, DIM), np.nan, np.float32),
        np.zeros((1, DIM), np.float32),
        queries(1) * 3,
    ):
        with pytest.raises(VectorError):
            pair.index.upsert(table, wrong)
    with pytest.raises(VectorError):
        pair.index.search(np.ones((1, DIM + 1), np.float32), 3)
    assert len(pair.index) == 5


def test_ids_that_are_empty_or_appear_twice_are_refused(make: Make) -> None:
    pair = make(5)
    for ids in (["new", "new"], ["new", ""]):
        table = conform_records(pa.table({"id": ids}))
        with pytest.raises(DataError):
            pair.index.upsert(table, queries(2))
    assert len(pair.index) == 5, "nothing of a refused write is there"
    pair.index.upsert(conform_records(pa.table({"id": pa.array([], pa.string())})), queries(0))
    assert len(pair.index) == 5


def test_vectors_of_no_record_and_facets_of_no_column_are_refused(make: Make) -> None:
    index = make(5).index
    with pytest.raises(DataError, match="nowhere"):
        index.vectors([*index.browse(2), "nowhere"])
    with pytest.raises(UsageError):
        index.facet("recordedBy")


def test_its_card_can_be_described_anew_but_not_its_encoder(make: Make) -> None:
    pair = make(5)
    assert pair.index.card.encoder == {"weights": "fake"}
    assert pair.index.card.dim == DIM
    pair.index.describe(spec="open_clip:x", notes={"n": [1, 2.5, None, "ü"]})
    pair.index.describe(cards={"b": CARD}, roots={"b": Path("/media/b")})
    with pytest.raises(UsageError):
        pair.index.describe(dim=3)
    pair.reopen()
    found = pair.index.card
    assert (found.spec, found.notes) == ("open_clip:x", {"n": [1, 2.5, None, "ü"]})
    assert (found.cards, found.roots) == ({"b": CARD}, {"b": Path("/media/b")})
    assert (found.encoder, found.dim) == ({"weights": "fake"}, DIM)


def test_its_state_changes_with_every_write_and_not_without(make: Make) -> None:
    pair = make(5)
    states = [pair.index.state]
    table = synthetic_records(6)
    for write in (
        lambda: pair.index.upsert(table.slice(5), queries(1)),
        lambda: pair.index.upsert(table.slice(5), queries(1, seed=2)),
        lambda: pair.index.delete(["cabinet/a b"]),
    ):
        write()
        states.append(pair.index.state)
    assert len(set(states)) == len(states)
    pair.index.search(queries(1), 3)
    assert pair.index.state == states[-1]


@pytest.mark.parametrize("name", NAMED)
def test_opened_again_it_holds_what_was_written(name: str, tmp_path: Path) -> None:
    engine = ENGINES[name]
    place = engine.place(tmp_path / "index")
    naive, table = MemoryIndex(DIM), synthetic_records(N)
    vectors = clustered_vectors(table, DIM)
    with closing(engine.create(place, card())) as index:
        index.upsert(table.slice(0, 100), vectors[:100])
    with closing(engine.open(place)) as index:
        index.upsert(table.slice(50), vectors[50:])
        index.delete(table.column("id").to_pylist()[20:30])
        settle(index)
    naive.upsert(table, vectors)
    naive.delete(table.column("id").to_pylist()[20:30])
    with closing(engine.open(place)) as index:
        check_all(Pair(engine, place, index, naive))


@pytest.mark.parametrize("name", NAMED)
def test_what_one_wrote_the_other_finds_after_a_refresh(name: str, tmp_path: Path) -> None:
    engine, table = ENGINES[name], synthetic_records(60)
    place, naive = engine.place(tmp_path / "index"), MemoryIndex(DIM)
    vectors = clustered_vectors(table, DIM)
    with closing(engine.create(place, card())) as writer, closing(engine.open(place)) as reader:
        for start in range(0, 60, 20):
            for one in (writer, naive):
                one.upsert(table.slice(start, 20), vectors[start : start + 20])
                one.delete(table.column("id").to_pylist()[start : start + 3])
            reader.refresh()
            assert not reader.refresh(), "all of it is taken in at once"
            assert reader.browse(100) == naive.browse(100)
        writer.describe(spec="other")
        reader.refresh()
        assert reader.card.spec == "other"
        check_all(Pair(engine, place, reader, naive))


@pytest.mark.parametrize("name", NAMED)
def test_searches_beside_a_write_see_all_of_it_or_nothing(name: str, tmp_path: Path) -> None:
    engine, table = ENGINES[name], synthetic_records(200)
    place, vectors = engine.place(tmp_path / "index"), clustered_vectors(table, DIM)
    seen, wrong, done = set(), [], threading.Event()
    with closing(engine.create(place, card())) as index:

        def read() -> None:
            try:
                while not done.is_set():
                    seen.add(len(index))
                    assert len(index.search(queries(1), 5)[0]) in (0, 5)
            except BaseException as error:
                wrong.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for start in range(0, 200, 40):
            index.upsert(table.slice(start, 40), vectors[start : start + 40])
        done.set()
        for reader in readers:
            reader.join()
        assert not wrong
        assert seen <= set(range(0, 201, 40))
        assert len(index) == 200


@pytest.mark.parametrize("name", NAMED)
def test_killed_at_any_moment_it_keeps_what_was_acknowledged(name: str, tmp_path: Path) -> None:
    engine, rng = ENGINES[name], random.Random(name)
    place = engine.place(tmp_path / "index")
    engine.create(place, card(slow_upserts.DIM)).close()
    first = 0
    for _ in range(3):
        acknowledged = _upsert_until_killed(name, place, first, rng)
        with closing(engine.open(place)) as index:
            first = _check_batches(index, acknowledged)


def _upsert_until_killed(name: str, place: str, first: int, rng: random.Random) -> int:
    """The last batch that was acknowledged; -1 where none ever was."""
    command = [sys.executable, slow_upserts.__file__, name, place, str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        wanted, last = first + rng.randrange(1, 6), first - 1
        for line in process.stdout:
            last = int(line)
            if last == wanted:
                threading.Timer(rng.uniform(0, 0.03), process.kill).start()
    assert process.returncode == -signal.SIGKILL
    assert last >= wanted
    return last


def _check_batches(index: Index, acknowledged: int) -> int:
    """Hold what is there to what was acknowledged; the next batch that is to be written."""
    there = set(index.browse(1_000_000))
    whole = 0
    while there >= set(slow_upserts.batch_ids(whole)):
        there -= set(slow_upserts.batch_ids(whole))
        if whole:
            before = index.records(slow_upserts.batch_ids(whole - 1))
            assert {row and row["locality"] for row in before} == {f"rewritten by {whole}"}
        whole += 1
    assert not there, "no batch is there by half"
    assert whole > acknowledged, "what was acknowledged is there"
    last = index.records(slow_upserts.batch_ids(whole - 1))
    assert {row and row["locality"] for row in last} == {""}, "nor was one rewritten by half"
    return whole


# Conditions that Hypothesis draws, over one index of each engine.


@pytest.fixture(scope="module", params=NAMED)
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    engine = ENGINES[request.param]
    place = engine.place(tmp_path_factory.mktemp("kept") / "index")
    pair = Pair(engine, place, engine.create(place, card()), MemoryIndex(DIM))
    table = synthetic_records(N, seed=3)
    pair.upsert(table, clustered_vectors(table, DIM, seed=3))
    settle(pair.index)
    yield pair
    pair.index.close()


def _values(column: str) -> st.SearchStrategy[tuple[str, ...]]:
    there = sorted(set(synthetic_records(N, seed=3).column(column).to_pylist()))
    one = st.sampled_from(there) | st.sampled_from(HOSTILE) | st.text(max_size=5)
    return st.lists(one, max_size=3).map(tuple)


# To a tenth of a metre: below a micrometre, engines round differently.
degrees_north = st.floats(-90, 90).map(lambda degrees: round(degrees, 6))
degrees_east = st.floats(-180, 180).map(lambda degrees: round(degrees, 6))
boxes = st.builds(
    lambda a, b, west, east: Box(south=min(a, b), west=west, north=max(a, b), east=east),
    degrees_north,
    degrees_north,
    degrees_east,
    degrees_east,
)
circles = st.builds(Circle, latitude=degrees_north, longitude=degrees_east, km=st.floats(0, 25_000))
dates = st.sampled_from(("", "1750", "1899", "1913-05", "1913-05-27", "2020-02-29"))
equals = st.lists(st.sampled_from(FACETS), max_size=2, unique=True).flatmap(
    lambda columns: st.fixed_dictionaries({column: _values(column) for column in columns})
)


# What `Where` is made of: the checks of types draw at random, which no strategy may.
wheres = st.fixed_dictionaries(
    {
        "equal": equals,
        "box": st.none() | boxes,
        "circle": st.none() | circles,
        "days": st.tuples(dates, dates).map(sorted),
        "has": st.lists(st.sampled_from(HAS), max_size=2).map(tuple),
    }
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(given_=wheres, n=st.integers(0, 30), column=st.sampled_from(FACETS))
def test_any_conditions_mean_what_they_mean_to_the_naive_one(
    kept: Pair, given_: dict[str, Any], n: int, column: str
) -> None:
    since, until = given_["days"]
    rest = {name: value for name, value in given_.items() if name != "days"}
    where = Where(**rest, since=since, until="" if until == since else until)
    index, naive = kept.index, kept.naive
    assert index.count(where) == naive.count(where)
    assert index.browse(n, where, "cabinet/r") == naive.browse(n, where, "cabinet/r")
    assert index.facet(column, where) == naive.facet(column, where)
    assert index.years(where) == naive.years(where)
    cells, wanted = index.places(10.0, where), naive.places(10.0, where)
    assert [cell.n for cell in cells] == [cell.n for cell in wanted]
    (found,), (best,) = index.search(queries(1), n, where), naive.search(queries(1), N, where)
    check_hits(found, best, n, exact=kept.engine.exact)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=8)
    | st.sampled_from(HOSTILE)
    | st.sampled_from(("Vanessa a", "RED", "ter", "green-", "tit", "Parus m", "w")),
    n=st.integers(0, 5),
)
def test_any_text_suggests_what_it_suggests_to_the_naive_one(kept: Pair, text: str, n: int) -> None:
    assert kept.index.suggest(text, n) == kept.naive.suggest(text, n)
