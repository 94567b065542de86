"""All pairs of vectors whose cosine is at least a threshold: exact, a block of products at a time.

The vectors may lie on disk: they are taken by the block. The work grows with the square of their
number, n (n + 1) / 2 products of d numbers, so this is for sets of some 100,000; for more, curate
by perceptual hash first.

n vectors, m others, d dimensions, p pairs
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Int64

_BLOCK_CELLS = 2**23  # cosines held at a time


@dataclass(frozen=True)
class Vectors:
    """Unit vectors of a set's pictures.

    Attributes:
        ids: The sample of each.
        take: The vectors of rows asked for.
    """

    ids: Sequence[str]
    take: Callable[[Int[np.ndarray, "_"]], Float[np.ndarray, "_ d"]]

    def __len__(self) -> int:
        return len(self.ids)


class CosinePairs(NamedTuple):
    """Pairs of near vectors.

    Attributes:
        one: Rows of the first.
        other: Rows of the second; greater than `one` where both are one set.
        cosine: Their cosine.
    """

    one: Int64[np.ndarray, "p"]
    other: Int64[np.ndarray, "p"]
    cosine: Float32[np.ndarray, "p"]


def near_by_cosine(
    vectors: Vectors, threshold: float, others: Vectors | None = None
) -> CosinePairs:
    """All pairs whose cosine is at least `threshold`.

    Args:
        vectors: One set.
        threshold: Least cosine.
        others: Another set; None compares the one with itself, each pair once.

    Returns:
        Ordered by `one`, then `other`.
    """
    second = vectors if others is None else others
    side = max(1, int(_BLOCK_CELLS**0.5))
    found = []
    for start in range(0, len(vectors), side):
        rows = np.arange(start, min(start + side, len(vectors)))
        left = vectors.take(rows).astype(np.float32, copy=False)
        for begin in range(start if others is None else 0, len(second), side):
            columns = np.arange(begin, min(begin + side, len(second)))
            product = left @ second.take(columns).astype(np.float32, copy=False).T
            one, other = np.nonzero(product >= threshold)
            if others is None:
                upper = one + start < other + begin
                one, other = one[upper], other[upper]
            found.append((one + start, other + begin, product[one, other]))
    joined = [np.concatenate(column) for column in zip(*found, strict=True)]
    if not joined:
        return CosinePairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    order = np.lexsort((joined[1], joined[0]))
    return CosinePairs(joined[0][order], joined[1][order], joined[2][order])
