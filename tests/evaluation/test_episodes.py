"""Draws of few-shot pictures: independent where clean, number for number where published."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.taxa import SPECIES, table, world
from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.evaluation.episodes import Episodes, draw_clean, draw_published
from syntype.evaluation.items import Items
from syntype.taxonomy.taxon import RANKS


def read(names, units=None, order=None):
    rows = table(names, units)
    vectors = np.eye(len(names), dtype=np.float32) + 0.1
    if order is not None:
        rows, vectors = rows.take(order), vectors[order]
    return Items.read(vectors, rows, RANKS, "pictures")


def pictures(episodes, shots, episode):
    rows = episodes.table.to_pylist()
    found = {}
    for row in rows:
        if (row["shots"], row["episode"]) == (shots, episode):
            found.setdefault(row["species"], []).append(row["id"])
    return found


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(5, 9), min_size=2, max_size=4),
    seed=st.integers(0, 9),
    rng=st.randoms(use_true_random=False),
)
def test_clean_draws_hang_on_nothing_else(counts, seed, rng):
    species = SPECIES[: len(counts)]
    names = [name for name, n in zip(species, counts, strict=True) for _ in range(n)]
    units = [f"{name} {row % 3}" for row, name in enumerate(names)]
    whole = draw_clean(read(names, units), species, (1, 5), 3, seed)
    order = list(range(len(names)))
    rng.shuffle(order)
    shuffled = draw_clean(read(names, units, order), species, (1, 5), 3, seed)
    assert shuffled.key == whole.key
    five = draw_clean(read(names, units), species, (5,), 2, seed)
    one_species = draw_clean(read(names, units), species[:1], (5,), 2, seed)
    for episode in range(2):
        drawn = pictures(whole, 5, episode)
        assert drawn == pictures(five, 5, episode), "neither other shots nor other draws matter"
        assert drawn[species[0]] == pictures(one_species, 5, episode)[species[0]]
        assert all(len(set(ids)) == 5 for ids in drawn.values())
        first = pictures(whole, 1, episode)
        assert all(first[name] == drawn[name][:1] for name in species)
        unit_of = dict(zip([f"s{row:04d}" for row in range(len(names))], units, strict=True))
        for ids in drawn.values():
            assert len({unit_of[name] for name in ids[:3]}) == 3, "each unit before a second of one"


def test_draws_differ_by_episode_and_seed():
    items = read(["Aba x"] * 20 + ["Aba y"] * 20)
    keys = {draw_clean(items, SPECIES[:2], (5,), 1, seed).key for seed in range(4)}
    assert len(keys) == 4
    two = draw_clean(items, SPECIES[:2], (5,), 2, 0)
    assert pictures(two, 5, 0) != pictures(two, 5, 1)


def restated(names, shots, folds):
    """The published procedure: lists by class, shuffled in place again and again."""
    lists = {}
    for row, name in enumerate(names):
        lists.setdefault(name, []).append(f"s{row:04d}")
    found = {}
    for k in shots:
        for fold in range(folds):
            random.seed(fold)
            for name in lists:
                random.shuffle(lists[name])
                found[k, fold, name] = lists[name][:k]
    return found


@pytest.mark.parametrize("shots", [(1, 5), (5, 1), (5,)])
def test_published_draws_are_those_of_the_script(shots):
    rng = np.random.default_rng(0)
    names = [str(name) for name in rng.permutation(np.repeat(SPECIES, 9))]
    order = rng.permutation(len(names))  # ids are not in the order of the rows
    rows = table(names)
    ids = [f"s{row:04d}" for row in order]
    rows = rows.set_column(0, "id", [ids])
    items = Items.read(np.eye(len(names), dtype=np.float32) + 0.1, rows, RANKS, "pictures")
    wanted = restated(names, shots, 4)
    named = {f"s{row:04d}": ids[row] for row in range(len(names))}
    found = draw_published(items, shots, 4)
    for k in shots:
        for fold in range(4):
            for name, drawn in pictures(found, k, fold).items():
                assert drawn == [named[one] for one in wanted[k, fold, name]]
    if shots == (1, 5):
        alone = draw_published(items, (5,), 4)
        assert pictures(alone, 5, 0) != pictures(found, 5, 0), "draws depend on those before them"


def test_a_species_with_too_few_pictures_stops_the_published_mode():
    items = read(["Aba x"] * 5 + ["Aba y"] * 3 + ["Baa x"])
    with pytest.raises(UsageError, match=r"2 of the 3 species have fewer than 5 .*mode clean"):
        draw_published(items, (1, 5), 2)


def test_saved_draws_come_back_and_fit_their_data_only(tmp_path: Path):
    vectors, samples = world(60)
    items = Items.read(vectors, samples, RANKS, "pictures")
    drawn = draw_clean(items, SPECIES, (1, 3), 2, 0)
    for name in "ab":
        drawn.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = Episodes.load(tmp_path / "a")
    assert again.key == drawn.key
    rows = again.support(3, 1, items)
    assert rows.shape == (len(SPECIES), 3)
    for name, of_class in zip(SPECIES, rows, strict=True):
        assert {items.labels["species"][row] for row in of_class} == {name}
    other = Items.read(*world(60, prefix="other"), RANKS, "pictures")
    with pytest.raises(DataError, match="which these data lack"):
        again.support(3, 1, other)
    with pytest.raises(DataNotFoundError, match="There are no draws"):
        Episodes.load(tmp_path / "none")
