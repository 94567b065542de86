"""The exact finder: every vector is compared.

The reference for the others, and enough for thousands of records.

Legend: r rows of the shelf, d dimensions, c rows found.
"""

import numpy as np
from jaxtyping import Float32, Int64
from typing_extensions import override

from syntype.search.finding import Finder, Fits, cosines
from syntype.search.shelf import Shelf

_BLOCK = 16_384  # rows that are compared at a time: 64 MB at 1024 dimensions


class Exact(Finder):
    """Compares every row that fits."""

    def __init__(self) -> None:
        self._shelf: Shelf

    @override
    def open(self, shelf: Shelf, rows: int) -> int:
        self._shelf = shelf
        return rows

    @property
    @override
    def n_built(self) -> int:
        return self._shelf.mark().rows

    @override
    def extend(self, start: int, stop: int) -> None:
        pass  # the shelf has them

    @override
    def near(self, query: Float32[np.ndarray, "d"], n: int, fits: Fits) -> Int64[np.ndarray, "c"]:
        row, similarity, least = np.empty(0, np.int64), np.empty(0), -np.inf
        for start in range(0, fits.n, _BLOCK):
            some = fits.numbers[start : start + _BLOCK]
            found = cosines(self._shelf.take(some), query)
            kept = found >= least
            row = np.concatenate([row, some[kept]])
            similarity = np.concatenate([similarity, found[kept]])
            if len(row) > n:
                least = np.partition(similarity, len(row) - n)[len(row) - n]
                kept = similarity >= least
                row, similarity = row[kept], similarity[kept]
        return row

    @override
    def build(self, shelf: Shelf) -> None:
        pass  # it needs nothing but the shelf

    @override
    def is_old(self) -> bool:
        return False
