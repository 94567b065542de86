"""The phylogeny is a tree of the right shape, its cuts nest, and traits are inherited along it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from syntype.data.synthetic.phylogeny import ROOT_AGE, evolve, grow

SIZES = st.tuples(*[st.integers(1, 12)] * 3)


@settings(max_examples=30, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 10**6))
def test_the_tree_is_binary_ultrametric_and_has_its_tips(sizes, seed):
    tree = grow(sizes, np.random.default_rng(seed))
    assert len(tree.tips) == sum(sizes)
    assert set(np.flatnonzero(tree.age == 0)) == set(tree.tips.tolist())
    children = np.bincount(tree.parent[1:], minlength=len(tree.parent))
    assert set(children.tolist()) <= {0, 2}
    assert (tree.parent[1:] < np.arange(1, len(tree.parent))).all()
    assert (tree.age[tree.parent[1:]] >= tree.age[1:]).all()
    # Every tip is as far from the root: the ages of the way up add up to the root's.
    for tip in tree.tips:
        path = tree.ancestors(int(tip))
        assert path[-1] == 0
        way = sum(tree.age[above] - tree.age[below] for below, above in pairwise(path))
        assert way == pytest.approx(ROOT_AGE)


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 10**6))
def test_distances_are_an_ultrametric(sizes, seed):
    far = grow(sizes, np.random.default_rng(seed)).distances
    assert (far == far.T).all()
    assert (np.diag(far) == 0).all()
    # The three-point condition: d(i, j) <= max(d(i, k), d(k, j)).
    assert (far[:, :, None] <= np.maximum(far[:, None, :], far.T[None]) + 1e-12).all()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 25), seed=st.integers(0, 10**6), data=st.data())
def test_a_cut_into_k_gives_k_clades_and_cuts_nest(n, seed, data):
    tree = grow([n, 1, 1], np.random.default_rng(seed))
    tips = tree.tips[:n]
    k = data.draw(st.integers(1, n))
    coarse = data.draw(st.integers(1, k))
    fine, broad = tree.clades(tips, k), tree.clades(tips, coarse)
    assert len(set(fine)) == k
    assert len(set(broad)) == coarse
    for clade in set(fine):
        assert len(set(broad[fine == clade])) == 1
        # A clade is all that descends from its crown.
        below = [clade in tree.ancestors(int(tip)) for tip in tips]
        assert (np.array(below) == (fine == clade)).all()


def test_traits_follow_the_ornstein_uhlenbeck_law():
    tree = grow([4, 4, 4], np.random.default_rng(1))
    values = evolve(tree, 20000, np.random.default_rng(2), rate=0.6, jump=0.1)
    tips = values[tree.tips]
    measured = np.corrcoef(tips)
    assert np.allclose(tips.std(axis=1), 1, atol=0.03)
    for i in range(12):
        for j in range(i):
            a, b = (tree.ancestors(int(tree.tips[k])) for k in (i, j))
            n_branches = len(set(a) ^ set(b))
            expected = np.exp(-0.6 * (tree.distances[i, j] + 0.1 * n_branches))
            assert measured[i, j] == pytest.approx(expected, abs=0.04)


def test_relatives_are_alike():
    tree = grow([12, 12, 12], np.random.default_rng(5))
    tips = evolve(tree, 40, np.random.default_rng(6), jump=0.12)[tree.tips]
    apart = np.linalg.norm(tips[:, None] - tips[None], axis=-1)
    above = np.triu_indices(len(tips), 1)
    assert spearmanr(tree.distances[above], apart[above]).statistic > 0.5
