import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from syntype.evaluation import metrics

QUICK = settings(max_examples=60, deadline=None)


@st.composite
def ranked_lists(draw):
    """Relevant flags of whole ranked lists, and how many are relevant."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
    relevant = draw(hnp.arrays(bool, shape))
    return relevant, relevant.sum(axis=1)


def naive_average_precision(relevant, r):
    if r == 0:
        return np.nan
    return sum(relevant[: i + 1].mean() for i in range(r) if relevant[i]) / r


@QUICK
@given(ranked_lists(), st.integers(1, 15))
def test_metrics_equal_their_definitions(lists, k):
    relevant, r = lists
    recall = metrics.recall_at_k(relevant, r, k)
    precision = metrics.precision_at_r(relevant, r)
    average = metrics.average_precision_at_r(relevant, r)
    assert recall.dtype == precision.dtype == average.dtype == np.float32
    for i, row in enumerate(relevant):
        hit = np.nan if r[i] == 0 else float(any(row[:k]))
        np.testing.assert_equal(float(recall[i]), hit)
        np.testing.assert_allclose(precision[i], row[: r[i]].mean() if r[i] else np.nan, rtol=1e-6)
        np.testing.assert_allclose(average[i], naive_average_precision(row, r[i]), rtol=1e-6)


def test_worked_example_of_average_precision_at_r():
    # R = 3; ranks 1 and 3 are right: (1/1 + 2/3) / 3. The hit at rank 4 is too late to count.
    relevant = np.array([[True, False, True, True]])
    average = metrics.average_precision_at_r(relevant, np.array([3]))
    assert average[0] == pytest.approx((1 + 2 / 3) / 3)
    assert metrics.precision_at_r(relevant, np.array([3]))[0] == pytest.approx(2 / 3)


def test_too_few_neighbours_for_r_is_our_own_mistake():
    with pytest.raises(AssertionError, match="too few neighbours"):
        metrics.precision_at_r(np.ones((1, 2), dtype=bool), np.array([3]))


def test_means_ignore_nan_and_balance_classes():
    values = np.array([1, 1, 1, 0, np.nan], dtype=np.float32)
    assert metrics.micro_mean(values) == pytest.approx(3 / 4)
    assert metrics.macro_mean(values, ["a", "a", "a", "b", "c"]) == pytest.approx(1 / 2)


def test_means_of_nothing_are_none():
    nothing = np.full(3, np.nan, dtype=np.float32)
    assert metrics.micro_mean(nothing) is None
    assert metrics.macro_mean(nothing, ["a", "b", "c"]) is None
