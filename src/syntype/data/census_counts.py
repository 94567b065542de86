"""Counts that grow batch by batch and do not depend on where one batch ends: the census's tools.

    Names    how many rows hold each name, held once a distinct name
    Repeats  how many rows share a text with another row, 8 bytes a row, on disk above a limit
    Bins     how many numbers fall between edges

All work on Arrow's columns and numpy's arrays; nothing here walks over rows in Python.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype import files

HELD_HASHES = 32_000_000
"""Hashes that `Repeats` holds in memory, 8 bytes each, before it writes them aside."""
_MOST_WAITING = 1 << 19  # names that wait to be merged
_MOST_TABLES = 256
_SPREAD = 64  # files that hashes are written aside into, by their first bits
_WIDTHS = (16, 32, 64, 128, 256)  # bytes; longer texts are hashed one by one
_STEP, _ODD, _OTHER = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


class Encoded(NamedTuple):
    """A column of text as its distinct values and, for each row, which one it holds."""

    values: pa.Array
    codes: np.ndarray

    def counts(self) -> np.ndarray:
        """How many rows hold each value."""
        return np.bincount(self.codes, minlength=len(self.values)).astype(np.int64)


def encode(column: pa.ChunkedArray) -> Encoded:
    """A column of text, dictionary or not, with "" for what is null."""
    if column.null_count:
        column = column.cast(pa.string()).fill_null("")
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # one without chunks stays chunked
        array = pa.array([], pa.string())
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return Encoded(array.dictionary, array.indices.to_numpy(zero_copy_only=False))


class Names:
    """How many rows hold each name, or each combination of names."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys or ("name",)
        self._held: list[pa.Table] = []
        self._n_waiting = 0

    def add(self, *names: pa.Array, counts: np.ndarray) -> None:
        """Take names, one array for each key, and how many rows hold each."""
        kept = counts > 0
        if not kept.any():
            return
        mask = pa.array(kept)
        columns = [name.filter(mask) for name in names]
        self._held.append(pa.table([*columns, pa.array(counts[kept])], [*self._keys, "n"]))
        self._n_waiting += int(kept.sum())
        if self._n_waiting > _MOST_WAITING or len(self._held) > _MOST_TABLES:
            self._merge()

    def _merge(self) -> None:
        if self._n_waiting:
            together = pa.concat_tables(self._held).combine_chunks()
            merged = together.group_by(list(self._keys), use_threads=False)
            found = merged.aggregate([("n", "sum")]).rename_columns([*self._keys, "n"])
            self._held = [found.combine_chunks()]
        self._n_waiting = 0

    def table(self) -> pa.Table:
        """The keys and `n`, the most frequent first, and equal ones by name."""
        self._merge()
        if not self._held:
            empty = {key: pa.array([], pa.string()) for key in self._keys}
            return pa.table(empty | {"n": pa.array([], pa.int64())})
        order = [("n", "descending"), *((key, "ascending") for key in self._keys)]
        return self._held[0].sort_by(order).combine_chunks()


@dataclass(frozen=True)
class Repeated:
    """How often the same text stands in several rows.

    Attributes:
        rows: Rows that have a text.
        distinct: Different texts among them.
        sizes: How many texts stand in exactly so many rows; from 10 on in steps (`STEPS`).
    """

    rows: int
    distinct: int
    sizes: Mapping[int, int]

    @property
    def more(self) -> int:
        """Rows beyond the first of each text."""
        return self.rows - self.distinct


STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100, 1_000, 10_000, 100_000)
"""Where a new class of sizes begins."""


class Repeats:
    """Finds how many rows share a text, by 64-bit hashes: 8 bytes for each row that has one.

    Of ten million different texts two have the same hash with a chance of 3 in a million.

    Args:
        held: Hashes that are held in memory; more are written aside into the folder for temporary
            files, 8 bytes each, and counted part by part.
    """

    def __init__(self, held: int = HELD_HASHES) -> None:
        self._most = held
        self._chunks: list[np.ndarray] = []
        self._n = 0
        self._aside: tempfile.TemporaryDirectory[str] | None = None

    def add(self, column: pa.ChunkedArray) -> None:
        """Take a column of text; rows that hold "" or nothing have none.

        Raises:
            ResourceError: The disk of the folder for temporary files is full.
        """
        for chunk in column.chunks:
            if pa.types.is_dictionary(chunk.type):
                found = hashes(chunk.dictionary)
                known = pc.binary_length(chunk.dictionary).to_numpy(zero_copy_only=False) > 0
                codes = chunk.indices.drop_null().to_numpy(zero_copy_only=False)
                self._take(found[codes[known[codes]]])
            else:
                self._take(hashes(chunk.filter(pc.greater(pc.binary_length(chunk), 0))))

    def _take(self, found: np.ndarray) -> None:
        self._chunks.append(found)
        self._n += len(found)
        if self._n >= self._most:
            self._write()

    def _write(self) -> None:
        with files.clear_disk_errors(Path(tempfile.gettempdir(), "census"), "TMPDIR"):
            if self._aside is None:
                self._aside = tempfile.TemporaryDirectory(prefix="syntype-census-")
            for number, part in enumerate(self._ordered()):
                if len(part):
                    with (Path(self._aside.name) / f"{number:02d}").open("ab") as file:
                        file.write(part.tobytes())

    def _ordered(self) -> list[np.ndarray]:
        """The hashes that are held, sorted, in parts by their first bits; they are given up."""
        ordered = np.concatenate(self._chunks) if self._chunks else np.empty(0, np.uint64)
        self._chunks, self._n = [], 0
        ordered.sort()
        edges = np.arange(1, _SPREAD, dtype=np.uint64) * np.uint64(2**64 // _SPREAD)
        return np.split(ordered, np.searchsorted(ordered, edges))

    def end(self) -> Repeated:
        """What was found; what was written aside is removed."""
        if self._aside is None:
            return _repeated(self._ordered())
        if self._chunks:
            self._write()
        with self._aside as folder:
            return _repeated(
                np.fromfile(path, np.uint64) for path in sorted(Path(folder).iterdir())
            )


def _repeated(parts: Iterable[np.ndarray]) -> Repeated:
    """Count hashes part by part; equal ones lie in the same part."""
    rows = distinct = 0
    sizes = np.zeros(len(STEPS) + 1, dtype=np.int64)
    for ordered in parts:
        ordered.sort()
        if not len(ordered):
            continue
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        runs = np.diff(np.r_[first, len(ordered)])
        rows, distinct = rows + len(ordered), distinct + len(runs)
        sizes += np.bincount(np.searchsorted(STEPS, runs, side="right"), minlength=len(sizes))
    found = {step: int(n) for step, n in zip(STEPS, sizes[1:], strict=True) if n}
    return Repeated(rows, distinct, found)


def hashes(texts: pa.Array) -> np.ndarray:
    """A 64-bit hash of each text's bytes, the same in every batch and on every machine.

    Args:
        texts: Strings, none of them null.
    """
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    found = np.empty(len(texts), dtype=np.uint64)
    least = -1
    for width in _WIDTHS:
        rows = (lengths > least) & (lengths <= width)
        if rows.any():
            chosen = texts if rows.all() else texts.filter(pa.array(rows))
            found[rows] = _hash_padded(chosen, lengths[rows], width)
        least = width
    for row in np.flatnonzero(lengths > least).tolist():
        digest = hashlib.blake2b(texts[row].as_py().encode(), digest_size=8).digest()
        found[row] = int.from_bytes(digest, "little")
    return found


def _hash_padded(texts: pa.Array, lengths: np.ndarray, width: int) -> np.ndarray:
    """Hash texts of at most `width` bytes, eight bytes at a time; padding is not hashed."""
    padded = pc.ascii_rpad(texts, width, padding="\0")
    start = padded.offset * width
    content = np.frombuffer(padded.buffers()[2], np.uint8)[start : start + len(texts) * width]
    words = content.view("<u8").reshape(len(texts), width // 8)
    state = lengths.astype(np.uint64) * _STEP
    for place in range(words.shape[1]):
        mixed = _mix((state ^ words[:, place]) + _STEP)
        state = np.where(lengths > 8 * place, mixed, state)
    return state


def _mix(state: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64: each bit of the input changes half of the output's."""
    state = (state ^ (state >> np.uint64(30))) * _ODD
    state = (state ^ (state >> np.uint64(27))) * _OTHER
    return state ^ (state >> np.uint64(31))


@dataclass(frozen=True)
class Histogram:
    """How many numbers lie in each class.

    Attributes:
        edges: Class number i holds edges[i] <= number < edges[i + 1]; the last has no end.
        counts: One for each edge. Numbers below the first edge are in the first class.
        total: Sum of all numbers.
        least: The least, 0 if there are none.
        most: The greatest, 0 if there are none.
    """

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    total: int
    least: int
    most: int

    @property
    def n(self) -> int:
        """How many numbers there are."""
        return sum(self.counts)


class Bins:
    """Fills a `Histogram`."""

    def __init__(self, edges: Sequence[int]) -> None:
        self._edges = np.asarray(edges, dtype=np.int64)
        self._counts = np.zeros(len(edges), dtype=np.int64)
        self._total, self._least, self._most = 0, 0, 0
        self._empty = True

    def add(self, numbers: np.ndarray) -> None:
        """Take integers."""
        if not len(numbers):
            return
        places = np.searchsorted(self._edges, numbers, side="right") - 1
        self._counts += np.bincount(np.maximum(places, 0), minlength=len(self._edges))
        least, most = int(numbers.min()), int(numbers.max())
        self._least = least if self._empty else min(self._least, least)
        self._most = most if self._empty else max(self._most, most)
        self._total += int(numbers.sum(dtype=np.int64))
        self._empty = False

    def end(self) -> Histogram:
        """What was found."""
        edges = tuple(int(edge) for edge in self._edges)
        counts = tuple(int(count) for count in self._counts)
        return Histogram(edges, counts, self._total, self._least, self._most)
