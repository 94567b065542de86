"""Scores made of a task's answers, against a naive computation; hierarchy; singletons; ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.taxa import SPECIES, lineage, table, world
from syntype.configs import EvaluateConfig
from syntype.errors import DataError, VectorError
from syntype.evaluation.classification import Classes, classify
from syntype.evaluation.items import Items
from syntype.taxonomy.taxon import RANKS

CONFIG = EvaluateConfig(ranks=("species", "genus", "order"), top_at=(1, 3), resamples=100)


def read(vectors, samples):
    return Items.read(vectors, samples, RANKS, "queries")


def scored(samples, matrix, classes, kind="similarity", **options):
    """`classify` with the scores of `matrix`, whose rows follow those of `samples`."""
    query = read(np.eye(len(matrix), dtype=np.float32) + 0.01, samples)
    ordered = np.asarray(matrix, dtype=np.float64)[query.position]
    return classify(
        query,
        classes,
        lambda start, stop: ordered[start:stop],
        CONFIG,
        kind=kind,
        about={"task": "any"},
        **options,
    )


def classes_of(species):
    vectors = np.eye(len(species), dtype=np.float32) + 0.01
    return Classes.of(read(vectors, table(species)))


def distance(first, second):
    own, other = lineage(first), lineage(second)
    shared = sum(a == b for a, b in zip(own, other, strict=True))
    return len(RANKS) - shared


def naive(truth, row, species, kind):
    """Top-k hits at each rank and the distances, by dictionaries."""
    found = {}
    for rank in CONFIG.ranks:
        place = RANKS.index(rank)
        joined = {}
        for name, score in zip(species, row, strict=True):
            taxon = lineage(name)[place]
            old = joined.get(taxon)
            if old is None:
                joined[taxon] = score
            else:
                joined[taxon] = old + score if kind == "probability" else max(old, score)
        order = sorted(joined, key=lambda taxon: (-np.float32(joined[taxon]), taxon))
        own = lineage(truth)[place]
        for k in CONFIG.top_at:
            found[f"{rank}Top@{k}"] = float(own in order[:k]) if own in joined else np.nan
        found[f"{rank}Prediction"] = order[0]
    best = sorted(species, key=lambda name: (-np.float32(row[species.index(name)]), name))
    for k in CONFIG.top_at:
        known = [distance(truth, name) for name in best[:k]]
        found[f"hierarchicalDistance@{k}"] = np.mean(known) if truth else np.nan
    mistake = truth in species and distance(truth, best[0]) > 0
    found["mistakeSeverity"] = distance(truth, best[0]) if mistake else np.nan
    return found


@settings(max_examples=40, deadline=None)
@given(
    truths=st.lists(st.sampled_from(["", "Zza z", *SPECIES]), min_size=1, max_size=12),
    species=st.sets(st.sampled_from(SPECIES), min_size=2),
    kind=st.sampled_from(["probability", "similarity"]),
    seed=st.integers(0, 99),
)
def test_scores_equal_the_naive_ones(truths, species, kind, seed):
    species = sorted(species)
    # Few different values, so that ties are common.
    matrix = np.random.default_rng(seed).integers(1, 5, (len(truths), len(species))) / 4.0
    if kind == "probability":
        matrix = matrix / matrix.sum(axis=1, keepdims=True)
    scores = scored(table(truths), matrix, classes_of(species), kind)
    for row, truth in enumerate(truths):
        for name, wanted in naive(truth, matrix[row].tolist(), species, kind).items():
            got = scores.column(name)[row]
            assert got == pytest.approx(wanted, nan_ok=True), (name, truth)
    relevant = [int(truth in species) for truth in truths]
    assert scores.column("speciesRelevant") == relevant


def test_row_order_changes_nothing():
    samples = world(30, unknown=0.1)[1]
    matrix = np.random.default_rng(0).random((30, 6))
    classes = classes_of(list(SPECIES))
    order = np.random.default_rng(1).permutation(30)
    one = scored(samples, matrix, classes)
    other = scored(samples.take(order), matrix[order], classes)
    assert repr(other.table.to_pydict()) == repr(one.table.take(order).to_pydict())


def test_a_species_that_no_class_bears_is_counted_apart():
    scores = scored(table(["Aba x", "Zza z", ""]), np.eye(3)[:, :2], classes_of(["Aba x", "Aba y"]))
    assert scores.summary["queries"]["species"] == {
        "scored": 1,
        "nothingToFind": 1,
        "unknownLabel": 1,
    }
    assert np.isnan(scores.values("mistakeSeverity")).all()
    assert scores.values("hierarchicalDistance@1")[:2].tolist() == [0, 4]


def test_probabilities_come_with_their_calibration_and_answers():
    matrix = [[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]]
    names = ["Aba x", "Aba y", "Baa x"]
    scores = scored(table(["Aba x", "Aba x"]), matrix, classes_of(names), "probability")
    assert scores.column("answers")[1] == ["Baa x", "Aba y", "Aba x"]
    assert scores.column("answerScores")[0] == pytest.approx([0.7, 0.2, 0.1])
    genus = scores.summary["calibration"]["genus"]
    assert genus["brier"] == pytest.approx(((1 - 0.9) ** 2 + 0.5**2) / 2)
    assert scores.column("genusPrediction") == ["Aba", "Aba"]
    assert "calibration" not in scored(table(["Aba x"]), matrix[:1], classes_of(names)).summary


def test_names_at_a_rank_can_be_answered_by_themselves():
    names = ["Aba x", "Aba y", "Baa x"]
    asked = {"genus": (["Baa", "Aba"], lambda start, stop: np.array([[0.2, 0.8]])[start:stop])}
    scores = scored(
        table(["Aba x"]), [[0.1, 0.1, 0.8]], classes_of(names), "probability", by_rank=asked
    )
    assert scores.column("genusPrediction") == ["Aba"]
    assert scores.column("orderPrediction") == ["B"]


def test_broken_scores_are_refused_by_name():
    with pytest.raises(
        VectorError, match=r"1 queries got scores that are NaN or infinite, .*s0001"
    ):
        scored(table(["Aba x"] * 2), [[1, 0], [np.nan, 0]], classes_of(["Aba x", "Aba y"]))


def test_classes_need_enough_pictures_and_a_choice():
    vectors = np.eye(5, dtype=np.float32)
    items = read(vectors, table(["Aba x", "Aba x", "Aba y", "Aba y", "Baa x"]))
    assert Classes.of(items, least=2).species == ["Aba x", "Aba y"]
    with pytest.raises(DataError, match="0 species have 3 or more pictures"):
        Classes.of(items, least=3)
