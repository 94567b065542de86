"""Votes of neighbours against a naive count, and scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from fakes.taxa import SPECIES, table, world
from syntype.configs import EvaluateConfig, KnnConfig
from syntype.errors import VectorError
from syntype.evaluation.items import Items
from syntype.evaluation.knn import knn
from syntype.taxonomy.taxon import RANKS

CONFIG = EvaluateConfig(resamples=100)


def read(side):
    return Items.read(*side, RANKS, "queries")


def naive(query, gallery, options):
    """The species of each query by a loop over all pairs."""
    (vectors, samples), (others, rows) = query, gallery
    answers = []
    for vector, unit in zip(vectors, samples["unit"].to_pylist(), strict=True):
        near = sorted(
            (-float(np.float32(vector @ other)), name, species)
            for other, name, of, species in zip(
                others,
                rows["id"].to_pylist(),
                rows["unit"].to_pylist(),
                rows["species"].to_pylist(),
                strict=True,
            )
            if of != unit and species
        )[: options.neighbours]
        votes = dict.fromkeys(SPECIES, 0.0)
        for cosine, _, species in near:
            weight = np.exp(-cosine / options.temperature) if options.temperature else 1.0
            votes[species] += weight
        answers.append(min(votes, key=lambda name: (-votes[name], name)))
    return answers


@pytest.mark.parametrize(
    "options", [KnnConfig(), KnnConfig(neighbours=1), KnnConfig(temperature=1.0)]
)
@pytest.mark.parametrize("protocol", ["leave-one-out", "gallery"])
def test_answers_are_the_naive_ones(options, protocol):
    query = world(80, unknown=0.1)
    gallery = world(120, seed=1, prefix="g", unknown=0.1) if protocol == "gallery" else query
    scores = knn(read(query), None if gallery is query else read(gallery), CONFIG, options)
    assert scores.column("speciesPrediction") == naive(query, gallery, options)
    assert scores.summary["protocol"] == protocol


def test_equal_votes_are_scikit_learns():
    query, gallery = world(60), world(200, seed=1, prefix="g")
    ours = knn(read(query), read(gallery), CONFIG, KnnConfig(neighbours=7, temperature=0.0))
    peer = KNeighborsClassifier(7, metric="cosine").fit(gallery[0], gallery[1]["species"])
    assert ours.column("speciesPrediction") == peer.predict(query[0]).tolist()
    shares = peer.predict_proba(query[0]).max(axis=1)
    first = [row[0] for row in ours.column("answerScores")]
    np.testing.assert_allclose(first, shares, atol=1e-6)


def test_votes_of_the_own_unit_do_not_count():
    vectors = np.array([[1, 0], [1, 0.01], [0.9, 0.1], [0, 1]], dtype=np.float32)
    samples = table(["Aba x", "Aba x", "Baa x", "Aba x"], units=["t", "t", "u", "v"])
    scores = knn(read((vectors, samples)), None, CONFIG, KnnConfig(neighbours=1))
    assert scores.column("speciesPrediction")[0] == "Baa x"
    assert scores.column("speciesRelevant") == [1, 1, 0, 2]
    assert np.isnan(scores.values("speciesTop@1")[2]), "a singleton is no miss"


def test_other_dimensions_are_refused():
    with pytest.raises(VectorError, match="two encoders"):
        knn(read(world(9)), read(world(9, d=5, prefix="g")), CONFIG, KnnConfig())
