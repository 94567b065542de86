import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from syntype.errors import DataError
from syntype.evaluation.distribution import block_weights, interval, mean_of_species, measures

seeds = st.integers(0, 10_000)


def drawn(seed, n=60, rounded=False):
    rng = np.random.default_rng(seed)
    present = rng.uniform(size=n) < 0.3
    present[:2] = True, False
    scores = rng.normal(size=n) + present
    return (np.round(scores) if rounded else scores), present


def naive_boyce(scores, present, weights):
    """Hirzel's index, window by window."""
    low, high = scores.min(), scores.max()
    width = (high - low) / 10
    ratios, middles = [], []
    for start in np.linspace(low, high - width, 101):
        stop = high if start == high - width else start + width
        inside = (scores >= start) & (scores <= stop)
        if inside.any():
            share = weights[inside & present].sum() / weights[present].sum()
            ratios.append(round(share / (weights[inside].sum() / weights.sum()), 9))
            middles.append(start + width / 2)
    return spearmanr(ratios, middles)[0]


@given(seeds, st.booleans())
@settings(max_examples=40, deadline=None)
def test_measures_are_scikit_learns_and_hirzels(seed, rounded):
    scores, present = drawn(seed, rounded=rounded)
    found = measures(scores, present)
    assert found["auc"][0] == pytest.approx(roc_auc_score(present, scores))
    expected = average_precision_score(present, scores)
    assert found["averagePrecision"][0] == pytest.approx(expected)
    assert found["boyce"][0] == pytest.approx(naive_boyce(scores, present, np.ones(60)), abs=1e-9)


@given(seeds, st.booleans())
@settings(max_examples=20, deadline=None)
def test_weights_count_sites_as_often_as_they_say(seed, rounded):
    scores, present = drawn(seed, rounded=rounded)
    weights = np.random.default_rng(seed + 1).exponential(size=(2, 60))
    found = measures(scores, present, weights)
    for row in range(2):
        w = weights[row]
        assert found["auc"][row] == pytest.approx(roc_auc_score(present, scores, sample_weight=w))
        expected = average_precision_score(present, scores, sample_weight=w)
        assert found["averagePrecision"][row] == pytest.approx(expected)
        assert found["boyce"][row] == pytest.approx(naive_boyce(scores, present, w), abs=1e-6)


def test_the_ends_of_each_measure():
    scores = np.linspace(0, 1, 500)
    better = measures(scores, np.random.default_rng(0).uniform(size=500) < scores**2)
    assert better["boyce"][0] > 0.95
    worse = measures(-scores, np.random.default_rng(0).uniform(size=500) < scores**2)
    assert worse["boyce"][0] < -0.95
    perfect = measures(np.arange(4.0), np.array([False, False, True, True]))
    assert (perfect["auc"][0], perfect["averagePrecision"][0]) == (1, 1)
    equal = measures(np.ones(4), np.array([False, False, False, True]))
    assert (equal["auc"][0], equal["averagePrecision"][0]) == (0.5, 0.25)
    assert np.isnan(equal["boyce"][0])
    for present in (np.zeros(4, bool), np.ones(4, bool)):
        assert all(np.isnan(value[0]) for value in measures(np.arange(4.0), present).values())


def test_broken_scores_are_refused():
    with pytest.raises(DataError, match="1 of 2 scores"):
        measures(np.array([0.0, np.nan]), np.array([True, False]))


def test_sites_of_a_block_share_their_weight():
    weights = block_weights(["a", "b", "a", "c"], 50, seed=1)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    assert (weights > 0).all()
    shuffled = block_weights(["c", "a", "b"], 50, seed=1)
    np.testing.assert_array_equal(shuffled[:, 1], weights[:, 0])
    assert not np.array_equal(block_weights(["a"], 5, seed=2), block_weights(["a"], 5, seed=1))


def test_an_interval_surrounds_its_estimate():
    draws = np.random.default_rng(0).normal(0.7, 0.1, 4000)
    low, high = interval(0.8, draws)
    assert (low, high) == (pytest.approx(0.8 - 0.196, abs=0.02), pytest.approx(0.996, abs=0.02))
    assert interval(0.95, draws, bounds=(0.0, 1.0))[1] == 1.0
    assert interval(0.8, np.full(5, 0.3)) == (None, None)
    assert interval(float("nan"), draws) == (None, None)


def test_intervals_cover_when_blocks_are_what_varies():
    """Sites of a block succeed or fail together; resampling sites would cover far too seldom."""
    truth, covered, n_worlds = 0.5, 0, 40
    for world in range(n_worlds):
        rng = np.random.default_rng(world)
        blocks = np.repeat(np.arange(30), 20)
        present = rng.uniform(size=600) < 0.5
        scores = rng.normal(size=30)[blocks] + rng.normal(size=600) * 0.1
        weights = block_weights([str(block) for block in blocks], 200, seed=world)
        drawn = measures(scores, present, weights)["auc"]
        low, high = interval(float(measures(scores, present)["auc"][0]), drawn)
        covered += low <= truth <= high
    assert covered >= 0.85 * n_worlds


def test_species_without_a_value_do_not_count():
    nothing, half, whole = np.array([np.nan, 1]), np.array([0.5, 0.5]), np.array([1.0, 0.9])
    np.testing.assert_allclose(mean_of_species([nothing, half, whole]), [0.75, 0.7])
    assert np.isnan(mean_of_species([nothing])).all()
