"""The permutation test of `evaluation.statistics.paired_permutation`, for all pairs of a column.

Swapping two models' answers in a unit turns the sign of the unit's share of their difference. The
shares of a pair are the difference of each model's own, so one matrix of signs, times the shares of
the m models, serves all m (m - 1) / 2 pairs.

    m models, n queries, u units, b draws of signs
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from syntype.provenance import named_seed

_CHUNK_CELLS = 2**21  # numbers held at a time
_ROUNDING = 1e-12


def swap_p_values(
    values: Float[np.ndarray, "m n"],
    units: Sequence[str],
    *,
    classes: Sequence[str] | None,
    resamples: int,
    seed: int,
) -> Float[np.ndarray, "m m"]:
    """The two-sided p of "which model made which answers is chance", for each two models.

    All 2^u swaps are taken where they are no more than `resamples`.

    Args:
        values: One metric of every model, NaN for the same queries in all rows, not in all.
        units: The independent unit of each query.
        classes: The class of each query, for class-balanced means; None takes the plain mean.
        resamples: Draws of swaps.
        seed: Seed of the draws.
    """
    known = ~np.isnan(values[0])
    _, unit = np.unique(np.asarray(units, dtype=object)[known], return_inverse=True)
    of_class = np.asarray([""] * len(units) if classes is None else classes, dtype=object)[known]
    _, code, size = np.unique(of_class, return_inverse=True, return_counts=True)
    weight = 1 / (size[code] * len(size))
    shares = np.stack([np.bincount(unit, weight * row) for row in values[:, known]], axis=1)
    n_units, n_models = shares.shape
    total = shares.sum(axis=0)
    limit = np.abs(total[:, None] - total) - _ROUNDING
    extreme, drawn = np.zeros(limit.shape, dtype=np.int64), 0
    for signs in _signs(n_units, n_models, resamples, seed):
        swapped = signs @ shares
        extreme += (np.abs(swapped[:, :, None] - swapped[:, None]) >= limit).sum(axis=0)
        drawn += len(signs)
    if _all_swaps(n_units, resamples):
        return extreme / drawn
    return (1 + extreme) / (1 + drawn)


def _all_swaps(n_units: int, resamples: int) -> bool:
    return n_units < resamples.bit_length()  # as 2^u <= resamples, for any number of units


def _signs(n_units: int, n_models: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of rows of -1 and 1 (draws x u)."""
    step = max(1, _CHUNK_CELLS // max(n_units, n_models**2))
    if _all_swaps(n_units, resamples):
        swaps = np.arange(2**n_units)[:, None] >> np.arange(n_units) & 1
        yield from np.split(1.0 - 2.0 * swaps, range(step, len(swaps), step))
        return
    rng = np.random.default_rng(named_seed(seed, "permutation of all models"))
    for start in range(0, resamples, step):
        shape = (min(step, resamples - start), n_units)
        yield 1.0 - 2.0 * rng.integers(0, 2, shape, dtype=np.int8)
