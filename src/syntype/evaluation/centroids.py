"""Classifiers that learn from k vectors of each class, in closed form.

simpleshot   the nearest class mean, after centring on the mean of the support and bringing all
             vectors to unit length; the means themselves are not (CL2N of Wang et al.,
             "SimpleShot", 2019, as BioCLIP has it)
ridge        ridge regression onto one column a class (scikit-learn's RidgeClassifier)
mahalanobis  the nearest class mean under the covariance within classes, shrunk by Ledoit and Wolf
             (2004); with one vector a class, under the covariance of the support

Each is a matrix product of queries and classes, block by block; classes x queries x dimensions,
which the published script holds in memory, never exists. Ties go to the lower class.

n queries, c classes, k shots, d dimensions, s = c k support vectors
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int

_BLOCK_CELLS = 2**20  # scores held at a time: 4 MB, which a cache holds
_TINY = 1e-12


def simpleshot(
    support: Float[np.ndarray, "c k d"], query: Float[np.ndarray, "n d"]
) -> Int[np.ndarray, "n"]:
    """The class of each query, by SimpleShot."""
    n_classes, shots, width = support.shape
    flat = support.reshape(-1, width)
    middle = flat.mean(axis=0)
    means = _unit(flat - middle).reshape(n_classes, shots, width).mean(axis=1)
    # Of unit queries q and means m, |q - m|^2 = 1 - 2 (q m - |m|^2 / 2).
    half = np.einsum("cd,cd->c", means, means) / 2
    return _answers(query, n_classes, lambda block: _unit(block - middle) @ means.T - half)


def ridge(
    support: Float[np.ndarray, "c k d"], query: Float[np.ndarray, "n d"], penalty: float = 1.0
) -> Int[np.ndarray, "n"]:
    """The class of each query, by ridge regression with an unpenalised intercept.

    Args:
        support: What to learn from.
        query: What to answer.
        penalty: The weight of the squared coefficients.
    """
    n_classes, shots, width = support.shape
    flat = support.reshape(-1, width).astype(np.float64)
    middle = flat.mean(axis=0)
    flat -= middle
    # Centred targets: 1 - 1/c for the own class, -1/c for the others. The constant part of the
    # scores is the same for every class and is left out.
    if len(flat) <= width:  # (X X' + p I)^-1 in the space of the support
        gram = flat @ flat.T
        gram[np.diag_indices_from(gram)] += penalty
        targets = np.repeat(np.eye(n_classes), shots, axis=0) - 1 / n_classes
        weights = flat.T @ np.linalg.solve(gram, targets)
    else:  # (X' X + p I)^-1 in that of the dimensions
        gram = flat.T @ flat
        gram[np.diag_indices_from(gram)] += penalty
        sums = flat.reshape(n_classes, shots, width).sum(axis=1).T
        weights = np.linalg.solve(gram, sums)  # the centred vectors sum to 0, so -1/c adds none
    return _answers(query, n_classes, lambda block: (block - middle) @ weights)


def mahalanobis(
    support: Float[np.ndarray, "c k d"], query: Float[np.ndarray, "n d"]
) -> Int[np.ndarray, "n"]:
    """The class of each query, by the shrunk covariance that the classes share."""
    from sklearn.covariance import ledoit_wolf

    n_classes, shots, width = support.shape
    means = support.astype(np.float64).mean(axis=1)
    middle = means[:, None] if shots > 1 else means.mean(axis=0)
    residuals = (support - middle).reshape(-1, width)
    covariance = ledoit_wolf(residuals, assume_centered=True)[0]
    if np.trace(covariance) < _TINY:  # all vectors of a class are one: no direction counts less
        covariance = np.eye(width)
    precision_means = np.linalg.solve(covariance, means.T)
    half = np.einsum("cd,dc->c", means, precision_means) / 2
    return _answers(query, n_classes, lambda block: block @ precision_means - half)


def _unit(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """`vectors` at unit length, in place."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    vectors /= np.maximum(lengths, _TINY)[:, None]
    return vectors


def _answers(
    query: Float[np.ndarray, "n d"],
    n_classes: int,
    score: Callable[[Float[np.ndarray, "b d"]], Float[np.ndarray, "b c"]],
) -> Int[np.ndarray, "n"]:
    answers = [score(block).argmax(axis=1) for block in _blocks(query, n_classes)]
    return np.concatenate(answers) if answers else np.zeros(0, dtype=np.int64)


def _blocks(query: Float[np.ndarray, "n d"], n_classes: int) -> Iterator[np.ndarray]:
    step = max(1, _BLOCK_CELLS // max(n_classes, query.shape[1]))
    for start in range(0, len(query), step):
        yield query[start : start + step]
