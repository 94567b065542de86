"""A grown world keeps its promises: exact counts, nested lineages, the same picture every time."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from syntype.data.dataset import RANKS, SCHEMA
from syntype.data.synthetic import WorldConfig, grow_world
from syntype.data.synthetic.modes import PLANS
from syntype.data.synthetic.world import EXTRA_COLUMNS

SMALL = WorldConfig(n_species=30, n_images=300, image_size=48, singletons=0.1)


@pytest.fixture(scope="module")
def world():
    return grow_world(SMALL)


@pytest.fixture(scope="module")
def table(world):
    return world.table().to_pydict()


@settings(max_examples=20, deadline=None)
@given(n=st.integers(3, 40), surplus=st.integers(0, 200), seed=st.integers(0, 1000))
def test_counts_are_exact_and_thirds_are_thirds(n, surplus, seed):
    world = grow_world(WorldConfig(n_species=n, n_images=n + surplus, seed=seed, singletons=0.0))
    assert len(world) == n + surplus == sum(one.n_images for one in world.species)
    groups = [one.plan.group for one in world.species]
    sizes = [groups.count(plan.group) for plan in PLANS]
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    assert len({one.name for one in world.species}) == n
    assert all(one.n_images >= 1 for one in world.species)


def test_the_table_has_the_schema_and_more(world, table):
    assert world.table().column_names == [*SCHEMA.names, *EXTRA_COLUMNS]
    assert len(set(table["id"])) == len(world)
    assert len(set(table["image"])) == len(world)
    assert set(table["split"]) == {""}
    assert set(table["license"]) == {"CC0-1.0"}
    assert table["id"][0] == f"synthetic/{table['image'][0]}"
    for rank in RANKS:
        assert all(table[rank])
    assert all(name.endswith("idae") for name in table["family"])
    assert set(table["class"]) == {"Actinopterygii", "Insecta", "Aves"}


def test_digests_go_into_the_table(world):
    digests = [f"{i:064x}" for i in range(len(world))]
    assert world.table(digests).column("imageDigest").to_pylist() == digests


def test_lineages_nest(table):
    for upper, lower in pairwise(RANKS):
        above = defaultdict(set)
        for high, low in zip(table[upper], table[lower], strict=True):
            above[low].add(high)
        assert all(len(found) == 1 for found in above.values()), (upper, lower)
    counts = [len(set(table[rank])) for rank in ("order", "family", "genus", "species")]
    assert counts == sorted(counts)
    assert counts[-2] < counts[-1]


def test_a_genus_is_a_clade(world):
    far = world.tree.distances
    genus = np.array([one.lineage["genus"] for one in world.species])
    for name in set(genus):
        inside = genus == name
        if inside.sum() > 1:
            assert far[np.ix_(inside, inside)].max() <= far[np.ix_(inside, ~inside)].min()


def test_relatives_have_like_traits(world):
    traits = np.stack([one.traits.as_array() for one in world.species])
    apart = np.linalg.norm(traits[:, None] - traits[None], axis=-1)
    above = np.triu_indices(len(traits), 1)
    assert spearmanr(world.tree.distances[above], apart[above]).statistic > 0.25


def test_a_specimen_has_one_mode_and_one_to_three_pictures(table):
    modes, shots = defaultdict(set), defaultdict(int)
    for unit, mode in zip(table["unit"], table["mode"], strict=True):
        modes[unit].add(mode)
        shots[unit] += 1
    assert all(len(found) == 1 for found in modes.values())
    assert set(shots.values()) == {1, 2, 3}


def test_true_modes_are_those_that_pictures_show(world, table):
    assert world.n_true_modes == len(set(table["mode"]))
    assert world.n_true_modes > len(world.species)
    for one in world.species:
        seen = {m for s, m in zip(table["species"], table["mode"], strict=True) if s == one.name}
        assert len(seen) == world.modes_per_species[one.name] <= len(one.modes)


def test_the_tail_reaches_one_where_asked():
    counts = [one.n_images for one in grow_world(SMALL).species]
    assert counts.count(1) == 3
    assert max(counts) > 2 * np.median(counts)


def test_groups_get_like_shares_of_the_pictures():
    for seed in range(3):
        world = grow_world(WorldConfig(n_species=60, n_images=5000, seed=seed))
        groups = [world.species[picture.species].plan.group for picture in world.pictures]
        shares = [groups.count(plan.group) / 5000 for plan in PLANS]
        assert min(shares) > 0.27


def test_a_picture_depends_on_its_row_only(world):
    rows = [0, 150, 299, 7]
    again = grow_world(SMALL)
    forth = [world.draw(row) for row in rows]
    back = [again.draw(row) for row in reversed(rows)][::-1]
    for one, other in zip(forth, back, strict=True):
        assert one.dtype == np.uint8
        assert one.shape == (48, 48, 3)
        assert (one == other).all()


def test_another_seed_is_another_world(world):
    other = grow_world(replace(SMALL, seed=1))
    assert not {one.name for one in other.species} & {one.name for one in world.species}
    assert (other.draw(0) != world.draw(0)).any()


def test_every_view_and_background_can_be_drawn(world, table):
    names = ("taxonGroup", "lifeStage", "view", "background")
    kinds = zip(*(table[name] for name in names), strict=True)
    first = {}
    for row, kind in enumerate(kinds):
        first.setdefault(kind, row)
    assert len(first) > 25
    for kind, row in first.items():
        picture = world.draw(row)
        assert picture.std() > 8, kind
        assert picture.max() > 60, kind


def test_without_nuisance_shots_are_alike_and_the_field_tells_them_apart():
    gaps = []
    for nuisance in (0.0, 1.0):
        world = grow_world(replace(SMALL, nuisance=nuisance))
        pair = next(
            row
            for row in range(len(world) - 1)
            if world.pictures[row].specimen == world.pictures[row + 1].specimen
            and world.pictures[row].species == world.pictures[row + 1].species
        )
        a, b = (world.draw(row).astype(float) for row in (pair, pair + 1))
        gaps.append(np.abs(a - b).mean())
    assert gaps[0] < 0.5 * gaps[1]


@pytest.mark.parametrize("size", [32, 200])
def test_a_picture_scales_with_its_side(size):
    world = grow_world(replace(SMALL, image_size=size))
    picture = world.draw(5)
    assert picture.shape == (size, size, 3)
    coarse = picture[: size // 4 * 4, : size // 4 * 4].reshape(4, size // 4, 4, size // 4, 3)
    small = grow_world(replace(SMALL, image_size=64)).draw(5).reshape(4, 16, 4, 16, 3)
    gap = coarse.mean(axis=(1, 3)) - small.mean(axis=(1, 3))
    assert np.abs(gap).mean() < 8
