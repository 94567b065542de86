"""What every engine is asked for: build, open, search under a condition, write, delete.

An engine gets row numbers as ids and the columns of `World.columns` to filter by. Where it cannot
do something the class says so, and the table shows it.

Legend: m rows of a call, d dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from search_candidates.world import Condition, World

FILTERED = ("family", "species", "institution")
"""Columns that engines are told, to filter by."""


class Vectors:
    """The vectors of all records, in half precision on disk."""

    def __init__(self, path: Path, world: World) -> None:
        self.world = world
        self._map = np.memmap(path, np.float16, "r", shape=(world.n, world.dim))

    def blocks(self, size: int = 10_000) -> Iterator[tuple[int, np.ndarray]]:
        """First row and vectors, in single precision."""
        for start in range(0, self.world.n, size):
            yield start, self._map[start : start + size].astype(np.float32)

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Vectors of some rows, for training."""
        n = min(n, self.world.n)
        rows = np.sort(np.random.default_rng(seed).choice(self.world.n, n, replace=False))
        return self._map[rows].astype(np.float32)

    def columns(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Columns of rows."""
        return {name: values[start:stop] for name, values in self.world.columns.items()}


class Candidate(ABC):
    """An engine.

    Attributes:
        needs: Modules it imports, so that it can be skipped.
        efforts: Settings of its knob, from fast to thorough.
        knob: What the knob is called.
        filters: Whether it filters inside the search.
        keeps: Whether a write is on the disk when it returns; else it must save the whole file.
        about: How it is set up, in a few words.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    efforts: ClassVar[tuple[Any, ...]] = (None,)
    knob: ClassVar[str] = ""
    filters: ClassVar[bool] = True
    keeps: ClassVar[bool] = True
    about: ClassVar[str] = ""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder, self.world = folder, world

    @abstractmethod
    def build(self, vectors: Vectors) -> None:
        """Put all records into a new folder."""

    @abstractmethod
    def open(self) -> None:
        """Be ready to search, in a new process."""

    @abstractmethod
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        """Rows of the k most similar that fit."""

    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        """Add records, or replace those of the same numbers."""
        raise NotImplementedError

    def delete(self, rows: Sequence[int]) -> None:
        """Remove records."""
        raise NotImplementedError

    def present(self, rows: Sequence[int]) -> int:
        """How many of these records there are."""
        raise NotImplementedError

    def processes(self) -> Sequence[int]:
        """Processes that belong to it besides this one and its children."""
        return ()

    def close(self) -> None:
        """Let go of everything, as at the end of a program."""
        return
