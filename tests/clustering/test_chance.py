"""AMI is scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from syntype.clustering.chance import adjusted_mutual_information


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=80))
def test_ami_is_that_of_scikit_learn(pairs):
    labels, truth = np.array(pairs).T
    expected = metrics.adjusted_mutual_info_score(truth, labels)
    assert adjusted_mutual_information(labels, truth) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("k", [2, 40, 900])
def test_ami_of_many_clusters_of_uneven_sizes(k):
    random = np.random.default_rng(k)
    truth = (60 * random.random(3000) ** 3).astype(int)
    labels = (k * random.random(3000) ** 2).astype(int)
    expected = metrics.adjusted_mutual_info_score(truth, labels)
    assert adjusted_mutual_information(labels, truth) == pytest.approx(expected, abs=1e-9)
    assert abs(adjusted_mutual_information(labels, truth)) < 0.05, "chance is 0"
