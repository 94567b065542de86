"""The best columns of each row, the same on every machine: ties go to the lower column.

b rows of a block, c rows taken at a time, k columns, t columns kept
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int

_CACHE_CELLS = 2**16  # scores sorted at a time
_MOST_THREADS = 8


def first_columns(scores: Float[np.ndarray, "b k"], t: int) -> Int[np.ndarray, "b t"]:
    """Columns of the `t` largest of each row, largest first, ties by column.

    Rows are taken a few at a time, so that they stay in a processor's cache, by several threads.
    """
    order = np.empty((len(scores), t), dtype=np.int64)
    step = max(1, _CACHE_CELLS // scores.shape[1])

    def sort(start: int) -> None:
        order[start : start + step] = _sorted_columns(scores[start : start + step], t)

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(sort, range(0, len(scores), step)))
    return order


def _sorted_columns(scores: Float[np.ndarray, "c k"], t: int) -> Int[np.ndarray, "c t"]:
    """`first_columns` of a few rows.

    Score and column are packed into one integer that sorts that way, so that partition and
    sort need no second key: the bits of a float, its lower 31 flipped where it is negative, rise
    with the float.
    """
    bits = (scores + np.float32(0)).view(np.int32)
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    keys = (~bits).astype(np.int64)
    keys <<= 32
    keys |= np.arange(scores.shape[1])
    if t < keys.shape[1]:
        keys.partition(t - 1, axis=1)
    keys = keys[:, :t]
    keys.sort(axis=1)
    return keys & 0xFFFFFFFF
