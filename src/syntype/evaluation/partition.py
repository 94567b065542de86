"""Do the vectors fall into clusters that are taxa, with nobody telling them which?

At each rank the queries whose name is known are clustered into as many clusters as there are
names. Each query is then scored by BCubed (Bagga and Baldwin 1998; Amigo et al., "A comparison of
extrinsic clustering evaluation metrics", Information Retrieval 12, 2009), which unlike AMI has a
value per picture, so that intervals over units are possible:

    BCubedPrecision  share of its name among the other units' pictures in its cluster
    BCubedRecall     share of its cluster among the other units' pictures of its name
    BCubedF1         their harmonic mean

What differs: the query's own unit is left out, since near copies share a cluster whatever the
encoder knows of taxa. Without other pictures in its cluster the precision is 0; without another
unit of its name there is nothing to find (NaN). The agreement of the whole partition with the names
(AMI, ARI ...) is in the summary.

n queries, q of them with a known name, d dimensions
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from syntype.configs import EvaluateConfig
from syntype.evaluation.classification import as_table
from syntype.evaluation.items import Items
from syntype.evaluation.neighbours import Pair
from syntype.evaluation.scores import RELEVANT, Scores, summarise

Cluster = Callable[[Float[np.ndarray, "q d"], int], Int[np.ndarray, "q"]]
"""Unit vectors and a number of clusters to the cluster of each vector."""
Agreement = Callable[[Int[np.ndarray, "q"], Sequence[str]], Mapping[str, float]]
"""Clusters and names to scores of the whole partition."""


def partition(
    query: Items,
    cluster: Cluster,
    agreement: Agreement,
    config: EvaluateConfig,
    *,
    n_train: Mapping[str, int] | None = None,
) -> Scores:
    """Score an encoder by the clusters that its vectors fall into.

    Args:
        query: The queries.
        cluster: How to cluster unit vectors.
        agreement: How to score a whole partition.
        config: Ranks, resamples.
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".
    """
    columns: dict[str, Any] = {"id": query.ids, "unit": query.units, "taxonGroup": query.groups}
    types: dict[str, pa.DataType] = dict.fromkeys(columns, pa.string())
    pair = Pair.of(query, query, config.ranks)
    whole = {}
    for rank in config.ranks:
        names = np.array(query.labels[rank], dtype=object)
        rows = np.flatnonzero(names != "")
        code = pair.labels[rank][0][rows]
        n_names = len(set(code.tolist()))
        clusters = np.zeros(len(rows), dtype=np.int64)
        if n_names > 1:
            clusters = cluster(query.vectors[rows], n_names)
            whole[rank] = {"k": n_names, **agreement(clusters, names[rows].tolist())}
        scores = _bcubed(clusters, code, pair.units[0][rows])
        columns |= {rank: query.labels[rank], f"{rank}{RELEVANT}": pair.n_relevant[rank]}
        types |= {rank: pa.string(), f"{rank}{RELEVANT}": pa.int32()}
        columns[f"{rank}Cluster"] = _placed(clusters, rows, np.full(len(names), -1))
        types[f"{rank}Cluster"] = pa.int32()
        for name, values in scores.items():
            columns[f"{rank}BCubed{name}"] = _placed(values, rows, np.full(len(names), np.nan))
    columns["nTrain"] = [
        -1 if n_train is None or name == "" else n_train.get(name, 0)
        for name in query.labels["species"]
    ]
    types["nTrain"] = pa.int32()
    table = as_table(columns, types, query)
    return Scores(table, summarise(table, config, {"task": "clustering", "agreement": whole}))


def _bcubed(
    clusters: Int[np.ndarray, "q"], names: Int[np.ndarray, "q"], units: Int[np.ndarray, "q"]
) -> dict[str, Float[np.ndarray, "q"]]:
    """Precision, recall and F1 of each picture, its own unit left out."""
    together = _alike(clusters, names) - _alike(clusters, names, units)
    in_cluster = _alike(clusters) - _alike(clusters, units)
    of_name = _alike(names) - _alike(names, units)
    nothing = of_name == 0
    precision = together / np.maximum(in_cluster, 1)
    recall = together / np.maximum(of_name, 1)
    both = precision + recall
    f1 = 2 * precision * recall / np.where(both > 0, both, 1)
    return {
        name: np.where(nothing, np.nan, values)
        for name, values in (("Precision", precision), ("Recall", recall), ("F1", f1))
    }


def _alike(*keys: Int[np.ndarray, "q"]) -> Int[np.ndarray, "q"]:
    """How many pictures share all of its keys with each picture, itself included."""
    if not len(keys[0]):
        return np.zeros(0, dtype=np.int64)
    _, code, counts = np.unique(np.stack(keys), axis=1, return_inverse=True, return_counts=True)
    return counts[code.reshape(-1)]


def _placed(values: np.ndarray, rows: Int[np.ndarray, "q"], column: np.ndarray) -> np.ndarray:
    column[rows] = values
    return column
