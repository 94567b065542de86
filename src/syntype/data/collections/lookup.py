"""Rows found by a name, in any number: a table sorted by the names' hashes, on the disk.

Names are hashed to 64 bits, and their rows are sorted in 256 parts, so that memory holds one part
and a million rows that wait, whatever the number of rows. Of rows with one name the first stays.
Two of 10 million different names share a hash with a chance of 3 in a million, two of 230 million
with one of 1 in 700; what is then found for one of the two is the other's.

On the disk: 8 bytes a row and its values; the files have no name and vanish with the process.
"""

import mmap
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int, UInt8, UInt64

from syntype import files
from syntype.data.numbering import row_hashes

_WAITING = 1 << 20
_N_PARTS = 256
_UUID = 36
_DASHES = np.array([8, 13, 18, 23])
_DIGITS = np.setdiff1d(np.arange(_UUID), _DASHES)
_NO_DIGIT = 255


def _digits() -> UInt8[np.ndarray, "256"]:
    values = np.full(256, _NO_DIGIT, np.uint8)
    for value in range(16):
        values[ord(f"{value:x}")] = values[ord(f"{value:X}")] = value
    return values


_VALUE = _digits()


def hashes(names: Sequence[str] | pa.Array) -> UInt64[np.ndarray, "n"]:
    """The hash of each name; UUIDs, which are most of all names, are hashed by the column."""
    column = names if isinstance(names, pa.Array) else pa.array(names, pa.string())
    found = np.empty(len(column), np.uint64)
    lengths = np.diff(_offsets(column))
    fits = lengths == _UUID
    if fits.any():
        some = column if fits.all() else column.filter(pa.array(fits))
        values, good = _uuids(some)
        found[np.flatnonzero(fits)[good]] = values
        fits[np.flatnonzero(fits)[~good]] = False
    if not fits.all():
        found[~fits] = row_hashes(column.filter(pa.array(~fits)).to_pylist())
    return found


def _offsets(column: pa.Array) -> Int[np.ndarray, "n1"]:
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.zeros(len(column) + 1, np.int32)
    return np.frombuffer(buffer, np.int32)[column.offset : column.offset + len(column) + 1]


def _uuids(column: pa.Array) -> tuple[UInt64[np.ndarray, "m"], Bool[np.ndarray, "n"]]:
    """The hashes of those names, all of 36 letters, that are UUIDs; and which are."""
    begin = int(_offsets(column)[0])
    text = np.frombuffer(column.buffers()[2], np.uint8)[begin : begin + _UUID * len(column)]
    letters = text.reshape(len(column), _UUID)
    digits = _VALUE[letters[:, _DIGITS]]
    good = (letters[:, _DASHES] == ord("-")).all(axis=1) & (digits != _NO_DIGIT).all(axis=1)
    packed = (digits[good, 0::2] << 4) | digits[good, 1::2]
    halves = np.ascontiguousarray(packed).view(">u8").astype(np.uint64)
    # Both halves take part, since a UUID's version stands in the first.
    mixed: np.ndarray = halves[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ halves[:, 1]
    return mixed, good


class Scratch:
    """A file without a name, which is gone when nobody holds it any more."""

    def __init__(self, work: Path) -> None:
        """An empty one.

        Args:
            work: Folder on whose disk it lies.
        """
        self._work = work
        with files.clear_disk_errors(work / "scratch", "--workspace"):
            work.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=work)  # noqa: SIM115
        self.size = 0
        self._mapped: mmap.mmap | None = None

    def __del__(self) -> None:
        """Close it, which removes it."""
        if hasattr(self, "_file"):
            self._file.close()

    def write(self, content: bytes) -> int:
        """Append bytes; where they begin."""
        with files.clear_disk_errors(self._work / "scratch", "--workspace"):
            self._file.write(content)
        self.size += len(content)
        return self.size - len(content)

    def read(self, at: int, length: int) -> bytes:
        """Bytes of it."""
        self._file.flush()
        return os.pread(self._file.fileno(), length, at)

    def array(self, kind: np.dtype) -> np.ndarray:
        """All of it as an array that the system reads as it is asked for."""
        self._file.flush()
        if not self.size:
            return np.empty(0, kind)
        self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(self._mapped, kind)

    def relax(self) -> None:
        """Let go of what was read of the array; the system may keep it and gives it again."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


class Lookup:
    """A table of rows that are found by the hash of their names.

    Attributes:
        n_rows: Rows with different names, once `end` was called.
        n_twice: Rows whose name was there before.
    """

    def __init__(self, values: Mapping[str, np.dtype | type], work: Path) -> None:
        """A table with columns of numbers.

        Args:
            values: Name and kind of each column.
            work: Folder for its files.
        """
        kinds = [("hash", np.uint64), *values.items()]
        self._kind = np.dtype([(name, np.dtype(kind)) for name, kind in kinds])
        self._work = work
        self._waiting: list[np.ndarray] = []
        self._n_waiting = 0
        self._aside = Scratch(work)
        self._parts: list[list[tuple[int, int]]] = [[] for _ in range(_N_PARTS)]
        self._columns: dict[str, np.ndarray] = {}
        self._files: tuple[Scratch, ...] = ()
        self.n_rows = self.n_twice = 0

    def add(self, hashed: UInt64[np.ndarray, "n"], **values: np.ndarray) -> None:
        """Take rows.

        Args:
            hashed: Of their names.
            values: The columns.
        """
        rows = np.empty(len(hashed), self._kind)
        rows["hash"] = hashed
        for name, column in values.items():
            rows[name] = column
        self._waiting.append(rows)
        self._n_waiting += len(rows)
        if self._n_waiting >= _WAITING:
            self._put_aside()

    def _put_aside(self) -> None:
        rows = np.concatenate(self._waiting)
        self._waiting, self._n_waiting = [], 0
        part = (rows["hash"] >> np.uint64(56)).astype(np.int64)
        rows = rows[np.argsort(part, kind="stable")]
        counts = np.bincount(part, minlength=_N_PARTS)
        at = self._aside.write(rows.tobytes())
        for number, count in enumerate(counts.tolist()):
            if count:
                self._parts[number].append((at, count))
                at += count * self._kind.itemsize

    def end(self) -> "Lookup":
        """Sort all rows; nothing can be added then."""
        if self._waiting:
            self._put_aside()
        columns = {name: Scratch(self._work) for name in self._kind.names or ()}
        for extents in self._parts:
            rows = self._part(extents)
            for name, column in columns.items():
                column.write(np.ascontiguousarray(rows[name]).tobytes())
            self.n_rows += len(rows)
        for name, column in columns.items():
            self._columns[name] = column.array(self._kind[name])
        self._files = tuple(columns.values())
        self._aside, self._parts = Scratch(self._work), []
        return self

    def _part(self, extents: list[tuple[int, int]]) -> np.ndarray:
        """The rows of a part in order; of those with one hash the first."""
        found = [
            np.frombuffer(self._aside.read(at, count * self._kind.itemsize), self._kind)
            for at, count in extents
        ]
        if not found:
            return np.empty(0, self._kind)
        rows = np.concatenate(found)
        rows = rows[np.argsort(rows["hash"], kind="stable")]
        first = np.ones(len(rows), dtype=bool)
        first[1:] = rows["hash"][1:] != rows["hash"][:-1]
        self.n_twice += int((~first).sum())
        kept: np.ndarray = rows[first]
        return kept

    def find(self, hashed: UInt64[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """The row of each hash, -1 where there is none."""
        column = self._columns["hash"]
        if not len(column):
            return np.full(len(hashed), -1, np.int64)
        for file in self._files:
            file.relax()  # what the rows before touched
        # In order, so that the disk is read in order.
        order = np.argsort(hashed, kind="stable")
        place = np.empty(len(hashed), np.int64)
        place[order] = np.searchsorted(column, hashed[order])
        there = column[np.minimum(place, len(column) - 1)] == hashed
        found: np.ndarray = np.where(there, place, -1)
        return found

    def take(self, name: str, rows: Int[np.ndarray, "n"]) -> np.ndarray:
        """A column at rows of the table; zero where a row is -1."""
        column = self._columns[name]
        taken = np.zeros(len(rows), column.dtype)
        there = rows >= 0
        taken[there] = column[rows[there]]
        return taken
