from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.dataset import SCHEMA, Dataset
from syntype.data.records import SPLITS
from syntype.data.splits import (
    complete_split,
    make_split,
    singletons,
    units_cut,
    unseen_split,
)

FRACTIONS = (0.6, 0.2, 0.2)
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 30)).map(
        lambda pair: (f"species {pair[0]}", f"unit {pair[0]}-{pair[1]}")
    ),
    max_size=80,
)


def split(rows: list[tuple[str, str]], fractions=FRACTIONS, seed: int = 0) -> list[str]:
    labels, units = [label for label, _ in rows], [unit for _, unit in rows]
    return make_split(units, labels, fractions, seed).tolist()


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_units_stay_whole_and_the_order_of_rows_does_not_matter(rows, random, seed) -> None:
    found = split(rows, seed=seed)
    assert set(found) <= set(SPLITS)
    of_unit = dict(zip([unit for _, unit in rows], found, strict=True))
    assert [of_unit[unit] for _, unit in rows] == found
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert split(shuffled, seed=seed) == [of_unit[unit] for _, unit in shuffled]


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_every_species_is_where_its_number_of_units_lets_it_be(rows) -> None:
    found = split(rows)
    units = Counter(label for label, _ in set(rows))
    if not units or max(units.values()) == 1:
        return
    for species, n in units.items():
        there = {s for s, (label, _) in zip(found, rows, strict=True) if label == species}
        expected = {1: {"train"}, 2: {"train", "test"}}.get(n, set(SPLITS))
        assert there == expected


@given(st.integers(5, 60), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_shares_are_near_within_each_species(n: int, seed: int) -> None:
    found = Counter(split([("a", f"u{i}") for i in range(n)] + [("b", "1"), ("b", "2")], seed=seed))
    for name, share in zip(SPLITS, FRACTIONS, strict=True):
        assert abs(found[name] - share * n) <= 2


def test_large_units_do_not_spoil_the_shares() -> None:
    rows = [("a", f"u{i}") for i in range(40) for _ in range(1 + 10 * (i % 5))]
    found = Counter(split(rows))
    for name, share in zip(SPLITS, FRACTIONS, strict=True):
        assert abs(found[name] / len(rows) - share) < 0.05


def test_species_do_not_depend_on_each_other() -> None:
    rows = [("a", f"u{i}") for i in range(20)]
    assert split(rows) == split(rows + [("b", f"v{i}") for i in range(9)])[:20]


def test_the_seed_matters() -> None:
    rows = [("a", f"u{i}") for i in range(20)]
    assert split(rows, seed=1) != split(rows, seed=2)


def test_singletons_go_to_train_unless_there_is_nothing_else() -> None:
    assert split([("a", "1"), ("b", "2"), ("b", "3")])[0] == "train"
    found = Counter(split([(f"s{i}", f"u{i}") for i in range(100)]))
    assert found == {"train": 60, "val": 20, "test": 20}


def test_a_share_of_zero_gets_nothing() -> None:
    rows = [("a", f"u{i}") for i in range(10)] + [("b", "x")]
    assert set(split(rows, (0.0, 0.0, 1.0))) == {"test"}
    assert set(split(rows, (0.5, 0.0, 0.5))) == {"train", "test"}


def test_a_unit_with_several_species_counts_for_the_most_frequent() -> None:
    rows = [("a", "u"), ("a", "u"), ("b", "u"), ("b", "v"), ("b", "w"), ("b", "x"), ("a", "y")]
    found = split(rows)
    assert len(set(found[:3])) == 1
    assert set(found[3:6]) == set(SPLITS)


def complete(given: list[str], units: list[str] | None = None) -> list[str]:
    names = units or [f"u{i}" for i in range(len(given))]
    return complete_split(names, ["a"] * len(given), given, FRACTIONS, 0).tolist()


def test_a_given_split_stays() -> None:
    words = ["train", "val", "test", "train"]
    assert complete(words) == words
    assert complete(["test"] * 3) == ["test"] * 3


def test_val_comes_out_of_train_and_test_stays() -> None:
    found = complete(["train"] * 80 + ["test"] * 20)
    assert found[80:] == ["test"] * 20
    assert Counter(found[:80]) == {"train": 60, "val": 20}


def test_rows_without_a_split_follow_their_unit_or_are_split() -> None:
    found = complete(
        ["train", "val", "test", "", ""] + [""] * 50,
        ["a", "b", "c", "c", "b"] + [f"u{i}" for i in range(50)],
    )
    assert found[3:5] == ["test", "val"]
    assert set(found[5:]) == set(SPLITS)


def test_nothing_given_is_a_split_made() -> None:
    rows = [("a", f"u{i}") for i in range(20)]
    assert complete([""] * 20) == split(rows)


def dataset(**columns: list[str]) -> Dataset:
    n = len(next(iter(columns.values())))
    empty = {name: [""] * n for name in SCHEMA.names}
    return Dataset(pa.table({**empty, **columns}, schema=SCHEMA), {})


def test_units_cut_and_singletons_are_counted() -> None:
    one = dataset(
        unit=["a", "a", "b", "c"],
        split=["train", "test", "test", "test"],
        species=["x", "x", "x", "y"],
        taxonGroup=["Fish"] * 4,
    )
    assert units_cut(one) == ["a"]
    assert singletons(one) == {"Fish": 1}


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_sets(n: int) -> None:
    assert isinstance(make_split(["u"] * n, ["a"] * n, FRACTIONS, 0), np.ndarray)


SHARED = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 12)).map(
        # A unit of some species: units may hold several.
        lambda pair: (f"species {pair[0]}", f"unit {pair[1]}" if pair[1] < 4 else f"{pair}")
    ),
    max_size=80,
)


def unseen(rows: list[tuple[str, str]], seed: int = 0) -> list[str]:
    labels, units = [label for label, _ in rows], [unit for _, unit in rows]
    genera = [(f"group {int(label[-1]) % 2}", f"genus {int(label[-1]) % 4}") for label in labels]
    return unseen_split(units, labels, genera, FRACTIONS, seed).tolist()


@given(SHARED, st.randoms(use_true_random=False), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_unseen_species_never_train_and_units_stay_whole(rows, random, seed) -> None:
    found = unseen(rows, seed)
    of_unit = dict(zip([unit for _, unit in rows], found, strict=True))
    assert [of_unit[unit] for _, unit in rows] == found
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert unseen(shuffled, seed) == [of_unit[unit] for _, unit in shuffled]


def by_species(rows: list[tuple[str, str]], found: list[str]) -> dict[str, set[str]]:
    """Species to the splits that it is in."""
    splits: dict[str, set[str]] = {}
    for (label, _), one in zip(rows, found, strict=True):
        splits.setdefault(label, set()).add(one)
    return splits


@given(ROWS, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_unseen_species_are_in_one_split_only(rows, seed) -> None:
    for found in by_species(rows, unseen(rows, seed)).values():
        assert "train" in found or len(found) == 1


@given(ROWS, st.integers(0, 4), st.sampled_from([split, unseen]))
@settings(max_examples=60, deadline=None)
def test_a_species_that_goes_changes_no_seen_one(rows, gone, divide) -> None:
    # Two units each: where every species has one only, they are spread as if of one species.
    rows = [(label, unit + half) for label, unit in rows for half in ("", "'")]
    without = [row for row in rows if row[0] != f"species {gone}"]
    before, after = divide(rows), divide(without)
    kept = [one for row, one in zip(rows, before, strict=True) if row in set(without)]
    seen = [
        {label for label, found in by_species(*one).items() if "train" in found}
        for one in ((rows, before), (without, after))
    ]
    for (label, _), first, second in zip(without, kept, after, strict=True):
        assert first == second or label not in seen[0] & seen[1]


@pytest.mark.parametrize("seed", range(5))
def test_unseen_species_are_spread_over_the_genera(seed: int) -> None:
    sizes = {"Aus": 10, "Bus": 20, "Cus": 5, "": 5}
    rows = [(genus, f"{genus} {i}") for genus, n in sizes.items() for i in range(n)]
    held = unseen_split(
        [f"{name}/{j}" for _, name in rows for j in range(3)],
        [name for _, name in rows for _ in range(3)],
        [("Bird", genus) for genus, _ in rows for _ in range(3)],
        FRACTIONS,
        seed,
    )[::3]
    whole = [(genus, name) for genus, name in rows]
    tested = Counter(genus for (genus, _), one in zip(whole, held, strict=True) if one == "test")
    assert tested["Bus"] >= 4
    assert tested["Aus"] >= 2
    assert tested["Cus"] >= 1


@pytest.mark.parametrize("fractions", [(0.6, 0.2, 0.2), (0.2, 0.4, 0.4), (0.1, 0.0, 0.9)])
@pytest.mark.parametrize("n", [3, 4, 7])
def test_a_group_keeps_a_species_that_is_seen(n: int, fractions: tuple[float, ...]) -> None:
    rows = [(f"species {i}", f"unit {i}/{j}") for i in range(n) for j in range(9)]
    labels, units = [label for label, _ in rows], [unit for _, unit in rows]
    found = unseen_split(units, labels, [("Bird", "")] * len(rows), fractions, 0).tolist()
    splits = by_species(rows, found)
    assert any("train" in one for one in splits.values())
    assert any(one == {"test"} for one in splits.values())


def test_whole_species_of_each_group_are_kept_from_training() -> None:
    rows = [(f"species {i}", f"unit {i}/{j}") for i in range(10) for j in range(8)]
    splits = by_species(rows, unseen(rows))
    alone = {name: found for name, found in splits.items() if "train" not in found}
    for group in (0, 1):
        held = [found for name, found in alone.items() if int(name[-1]) % 2 == group]
        assert sorted(map(tuple, held)) == [("test",), ("val",)], "one of five each"
    seen = [found for name, found in splits.items() if name not in alone]
    assert all(found == set(SPLITS) for found in seen)


def test_two_species_leave_none_to_keep() -> None:
    rows = [(f"species {i}", f"unit {i}/{j}") for i in (0, 2) for j in range(8)]
    assert set(unseen(rows)) == set(SPLITS)
    assert "train" in unseen(rows)[:8]
