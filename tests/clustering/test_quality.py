"""Scores against the naive counts, sizes, and the warning of leaking texts."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import noise

from syntype.clustering.quality import joint_features, leak_warning, quality, sizes
from syntype.errors import UsageError
from syntype.provenance import canonical_json


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcd")), min_size=1, max_size=60)
)
def test_scores_are_the_naive_counts(pairs):
    labels = np.array([label for label, _ in pairs])
    species = [name for _, name in pairs]
    got = quality(labels, species, 7)
    per_cluster = [[s for j, s in pairs if j == c] for c in set(labels.tolist())]
    commonest = sum(max(map(members.count, members)) for members in per_cluster)
    assert got.scores.purity == pytest.approx(commonest / len(pairs))
    assert got.species_per_cluster == pytest.approx(np.mean([len(set(m)) for m in per_cluster]))
    spread = [len({j for j, s in pairs if s == name}) for name in set(species)]
    assert got.clusters_per_species == pytest.approx(np.mean(spread))
    assert got.scores.ami == pytest.approx(metrics.adjusted_mutual_info_score(species, labels))
    assert got.scores.ari == pytest.approx(metrics.adjusted_rand_score(species, labels))
    assert got.scores.v_measure == pytest.approx(metrics.v_measure_score(species, labels))
    assert (got.n, got.k, got.n_species) == (len(pairs), 7, len(set(species)))
    assert got.sizes.n_empty == 7 - len(per_cluster)
    assert canonical_json(got.as_json())


def test_species_as_clusters_reach_the_ceiling():
    species = list("aaabbbbcc")
    got = quality(np.array([0, 0, 0, 1, 1, 1, 1, 2, 2]), species, 3)
    assert got.scores == got.ceiling
    assert got.scores.ami == pytest.approx(1)


@pytest.mark.parametrize(
    ("counts", "gini"), [([5, 5, 5], 0.0), ([0, 0, 9], 2 / 3), ([1, 2, 3], 2 / 9)]
)
def test_sizes(counts, gini):
    got = sizes(np.repeat(np.arange(3), counts), 3)
    assert got.gini == pytest.approx(gini)
    assert (got.smallest, got.largest, got.median) == (min(counts), max(counts), sorted(counts)[1])
    assert got.n_empty == counts.count(0)
    assert got.n_single == counts.count(1)


def test_labels_and_species_must_belong_together():
    with pytest.raises(UsageError, match="same order"):
        quality(np.array([0, 1]), ["a"], 2)
    with pytest.raises(UsageError, match="between 0 and k - 1 = 1"):
        quality(np.array([0, 2]), ["a", "b"], 2)


def test_texts_that_name_the_species_are_reported_and_other_texts_are_not():
    species = [f"species {i % 12}" for i in range(600)]
    image = noise(600, 32).numpy()
    of_label = noise(12, 32, 1).numpy()[np.arange(600) % 12]
    of_something_else = noise(600, 32, 2).numpy()
    text = leak_warning(image, joint_features(image, of_label), species)
    assert text is not None
    assert "--cluster.features image" in text
    assert leak_warning(image, joint_features(image, of_something_else), species) is None
    assert leak_warning(image, image, species) is None
    assert leak_warning(image, image, ["one"] * 600) is None


def test_joint_features_are_the_unit_mean():
    image, text = noise(9, 4).numpy(), noise(9, 4, 1).numpy()
    joint = joint_features(image, text)
    assert np.allclose(np.linalg.norm(joint, axis=1), 1, atol=1e-6)
    assert np.allclose((joint * (image - text)).sum(axis=1), 0, atol=1e-6), "half-way between"
    with pytest.raises(UsageError, match="one text vector for each picture"):
        joint_features(image, text[:3])
    with pytest.raises(UsageError, match="sample number 2 point in opposite"):
        joint_features(image[:3], np.stack([image[0], image[1], -image[2]]))
