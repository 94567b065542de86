"""Closed-form classifiers against naive computations and scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import RidgeClassifier

from syntype.evaluation import centroids


def drawn(n_classes=7, shots=5, n=200, d=12, seed=0):
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((n_classes, d))

    def unit(vectors):
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    support = unit(middles[:, None] + rng.standard_normal((n_classes, shots, d)))
    query = unit(middles[rng.integers(0, n_classes, n)] + rng.standard_normal((n, d)))
    return support, query


def published(support, query):
    """Centre, normalise, mean, and the distance of every query to every class in three axes."""
    flat = support.reshape(-1, support.shape[-1])
    middle = flat.mean(axis=0)
    centred, query = flat - middle, query - middle
    centred /= np.linalg.norm(centred, axis=1)[:, None]
    query = query / np.linalg.norm(query, axis=1)[:, None]
    means = centred.reshape(support.shape).mean(axis=1)
    return np.linalg.norm(means[:, None] - query, axis=-1).argmin(axis=0)


@pytest.mark.parametrize("shots", [1, 5])
def test_simpleshot_is_the_published_formula(shots):
    support, query = drawn(shots=shots)
    found = centroids.simpleshot(support, query)
    np.testing.assert_array_equal(found, published(support, query))


@pytest.mark.parametrize(("shots", "d"), [(1, 12), (5, 12), (2, 60)])
@pytest.mark.parametrize("penalty", [0.1, 1.0])
def test_ridge_is_scikit_learns(shots, d, penalty):
    """Wider than the support, and narrower: both forms of the solution."""
    support, query = drawn(shots=shots, d=d)
    labels = np.repeat(np.arange(len(support)), shots)
    peer = RidgeClassifier(alpha=penalty).fit(support.reshape(-1, d).astype(np.float64), labels)
    found = centroids.ridge(support, query, penalty)
    np.testing.assert_array_equal(found, peer.predict(query.astype(np.float64)))


@pytest.mark.parametrize("shots", [1, 5])
def test_mahalanobis_is_the_distance_by_the_inverse(shots):
    support, query = drawn(shots=shots)
    means = support.astype(np.float64).mean(axis=1)
    middle = means[:, None] if shots > 1 else means.mean(axis=0)
    residuals = (support - middle).reshape(-1, support.shape[-1])
    inverse = np.linalg.inv(ledoit_wolf(residuals, assume_centered=True)[0])
    gap = query[:, None].astype(np.float64) - means
    distance = np.einsum("ncd,de,nce->nc", gap, inverse, gap)
    np.testing.assert_array_equal(centroids.mahalanobis(support, query), distance.argmin(axis=1))


@pytest.mark.parametrize("name", ["simpleshot", "ridge", "mahalanobis"])
def test_equal_classes_go_to_the_first_and_no_spread_is_no_failure(name):
    support = np.zeros((3, 2, 4), dtype=np.float32)
    support[:2, :, 0], support[2, :, 1] = 1, 1
    query = support[:, 0]
    found = getattr(centroids, name)(support, query)
    assert found.tolist() == [0, 0, 2]


def test_classes_times_queries_times_dimensions_never_exists():
    support, query = drawn(n_classes=40, shots=5, n=2000, d=64)
    tracemalloc.start()
    try:
        centroids.simpleshot(support, query)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2000 * 64 * 4 / 4
