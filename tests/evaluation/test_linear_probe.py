"""The linear probe against scikit-learn, and what it refuses."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fakes.taxa import SPECIES, world
from syntype.configs import EvaluateConfig, ProbeConfig
from syntype.errors import DataError
from syntype.evaluation.items import Items
from syntype.evaluation.linear_probe import fit_path, linear_probe
from syntype.taxonomy.taxon import RANKS

CONFIG = EvaluateConfig(resamples=100)
GRID = (0.1, 1.0, 10.0, 100.0)
EXACT = ProbeConfig(strengths=GRID, iterations=2000, tolerance=1e-6)


def read(side):
    return Items.read(*side, RANKS, "queries")


def sides(d=8, species=SPECIES, **options):
    sizes = ((50, 0, "s"), (90, 1, "t"), (60, 2, "v"))
    return [world(n, d, seed, species, prefix=prefix, **options) for n, seed, prefix in sizes]


def peer(vectors, labels, strength):
    found = LogisticRegression(C=strength, tol=1e-8, max_iter=20000)
    return found.fit(vectors.astype(np.float64), labels)


@pytest.mark.parametrize(
    ("n", "d", "n_classes"), [(120, 8, 5), (40, 60, 4), (80, 6, 2), (90, 5, 12)]
)
def test_probabilities_are_scikit_learns_at_each_c(n, d, n_classes):
    rng = np.random.default_rng(n)
    # Unbalanced classes, the last with one vector or two.
    labels = np.sort(np.minimum(rng.geometric(0.3, n) - 1, n_classes - 1))
    labels[:n_classes] = np.arange(n_classes)
    vectors = rng.standard_normal((n, d)) + rng.standard_normal((n_classes, d))[labels]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    others = rng.standard_normal((30, d))
    others = (others / np.linalg.norm(others, axis=1, keepdims=True)).astype(np.float32)
    for fit in fit_path(vectors, labels, n_classes, EXACT):
        assert fit.converged
        # With two classes scikit-learn fits one vector w, where we fit the pair (w/2, -w/2): half
        # the penalty, which is twice the C.
        strength = fit.strength * (2 if n_classes == 2 else 1)
        wanted = peer(vectors, labels, strength).predict_proba(others.astype(np.float64))
        np.testing.assert_allclose(fit.probabilities(others), wanted, atol=1e-4)


def test_the_best_c_on_validation_is_taken_and_all_are_told():
    query, train, val = sides(spread=2.0)
    scores = linear_probe(*map(read, (query, train, val)), CONFIG, EXACT)
    tried = scores.summary["tried"]
    assert [one["C"] for one in tried] == sorted(GRID)
    best = max(tried, key=lambda one: (one["validation"], -one["C"]))
    assert scores.summary["C"] == best["C"]
    model = peer(train[0], train[1]["species"].to_numpy(), best["C"])
    assert scores.column("speciesPrediction") == model.predict(query[0]).tolist()
    shares = [
        (model.predict(val[0])[rows] == name).mean()
        for name in SPECIES
        if (rows := val[1]["species"].to_numpy() == name).any()
    ]
    assert best["validation"] == pytest.approx(np.mean(shares))


def test_a_fit_that_runs_out_of_iterations_says_so():
    query, train, val = sides()
    options = ProbeConfig(strengths=(1000.0,), iterations=2)
    scores = linear_probe(*map(read, (query, train, val)), CONFIG, options)
    assert scores.summary["converged"] is False


def test_the_test_split_chooses_nothing():
    query, train, val = sides(spread=2.0)
    other = world(50, 8, 9, spread=0.1)
    options = ProbeConfig(strengths=GRID)
    one, two = (
        linear_probe(read(asked), read(train), read(val), CONFIG, options).summary
        for asked in (query, other)
    )
    assert one["tried"] == two["tried"]


def test_validation_without_a_known_species_is_refused():
    query, train, _ = sides(species=SPECIES[:3])
    val = world(20, 8, 2, SPECIES[4:], prefix="v")
    with pytest.raises(DataError, match=r"no picture of a species that is in training.*--split"):
        linear_probe(read(query), read(train), read(val), CONFIG, ProbeConfig())
