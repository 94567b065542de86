"""Modes are distinct, counts are exact, and specimens cover the modes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.synthetic.modes import PLANS, apportion, choose_modes, long_tail, spread


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.group)
@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_modes_differ_in_more_than_background_and_side(plan, n, seed):
    modes = choose_modes(plan, n, np.random.default_rng(seed))
    assert len(modes) == min(n, len(plan.looks))
    looks = {
        (mode.sex, mode.life_stage, mode.view.replace(" left", "").replace(" right", ""))
        for mode in modes
    }
    assert len(looks) == len(modes)
    assert len({mode.label for mode in modes}) == len(modes)
    assert sum(mode.weight for mode in modes) == pytest.approx(1)
    assert all(mode.background in plan.backgrounds for mode in modes)
    assert not any(mode.life_stage == "larva" and mode.background == "drawer" for mode in modes)


@settings(max_examples=50, deadline=None)
@given(
    shares=st.lists(st.floats(0.01, 10), min_size=1, max_size=12),
    least=st.integers(0, 3),
    free=st.integers(0, 200),
)
def test_apportioned_numbers_are_exact_and_proportional(shares, least, free):
    shares = np.array(shares)
    total = least * len(shares) + free
    counts = apportion(total, shares, least)
    assert counts.sum() == total
    assert counts.min() >= least
    assert (np.abs(counts - least - free * shares / shares.sum()) < 1).all()


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 60),
    surplus=st.integers(0, 500),
    exponent=st.floats(0, 2),
    data=st.data(),
)
def test_the_long_tail_is_exact_falls_and_ends_in_the_singletons(n, surplus, exponent, data):
    n_single = data.draw(st.integers(0, n - 1))
    counts = long_tail(n, n + surplus, exponent, n_single)
    assert counts.sum() == n + surplus
    assert (np.diff(counts) <= 0).all()
    assert (counts[n - n_single :] == 1).all()
    if surplus >= n:
        assert (counts[: n - n_single] >= 2).all()


def test_no_tail_means_equal_numbers_and_all_singletons_are_possible():
    assert long_tail(5, 50, 0.0, 0).tolist() == [10] * 5
    assert long_tail(4, 4, 1.0, 4).tolist() == [1] * 4


@pytest.mark.parametrize("n_images", [1, 2, 3, 7, 40, 300])
def test_specimens_add_up_and_cover_the_modes(n_images):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        modes = choose_modes(PLANS[0], 5, rng)
        specimens = spread(n_images, modes, rng)
        assert sum(shots for _, shots in specimens) == n_images
        assert {shots for _, shots in specimens} <= {1, 2, 3}
        assert {mode for mode, _ in specimens} == set(range(min(n_images, 5)))


def test_common_modes_have_more_specimens():
    rng = np.random.default_rng(0)
    modes = choose_modes(PLANS[0], 4, rng)
    numbers = np.bincount([mode for mode, _ in spread(1000, modes, rng)])
    order = np.argsort([-mode.weight for mode in modes])
    assert (np.diff(numbers[order]) <= 0).all()
    assert numbers.max() > 1.5 * numbers.min()
