"""BCubed over other units, against a naive count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.taxa import SPECIES, table, world
from syntype.configs import EvaluateConfig
from syntype.evaluation.items import Items
from syntype.evaluation.partition import partition
from syntype.taxonomy.taxon import RANKS

CONFIG = EvaluateConfig(ranks=("species", "genus"), resamples=100)


def naive(clusters, names, units):
    rows = []
    for i, name in enumerate(names):
        others = [j for j in range(len(names)) if units[j] != units[i]]
        cluster = [j for j in others if clusters[j] == clusters[i]]
        alike = [j for j in others if names[j] == name]
        both = len(set(cluster) & set(alike))
        if not alike:
            rows.append((np.nan,) * 3)
            continue
        precision = both / len(cluster) if cluster else 0.0
        recall = both / len(alike)
        f1 = 2 * precision * recall / (precision + recall) if both else 0.0
        rows.append((precision, recall, f1))
    return np.array(rows)


def clustered(samples, clusters):
    """`partition` with fixed clusters, by the number that ends the id."""
    vectors = np.eye(len(clusters), dtype=np.float32)
    query = Items.read(vectors, samples, RANKS, "queries")
    of_row = np.asarray(clusters)[query.position]
    known = np.array([name != "" for name in query.labels["species"]])
    return partition(query, lambda *_: of_row[known], lambda *_: {"ami": 0.5}, CONFIG)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_scores_equal_the_naive_ones(data):
    n = data.draw(st.integers(2, 15))
    draw = lambda values: data.draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))  # noqa: E731
    names, units, clusters = draw(SPECIES[:4]), draw(["u", "v", "w"]), draw([0, 1, 2])
    if len(set(names)) == 1:
        clusters = [0] * n  # one name is one cluster
    scores = clustered(table(names, units), clusters)
    wanted = naive(clusters, names, units)
    for column, ending in enumerate(("Precision", "Recall", "F1")):
        got = scores.values(f"speciesBCubed{ending}")
        np.testing.assert_allclose(got, wanted[:, column], atol=1e-6)


def test_perfect_clusters_score_one_and_say_how_they_agree():
    names = ["Aba x", "Aba x", "Baa x", "Baa x", ""]
    scores = clustered(table(names), [0, 0, 1, 1, 0])
    assert scores.values("speciesBCubedF1")[:4].tolist() == [1, 1, 1, 1]
    assert np.isnan(scores.values("speciesBCubedF1")[4])
    assert scores.column("speciesCluster") == [0, 0, 1, 1, -1]
    assert scores.summary["agreement"]["species"] == {"k": 2, "ami": 0.5}


def test_vectors_and_number_of_names_are_what_is_clustered():
    vectors, samples = world(40, unknown=0.2)
    query = Items.read(vectors, samples, RANKS, "queries")
    asked = []

    def cluster(found, k):
        asked.append((len(found), k))
        return np.zeros(len(found), dtype=np.int64)

    partition(query, cluster, lambda *_: {}, CONFIG)
    known = [name for name in samples["species"].to_pylist() if name]
    assert asked[0] == (len(known), len(set(known)))
    assert asked[1][1] == len({name.split()[0] for name in known})


@pytest.mark.parametrize("names", [["Aba x"] * 3, ["", "", ""]])
def test_one_name_or_none_needs_no_clusters(names):
    scores = clustered(table(names), [0, 0, 0])
    assert scores.summary["agreement"] == {}
