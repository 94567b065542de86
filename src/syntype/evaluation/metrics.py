"""Retrieval metrics as pure functions of which neighbours are relevant.

All take a row per query: `relevant[i, j]` says whether the neighbour at rank j + 1 of query i has
the query's label, and `n_relevant[i]` how many items of the gallery have it (R). Recall@k is the
metric-learning one (is any of the k nearest relevant?); precision at R and mean average precision
at R (MAP@R) are those of Musgrave, Belongie and Lim, "A Metric Learning Reality Check" (ECCV
2020), section 3.2. What differs: a query with nothing to find (R = 0) scores NaN, never 0, so
that a species with one picture is counted apart and not as a miss. The means ignore NaN.

    n queries, t neighbours kept of each
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int


def recall_at_k(
    relevant: Bool[np.ndarray, "n t"], n_relevant: Int[np.ndarray, "n"], k: int
) -> Float[np.ndarray, "n"]:
    """1 where one of the `k` nearest is relevant, 0 where none is, NaN where none could be.

    A gallery with fewer than `k` items is looked at as a whole.
    """
    hit = relevant[:, :k].any(axis=1).astype(np.float32)
    return np.where(n_relevant > 0, hit, np.float32(np.nan))


def precision_at_r(
    relevant: Bool[np.ndarray, "n t"], n_relevant: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Share of relevant items among the R nearest (R-precision); NaN where R is 0."""
    found = _first_r(relevant, n_relevant).sum(axis=1)
    return _divide(found, n_relevant)


def average_precision_at_r(
    relevant: Bool[np.ndarray, "n t"], n_relevant: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """AP@R: the mean over ranks i = 1..R of relevant(i) · precision at i; NaN where R is 0."""
    row, rank = np.nonzero(_first_r(relevant, n_relevant))
    first = np.searchsorted(row, np.arange(len(relevant)))
    found = np.arange(1, len(row) + 1) - first[row]
    return _divide(np.bincount(row, found / (rank + 1), minlength=len(relevant)), n_relevant)


def micro_mean(values: Float[np.ndarray, "n"]) -> float | None:
    """Mean over the queries that have a value; None where none has."""
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else None


def macro_mean(values: Float[np.ndarray, "n"], classes: Sequence[str]) -> float | None:
    """Mean over the classes of each class's mean, so that rare species count like common ones."""
    known = ~np.isnan(values)
    if not known.any():
        return None
    _, code = np.unique(np.asarray(classes, dtype=object)[known], return_inverse=True)
    return float(np.mean(np.bincount(code, values[known]) / np.bincount(code)))


def _first_r(
    relevant: Bool[np.ndarray, "n t"], n_relevant: Int[np.ndarray, "n"]
) -> Bool[np.ndarray, "n t"]:
    assert relevant.shape[1] >= n_relevant.max(initial=0), "too few neighbours kept to see R"
    return relevant & (np.arange(relevant.shape[1]) < n_relevant[:, None])


def _divide(total: np.ndarray, n_relevant: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    share = np.full(len(n_relevant), np.nan, dtype=np.float32)
    np.divide(total, n_relevant, out=share, where=n_relevant > 0, casting="same_kind")
    return share
