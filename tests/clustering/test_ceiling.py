"""The ceiling: the published table of perfect clusters, and what "perfect" means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.clustering.ceiling import perfect_labels
from syntype.clustering.quality import agreement
from syntype.errors import UsageError

# 742 species of 100 pictures: NMI, homogeneity, completeness, ARI, purity; the same for sizes that
# fall as 1 / rank: NMI, ARI.
TABLE = {
    100: ((0.821, 0.696, 1, 0.233, 0.135), (0.907, 0.965)),
    500: ((0.965, 0.932, 1, 0.752, 0.674), (0.990, 0.999)),
    742: ((1, 1, 1, 1, 1), (1, 1)),
    1000: ((0.982, 1, 0.965, 0.904, 1), (0.864, 0.095)),
    10000: ((0.836, 1, 0.718, 0.122, 1), (0.704, 0.005)),
}


@pytest.mark.parametrize("k", TABLE)
def test_the_ceiling_is_the_published_table(k):
    balanced = np.repeat(np.arange(742), 100)
    weights = 1 / np.arange(1, 743)
    counts = np.maximum(1, np.round(weights / weights.sum() * 74200)).astype(int)
    long_tail = np.repeat(np.arange(742), counts)
    even = agreement(perfect_labels(balanced, k), balanced)
    tail = agreement(perfect_labels(long_tail, k), long_tail)
    got = (even.v_measure, even.homogeneity, even.completeness, even.ari, even.purity)
    assert got == pytest.approx(TABLE[k][0], abs=6e-4)
    assert (tail.v_measure, tail.ari) == pytest.approx(TABLE[k][1], abs=6e-4)


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=20), share=st.floats(0, 1))
def test_perfect_clusters_never_mix_or_never_cut(counts, share):
    species = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    k = 1 + round(share * (len(species) - 1))
    labels = perfect_labels(species, k)
    assert set(labels.tolist()) == set(range(k)), "every cluster is used"
    pairs = set(zip(species.tolist(), labels.tolist(), strict=True))
    assert len(pairs) == max(k, len(counts))
    for one, count in enumerate(counts):
        parts = np.bincount(labels[species == one])
        parts = parts[parts > 0]
        assert parts.sum() == count
        assert k < len(counts) or parts.max() - parts.min() <= 1, "cut evenly"


@pytest.mark.parametrize("k", [0, 4])
def test_clusters_must_fit_the_samples(k):
    with pytest.raises(UsageError, match="3 samples cannot form"):
        perfect_labels(np.array([0, 0, 1]), k)
