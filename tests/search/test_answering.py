"""Answers: pages that stay put while records come and go, groups, diversity, against naive ones."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.collection import SET, clustered_vectors, synthetic_index, synthetic_records
from fakes.memory_index import MemoryIndex
from syntype.errors import UsageError
from syntype.search.answering import (
    GROUPS,
    SHOWN_OF_GROUP,
    answer,
    ask,
    marginal_relevance,
)
from syntype.search.asking import Asker
from syntype.search.calibration import Calibration
from syntype.search.question import At, Question
from syntype.search.records import conform_records
from syntype.search.where import Where

DIM = 6
TABLE = synthetic_records(90, seed=1)
# Several records of a species have equal vectors here: ties everywhere.
VECTORS = np.concatenate(
    [
        clustered_vectors(TABLE.slice(0, 60), DIM, noise=0.7),
        clustered_vectors(TABLE.slice(60), DIM, noise=0.0),
    ]
)
seeds = st.integers(0, 10**6)


def index_of(rows: range | np.ndarray = range(90)) -> MemoryIndex:
    index = MemoryIndex(DIM)
    numbers = list(map(int, rows))
    if numbers:
        index.upsert(TABLE.take(numbers), VECTORS[numbers])
    return index


def query(seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(DIM)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def pages(index: MemoryIndex, vector: np.ndarray | None, **options) -> list:
    found, after = [], ""
    while True:
        page = answer(index, vector, after=after, **options)
        found.append(page)
        after = page.next
        if not after:
            return found


def ids_of(page) -> list[str]:
    return [one.record["id"] for one in page.found]


@given(seeds, st.integers(1, 40), st.sampled_from([Where(), Where(has=("place",))]))
@settings(max_examples=15, deadline=None)
def test_pages_are_the_ranking_cut_to_pieces(seed: int, n: int, where: Where) -> None:
    index, vector = index_of(), query(seed)
    (ranking,) = index.search(vector[None], 1000, where)
    found = pages(index, vector, n=n, where=where)
    assert [id_ for page in found for id_ in ids_of(page)] == [hit.id for hit in ranking]
    assert all(len(page.found) == n for page in found[:-1])
    assert [one.similarity for page in found for one in page.found] == [
        hit.similarity for hit in ranking
    ]
    assert {page.total for page in found} == {index.count(where)}


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_order_in_which_records_came_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffled = index_of(rng.permutation(90))
    for options in ({}, {"group": "genus"}, {"diversity": 0.4}):
        first = answer(index_of(), query(seed), n=12, **options)
        assert answer(shuffled, query(seed), n=12, **options) == first


@given(seeds, st.integers(1, 12), st.sampled_from(["", "species", "family", "0.5"]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_nothing_comes_twice_and_what_stays_is_not_passed_over(
    seed: int, n: int, kind: str, browsing: bool
) -> None:
    """Between the pages records are deleted, added and replaced, at random."""
    rng = np.random.default_rng(seed)
    start = rng.permutation(90)[:60]
    index = index_of(np.sort(start))
    options: dict = {"diversity": 0.5} if kind == "0.5" else {"group": kind}
    vector = None if browsing else query(seed)
    if browsing:
        options = {}
    ids = TABLE.column("id").to_pylist()
    stayed = {ids[number] for number in start}
    seen: list[str] = []
    groups: list[str] = []
    after = ""
    while True:
        page = answer(index, vector, n=n, after=after, **options)
        seen += ids_of(page)
        groups += [group.name for group in page.groups or ()]
        after = page.next
        if not after:
            break
        gone = [ids[number] for number in rng.integers(0, 90, 3)]
        index.delete(gone)
        stayed -= set(gone)
        come = np.unique(rng.integers(0, 90, 3))
        index.upsert(TABLE.take(come.tolist()), VECTORS[come])
    if options.get("group"):
        assert len(set(groups)) == len(groups)
        rank = options["group"]
        kept = {row[rank] for row in index.records(sorted(stayed)) if row is not None}
        assert kept <= set(groups)
    else:
        # What was shown, deleted and added anew behind its old place was not shown as it is now.
        assert len(set(seen)) == len(seen)
        assert stayed <= set(seen)


def naive_groups(index: MemoryIndex, vector: np.ndarray, rank: str, where: Where) -> dict:
    (ranking,) = index.search(vector[None], 10**6, where)
    taxa: dict[str, list] = {}
    for hit in ranking:
        (row,) = index.records([hit.id])
        taxa.setdefault(row[rank], []).append(hit)
    return taxa


@given(seeds, st.sampled_from(GROUPS), st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_groups_are_those_of_the_full_ranking(seed: int, rank: str, n: int) -> None:
    index, vector, where = index_of(), query(seed), Where(has=("image",))
    wanted = naive_groups(index, vector, rank, where)
    found = pages(index, vector, n=n, group=rank, where=where)
    groups = [group for page in found for group in page.groups]
    assert [group.name for group in groups] == list(wanted)
    for group in groups:
        hits = wanted[group.name]
        assert group.ids == tuple(hit.id for hit in hits[:SHOWN_OF_GROUP])
        assert (group.best, group.n, group.rank) == (hits[0].similarity, len(hits), rank)
    assert all(len(page.groups) == n for page in found[:-1])
    for page in found:
        assert ids_of(page) == [id_ for group in page.groups for id_ in group.ids]


def test_groups_are_looked_for_deeper_where_one_species_fills_the_top() -> None:
    rows = [{"id": f"a{i:04d}", "species": "Parus major"} for i in range(700)]
    rows += [{"id": f"b{i}", "species": f"Parus {i}"} for i in range(5)]
    vectors = np.tile(np.eye(DIM, dtype=np.float32)[0], (705, 1))
    vectors[700:] = np.eye(DIM, dtype=np.float32)[1]
    index = MemoryIndex(DIM)
    index.upsert(conform_records(pa.Table.from_pylist(rows)), vectors)
    page = answer(index, np.eye(DIM, dtype=np.float32)[0], n=4, group="species")
    assert [group.name for group in page.groups] == ["Parus major", "Parus 0", "Parus 1", "Parus 2"]
    assert page.groups[0].n == 700


def naive_relevance(
    vectors: np.ndarray, similarities: np.ndarray, n: int, diversity: float, before: list[int]
) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < n and len(chosen) + len(before) < len(vectors):
        scores = {}
        for row in range(len(vectors)):
            if row in chosen or row in before:
                continue
            near = [float(np.dot(vectors[row].astype(float), vectors[other].astype(float)))
                    for other in (*before, *chosen)]  # fmt: skip
            nearest = max(near, default=0.0)
            scores[row] = (1 - diversity) * similarities[row] - diversity * nearest
        best = max(scores.values())
        chosen.append(min(row for row, score in scores.items() if score > best - 1e-12))
    return chosen


@given(seeds, st.floats(0, 1), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_relevance_is_that_of_the_formula(seed: int, diversity: float, n_before: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((20, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarities = np.sort(vectors @ vectors[3])[::-1].astype(np.float64)
    before = rng.permutation(20)[:n_before].tolist()
    found = marginal_relevance(vectors, similarities, 8, diversity, before)
    assert found == naive_relevance(vectors, similarities, 8, diversity, before)


def test_diversity_of_nothing_is_the_plain_order_and_much_spreads_species() -> None:
    index, vector = index_of(), VECTORS[0]
    plain = answer(index, vector, n=20)
    assert answer(index, vector, n=20, diversity=0.0) == plain
    little = answer(index, vector, n=20, diversity=1e-9)
    assert ids_of(little) == ids_of(plain)
    diverse = answer(index, vector, n=20, diversity=0.6)
    assert diverse.found[0] == plain.found[0]

    def n_species(page) -> int:
        return len({one.record["species"] for one in page.found})

    assert n_species(diverse) > n_species(plain)


def test_browsing_is_in_the_order_of_ids() -> None:
    index = index_of()
    found = pages(index, None, n=13)
    assert [id_ for page in found for id_ in ids_of(page)] == index.browse(100)
    assert all(one.similarity is None and one.closeness is None for one in found[0].found)
    for options in ({"group": "species"}, {"diversity": 0.3}):
        with pytest.raises(UsageError, match="nothing is given"):
            answer(index, None, **options)


@pytest.mark.parametrize(
    "options",
    [{"n": 0}, {"diversity": 1.1}, {"diversity": float("nan")}, {"group": "phylum"},
     {"group": "genus", "diversity": 0.2}],
)  # fmt: skip
def test_impossible_options_are_refused(options: dict) -> None:
    with pytest.raises(UsageError):
        answer(index_of(), query(), **options)


def test_a_cursor_is_of_one_question() -> None:
    index = index_of()
    after = answer(index, query(), n=5).next
    nudged = query() + np.float32(1e-5)  # the same picture, encoded on another machine
    assert answer(index, nudged, n=5, after=after).found
    for vector, options in (
        (query(1), {}),
        (None, {}),
        (query(), {"where": Where(has=("place",))}),
        (query(), {"group": "species"}),
        (query(), {"diversity": 0.5}),
    ):
        with pytest.raises(UsageError, match="another question"):
            answer(index, vector, n=5, after=after, **options)
    with pytest.raises(UsageError, match="another question"):
        answer(index, query(), n=5, after=answer(index, None, n=5).next)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda held: held.hex()))
@settings(max_examples=30, deadline=None)
def test_broken_cursors_are_refused(text: str) -> None:
    index = index_of(range(10))
    whole = answer(index, query(), n=2).next
    for broken in (
        text or "x",
        whole[:-3],
        whole[3:],
        whole.swapcase(),
        whole + text + "A",
        "A" * 20_000,
    ):
        if broken != whole:
            with pytest.raises(UsageError, match="Begin with the first page"):
                answer(index, query(), n=2, after=broken)


def test_a_cursor_may_stand_in_an_address() -> None:
    after = answer(index_of(), query(), n=5).next
    assert set(after) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_examples_are_no_answers_and_calibration_is_told_where_it_holds() -> None:
    index = synthetic_index(80, DIM)
    asker = Asker(index.card)
    curve = Calibration(form="logistic", slope=10.0, offset=-5.0, level=0.3)
    id_ = f"{SET}/a#b"
    alone = Question(likes=((id_, 1.0),))
    page = ask(index, alone, asker.vector(alone, index), n=10, calibration=curve)
    assert id_ not in ids_of(page)
    similarities = np.array([one.similarity for one in page.found])
    assert [one.closeness for one in page.found] == pytest.approx(curve.closeness(similarities))
    assert page.nothing_close == (curve.closeness(similarities)[0] < 0.3)
    several = Question(likes=((id_, 1.0), (f"{SET}/plain", 1.0)))
    page = ask(index, several, asker.vector(several, index), n=10, calibration=curve)
    assert {one.closeness for one in page.found} == {None}
    assert not page.nothing_close
    assert ask(index, Question(), None, n=3).found[0].similarity is None


def test_nothing_close_is_said_of_the_best_hit_on_every_page() -> None:
    index = index_of()
    strict = Calibration(form="logistic", slope=1.0, offset=-50.0)
    mild = Calibration(form="logistic", slope=1.0, offset=50.0)
    for calibration, said in ((strict, True), (mild, False), (None, False)):
        for options in ({}, {"group": "genus"}, {"diversity": 0.2}):
            first = answer(index, query(), n=4, calibration=calibration, **options)
            second = answer(
                index, query(), n=4, after=first.next, calibration=calibration, **options
            )
            assert first.nothing_close == second.nothing_close == said
    assert not answer(index, query(), where=Where(equal={"sex": ("none",)})).nothing_close


@pytest.mark.parametrize(
    ("question", "far"),
    [
        (Question(likes=(("a", 1.0),)), False),
        (Question(pictures=((b"", 1.0),)), False),
        (Question(likes=(("a", 1.0),), texts=(("red", 1.0),)), True),
        (Question(likes=(("a", 1.0),), unlike_texts=(("red", 1.0),)), True),
        (Question(places=(At(latitude=1.0, longitude=2.0),)), True),
    ],
)
def test_the_index_is_told_what_lies_far_from_every_picture(question: Question, far: bool) -> None:
    index, told = index_of(), []
    real = index.search

    def search(*given, far: bool):
        told.append(far)
        return real(*given, far=far)

    index.search = search  # type: ignore[method-assign]

    ask(index, question, query())
    assert told == [far]


def test_records_that_go_while_they_are_looked_up_are_left_out() -> None:
    index = index_of()
    (hits,) = index.search(query()[None], 3)
    real = index.search

    def search(*given, **named):
        found = real(*given, **named)
        index.delete([hits[0].id])
        return found

    index.search = search  # type: ignore[method-assign]
    assert ids_of(answer(index, query(), n=2)) == [hits[1].id]
    assert len(answer(index, query(), n=3, group="family").groups) == 3
    assert hits[0].id not in ids_of(answer(index, query(), n=2, diversity=0.5))
