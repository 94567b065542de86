"""What an embedded index searches with: the rows that fit, and what finds those near a query.

Legend: r rows of the shelf, n of them that fit, d dimensions, c rows found.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from syntype.search.shelf import Shelf


@dataclass(frozen=True, eq=False)
class Fits:
    """The rows that a search may find.

    Attributes:
        rows: Whether each row may be found.
        n: How many may.
    """

    rows: Bool[np.ndarray, "r"]
    n: int

    @cached_property
    def numbers(self) -> Int64[np.ndarray, "n"]:
        """Which rows they are, in order."""
        return np.flatnonzero(self.rows)

    @cached_property
    def packed(self) -> UInt8[np.ndarray, "b"]:
        """A bit for each row, the first row's the lowest of the first byte."""
        return np.packbits(self.rows, bitorder="little")


class Finder(ABC):
    """Finds the rows that may be near: by comparing all of them, or the likely ones."""

    @abstractmethod
    def open(self, shelf: Shelf, rows: int) -> int:
        """Take up what `build` kept beside a shelf of so many rows; how many of them it knows."""

    @property
    @abstractmethod
    def n_built(self) -> int:
        """Rows that were there at the last `build`; all where it needs none."""

    @abstractmethod
    def extend(self, start: int, stop: int) -> None:
        """Take in rows of the shelf."""

    @abstractmethod
    def near(self, query: Float32[np.ndarray, "d"], n: int, fits: Fits) -> Int64[np.ndarray, "c"]:
        """Rows that fit: the n nearest, or most of them, and what else may be as near."""

    @abstractmethod
    def build(self, shelf: Shelf) -> None:
        """Make anew what it needs of all rows, beside a shelf; `open` takes it up."""

    @abstractmethod
    def is_old(self) -> bool:
        """Whether another process has built since `open`."""


def cosines(
    vectors: Float32[np.ndarray, "c d"], query: Float32[np.ndarray, "d"]
) -> Float64[np.ndarray, "c"]:
    """The cosine of each vector to a query, to six places; equal vectors have equal ones."""
    return np.einsum("cd,d->c", vectors, query).astype(np.float64).round(6)
