"""Calibration against a naive computation, and its bounds."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.errors import UsageError
from syntype.evaluation.calibration import calibration

ANSWERS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60)


def naive(confidence, right, bins):
    """Bins by a loop over the answers; (0, 1/s] is the first, 0 included."""
    cells = [[] for _ in range(bins)]
    for value, hit in zip(confidence, right, strict=True):
        place = next(i for i in range(bins) if value <= (i + 1) / bins)
        cells[place].append((value, hit))
    gaps = [abs(np.mean([v - h for v, h in cell])) if cell else 0.0 for cell in cells]
    ece = sum(len(cell) * gap for cell, gap in zip(cells, gaps, strict=True)) / len(confidence)
    return ece, max(gaps), [len(cell) for cell in cells]


@settings(max_examples=80, deadline=None)
@given(ANSWERS, st.integers(1, 15), st.randoms(use_true_random=False))
def test_errors_are_the_naive_ones_in_any_order(answers, bins, rng):
    confidence = np.array([value / 20 for value, _ in answers])
    right = np.array([hit for _, hit in answers])
    found = calibration(confidence, right, bins)
    ece, mce, sizes = naive(confidence.tolist(), right.tolist(), bins)
    assert found.ece == pytest.approx(ece, abs=1e-12)
    assert found.mce == pytest.approx(mce, abs=1e-12)
    assert [one.n for one in found.bins] == sizes
    assert 0 <= found.ece <= found.mce + 1e-12  # the mean of one bin may round differently
    assert found.mce <= 1
    assert 0 <= found.adaptive_ece <= 1
    assert found.brier == pytest.approx(np.mean((confidence - right) ** 2))
    order = list(range(len(answers)))
    rng.shuffle(order)
    shuffled = calibration(confidence[order], right[order], bins)
    assert shuffled.adaptive_ece == pytest.approx(found.adaptive_ece)
    assert shuffled.ece == pytest.approx(found.ece)
    json.dumps(found.as_json(), allow_nan=False)


def test_probabilities_that_hold_have_a_small_error_and_boasts_a_large_one():
    rng = np.random.default_rng(0)
    confidence = rng.random(40_000)
    honest = calibration(confidence, rng.random(40_000) < confidence)
    assert honest.ece < 0.02
    assert honest.adaptive_ece < 0.02
    boast = calibration(np.full(1000, 0.99), rng.random(1000) < 0.6)
    assert boast.ece == pytest.approx(0.39, abs=0.05)


def test_equal_masses_do_not_hang_on_a_sparse_bin():
    """Nine in ten answers of one confidence: one bin holds them all, and no other is half empty."""
    confidence = np.array([0.9] * 90 + list(np.linspace(0.1, 0.3, 10)))
    right = np.array([True] * 81 + [False] * 19)
    found = calibration(confidence, right, 10)
    assert found.adaptive_ece == pytest.approx(0.1 * 0.2, abs=1e-9)


def test_no_answer_has_no_error():
    found = calibration(np.zeros(0), np.zeros(0, dtype=bool))
    assert (found.n, found.ece, found.adaptive_ece, found.mce, found.brier) == (0, *(None,) * 4)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(UsageError, match="no probabilities"):
        calibration(np.array([0.5, value]), np.array([True, False]))
    with pytest.raises(UsageError, match="at least 1 bin"):
        calibration(np.array([0.5]), np.array([True]), bins=0)
