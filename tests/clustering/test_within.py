"""Clusters inside each species."""

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import noise, unit

from syntype.clustering.within import cluster_within
from syntype.errors import UsageError


@settings(max_examples=20, deadline=None)
@given(names=st.lists(st.sampled_from("abcde"), min_size=1, max_size=60), k=st.integers(1, 6))
def test_each_cluster_belongs_to_one_species(names, k):
    found = cluster_within(noise(len(names), 6), names, k, iterations=3)
    assert [found.owners[label] for label in found.labels.tolist()] == names
    assert set(found.labels.tolist()) == set(range(len(found.owners))), "contiguous, none empty"
    assert list(found.owners) == sorted(found.owners)
    per_species = Counter(found.owners)
    for name, count in Counter(names).items():
        assert per_species[name] == max(1, min(k, count // 2))


def test_a_species_does_not_depend_on_the_others():
    vectors, names = noise(60, 8), ["a", "b", "c"] * 20
    together = cluster_within(vectors, names, 4)
    alone = cluster_within(vectors[1::3], ["b"] * 20, 4)
    own = torch.tensor([owner == "b" for owner in together.owners])
    assert torch.equal(together.centres[own], alone.centres)


def test_one_cluster_is_the_mean():
    vectors = noise(10, 5)
    found = cluster_within(vectors, ["a"] * 10, 1)
    assert torch.allclose(found.centres, unit(vectors.sum(dim=0, keepdim=True)), atol=1e-6)


def test_copies_of_one_picture_are_one_cluster():
    assert len(cluster_within(noise(1, 4).repeat(9, 1), ["a"] * 9, 3).owners) == 1


def test_groups_must_fit():
    with pytest.raises(UsageError, match="2 groups were given for 3 vectors"):
        cluster_within(noise(3, 4), ["a", "b"], 1)
    with pytest.raises(UsageError, match="raise --k"):
        cluster_within(noise(3, 4), ["a"] * 3, 0)
