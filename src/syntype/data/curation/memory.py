"""What was measured of media, kept in Parquet parts, so that no medium is read twice.

    FOLDER/NAME.parquet     the measures of some thousands of media, named after what is in it

A medium is known by a hash of where it lies (root and locator), and counts as the same while the
size and the time of change of its file are the same. Parts are only ever added, whole or not at
all, so a kill costs the latest thousands, and several commands may add to one folder. When many
small parts have gathered they are joined.

Held: 16 bytes for each medium that is remembered, and a few parts at a time.

n media
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, UInt64

from syntype import files

MEASURE = np.dtype(
    [
        ("key", "u8"),
        ("check", "u8"),
        ("size", "i8"),
        ("changed", "i8"),
        ("digest", "u1", 32),
        ("hash", "u1", 32),
        ("hashed", "?"),
        ("length", "i8"),
        ("width", "i4"),
        ("height", "i4"),
        ("contours", "f4"),
        ("relief", "f4"),
        ("reason", "O"),
    ]
)
"""One medium: the hash of its place in two words, size and time of change (ns) of its file, SHA-256
and perceptual hash, whether it has the latter, its bytes, its pixels upright, contours and relief
(`syntype.data.perceptual`), and why it cannot be decoded, "" where it can."""

_BYTES = ("digest", "hash")
_PART_ROWS = 65_536
_MANY = 64  # small parts that are joined when a memory is opened
_MOST_PARTS = 8  # held at a time


def place_keys(places: Sequence[str]) -> UInt64[np.ndarray, "n 2"]:
    """The hash of each place, as two words.

    Args:
        places: Text that names where each medium lies, root and locator.
    """
    digests = b"".join(
        hashlib.blake2b(place.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        for place in places
    )
    return np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2)


class Memory:
    """The measures in a folder.

    Attributes:
        folder: Where its parts lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: OrderedDict[Path, np.ndarray] = OrderedDict()
        self._parts = sorted(folder.glob("*.parquet"))
        small = [path for path in self._parts if _n_rows(path) < _PART_ROWS // 2]
        if len(small) > _MANY:
            self._join(small)
        self._index()

    def _join(self, small: Sequence[Path]) -> None:
        """Write small parts as large ones, and take them away."""
        waiting: list[np.ndarray] = []
        sources: list[Path] = []
        for path in [*small, None]:
            if path is not None:
                sources.append(path)
                waiting.append(_read(path))
            if waiting and (path is None or sum(map(len, waiting)) >= _PART_ROWS):
                joined = self._write(np.concatenate(waiting))
                for source in sources:
                    if source != joined:
                        source.unlink(missing_ok=True)
                waiting, sources = [], []
        self._parts = sorted(self.folder.glob("*.parquet"))

    def _index(self) -> None:
        keys, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for number, path in enumerate(self._parts):
            try:
                found = pq.read_table(path, columns=["key"]).column("key").to_numpy()
            except (OSError, pa.ArrowInvalid, KeyError):
                continue  # of no use: what it knew is measured again
            keys.append(found)
            places.append((np.int64(number) << 32) + np.arange(len(found)))
        key, place = np.concatenate(keys), np.concatenate(places)
        order = np.argsort(key, kind="stable")
        self._keys, self._places = key[order], place[order]

    def __len__(self) -> int:
        return len(self._keys)

    def recall(self, asked: np.ndarray) -> tuple[Bool[np.ndarray, "n"], np.ndarray]:
        """What is remembered of media.

        Args:
            asked: `MEASURE`s of which `key`, `check`, `size` and `changed` are filled.

        Returns:
            Which are known, and the `MEASURE`s of all, where those that are not are as asked.
        """
        known = np.zeros(len(asked), dtype=bool)
        found = asked.copy()
        low = np.searchsorted(self._keys, asked["key"], side="left")
        high = np.searchsorted(self._keys, asked["key"], side="right")
        # A file that changed is remembered several times: any of them may be the one asked for.
        for step in range(int((high - low).max(initial=0))):
            rows = np.flatnonzero(~known & (low + step < high))
            places = self._places[low[rows] + step]
            for number in np.unique(places >> 32).tolist():
                inside = places >> 32 == number
                part = self._part(self._parts[number])
                at = (places[inside] & 0xFFFFFFFF).astype(np.int64)
                if len(part) <= int(at.max()):
                    continue  # it was taken away since
                these, held = rows[inside], part[at]
                same = np.ones(len(these), dtype=bool)
                for name in ("check", "size", "changed"):
                    same &= held[name] == asked[name][these]
                found[these[same]] = held[same]
                known[these[same]] = True
        return known, found

    def _part(self, path: Path) -> np.ndarray:
        held = self._held.pop(path, None)
        if held is None:
            held = _read(path)
        self._held[path] = held
        while len(self._held) > _MOST_PARTS:
            self._held.popitem(last=False)
        return held

    def add(self, measures: np.ndarray) -> None:
        """Remember measures; they are found by a `Memory` that is opened after this.

        Raises:
            ResourceError: The disk is full, or the folder may not be written.
        """
        if len(measures):
            self._write(measures)

    def _write(self, measures: np.ndarray) -> Path:
        columns = {name: _column(measures[name], name) for name in MEASURE.names or ()}
        digest = hashlib.sha256(np.ascontiguousarray(measures["check"]).tobytes())
        digest.update(np.ascontiguousarray(measures["changed"]).tobytes())
        path = self.folder / f"{digest.hexdigest()[:16]}.parquet"
        with files.atomic_path(path) as temporary:
            pq.write_table(pa.table(columns), temporary, compression="zstd")
        return path


def _n_rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowInvalid):
        return _PART_ROWS  # it is left alone


def _column(values: np.ndarray, name: str) -> pa.Array:
    if name in _BYTES:
        content = pa.py_buffer(np.ascontiguousarray(values).tobytes())
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(values), [None, content])
    if name == "reason":
        return pa.array(values.tolist(), pa.string())
    return pa.array(np.ascontiguousarray(values))


def _read(path: Path) -> np.ndarray:
    """The measures of a part; none if it is gone or broken."""
    try:
        table = pq.read_table(path)
        found = np.empty(table.num_rows, MEASURE)
        for name in MEASURE.names or ():
            column = table.column(name).combine_chunks()
            if name in _BYTES:
                raw = np.frombuffer(b"".join(column.to_pylist()), np.uint8)
                found[name] = raw.reshape(-1, 32)
            else:
                found[name] = column.to_numpy(zero_copy_only=False)
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return np.empty(0, MEASURE)
    return found
