"""The embedding store: unit vectors in plain .npy shards, sealed by a manifest written last.

Legend: n vectors, d dimensions, b rows of a block, r rows asked for.

`docs/reference/embedding-store.md` specifies every byte; this module is the one writer and reader
of it, and NumPy is all that it needs. A shard covers a fixed range of positions in the list of ids
that were asked for, so what is missing after a kill follows from the files alone: a shard counts
when its sidecar names this key and range and the hash of the .npy that lies beside it, and is made
anew otherwise.
"""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from syntype import files
from syntype.configs import Dtype
from syntype.errors import VectorError
from syntype.provenance import bytes_hash, content_hash, file_hash, plain

FORMAT = "syntype-embeddings"
VERSION = 1
_MANIFEST = "manifest.json"
_IDS = "ids.txt"

# How far a vector's length may be from 1: half precision on the way costs 0.0005 at most.
_LENGTH_TOLERANCE = 1e-3


def check_vectors(vectors: Float[np.ndarray, "n d"], ids: Sequence[str]) -> None:
    """Refuse vectors that no cosine can be taken of.

    Args:
        vectors: As they came out of an encoder.
        ids: Their samples.

    Raises:
        VectorError: A vector is NaN, infinite, zero or not of length 1; the message names the
            first such sample.
    """
    lengths = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
    broken = np.flatnonzero(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE))
    if len(broken) == 0:
        return
    length = float(lengths[broken[0]])
    fault = "zero" if length == 0 else f"of length {length:.4g}, not 1"
    if not np.isfinite(length):
        fault = "NaN or infinite"
    raise VectorError(
        f"The vector of sample {ids[broken[0]]} is {fault} ({len(broken)} of {len(vectors)} are "
        "broken). Check the encoder's weights; in half precision, try float32."
    )


def ids_hash(ids: Sequence[str]) -> str:
    """SHA-256 of the ids in their order, one a line in UTF-8.

    Raises:
        VectorError: An id holds a line break, or appears twice.
    """
    double, count = Counter(ids).most_common(1)[0] if ids else ("", 1)
    if count > 1:
        raise VectorError(f"The sample id {double!r} appears {count} times: ids must be unique.")
    broken = next((name for name in ids if "\n" in name), None)
    if broken is not None:
        raise VectorError(f"The sample id {broken!r} holds a line break: rename its file.")
    return bytes_hash(_lines(ids))


def _lines(ids: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in ids).encode()


@dataclass(frozen=True, kw_only=True)
class StoreKey:
    """What determines a set of vectors, up to rounding.

    Attributes:
        data: `Dataset.pictures` of the samples.
        ids: `ids_hash` of the samples asked for, in their order.
        encoder: `Encoder.identity`, or what `derive` makes of it; plain JSON types.
        dtype: Number format on disk.
    """

    data: str
    ids: str
    encoder: Mapping[str, Any]
    dtype: Dtype

    @property
    def name(self) -> str:
        """The hash of the key: a name for the folder."""
        return content_hash(self)


class Skipped(NamedTuple):
    """A sample without a vector.

    Attributes:
        id: The sample.
        reason: Why, in a few words.
    """

    id: str
    reason: str


class _HashingFile:
    """A file that hashes what it is given.

    NumPy writes arrays into a real file with C's `fwrite`, which loses the error number: a full
    disk could not be told from another fault. Into this one it writes with `write`.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._hash = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        return self._handle.write(content)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _save(path: Path, array: np.ndarray) -> str:
    """Write `array` atomically as .npy; its SHA-256."""
    with files.atomic_path(path) as temporary, temporary.open("wb") as handle:
        sink = _HashingFile(handle)
        np.save(sink, array, allow_pickle=False)
    return sink.digest


@dataclass(frozen=True)
class Shard:
    """A range of positions in the ids asked for.

    Attributes:
        index: Number of the shard.
        start: First position.
        stop: One past the last.
    """

    index: int
    start: int
    stop: int

    @property
    def vectors_name(self) -> str:
        """File of the vectors."""
        return f"{self.index:05d}.npy"

    @property
    def sidecar_name(self) -> str:
        """File of the sidecar."""
        return f"{self.index:05d}.json"


class Writer:
    """Fills a folder shard by shard, in any order, across any number of kills, and seals it.

    One process at a time may write a folder; `Run.working` sees to that.

    Attributes:
        folder: Where the store lies.
        key: What determines the vectors.
        ids: The samples asked for, in order.
        dim: d.
        pending: Shards that are not there yet, in order.
    """

    def __init__(
        self, folder: Path, key: StoreKey, ids: Sequence[str], dim: int, shard_rows: int
    ) -> None:
        assert key.ids == ids_hash(ids), "the key is of other ids"
        self.folder = folder
        self.key = key
        self.ids = ids
        self.dim = dim
        self._shard_rows = shard_rows
        starts = range(0, len(ids), shard_rows)
        self._shards = [
            Shard(index, start, min(start + shard_rows, len(ids)))
            for index, start in enumerate(starts)
        ]
        self.pending = [shard for shard in self._shards if not self._is_right(shard)]
        self._sweep()

    @property
    def n_done(self) -> int:
        """Samples that need no more work, vectors and skipped ones together."""
        return len(self.ids) - sum(shard.stop - shard.start for shard in self.pending)

    def _is_right(self, shard: Shard) -> bool:
        try:
            sidecar = files.read_json(self.folder / shard.sidecar_name)
            expected = self._frame(shard)
            return all(sidecar[name] == value for name, value in expected.items()) and sidecar[
                "sha256"
            ] == file_hash(self.folder / shard.vectors_name)
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def _sweep(self) -> None:
        """Remove what a kill or another sharding left: no file of ours but those that count."""
        right = {shard.index for shard in self._shards} - {shard.index for shard in self.pending}
        with files.clear_disk_errors(self.folder / _MANIFEST):
            for path in self.folder.glob("[0-9]*.*"):
                digits, _, kind = path.name.partition(".")
                if digits.isdigit() and kind in {"npy", "json"} and int(digits) not in right:
                    path.unlink()
            for pattern in (".[0-9]*.npy.*.tmp", ".[0-9]*.json.*.tmp", f".{_IDS}.*.tmp"):
                for path in self.folder.glob(pattern):
                    path.unlink()

    def _frame(self, shard: Shard) -> dict[str, Any]:
        """The part of a sidecar that is known before the vectors are."""
        return {
            "version": VERSION,
            "key": self.key.name,
            "start": shard.start,
            "stop": shard.stop,
            "dim": self.dim,
            "dtype": self.key.dtype,
        }

    def write(
        self, shard: Shard, vectors: Float[np.ndarray, "n d"], skipped: Mapping[str, str]
    ) -> None:
        """Write one shard; it counts once this returns.

        Args:
            shard: One of `pending`.
            vectors: Unit vectors of its samples in order, without the skipped ones.
            skipped: Id and reason of its samples without a vector.

        Raises:
            VectorError: A vector is broken.
            ResourceError: The disk is full; shards already written are kept.
        """
        asked = self.ids[shard.start : shard.stop]
        kept = [name for name in asked if name not in skipped]
        assert vectors.shape == (len(kept), self.dim), (vectors.shape, len(kept), self.dim)
        assert skipped.keys() <= set(asked), "a skipped sample lies in another shard"
        check_vectors(vectors, kept)
        digest = _save(
            self.folder / shard.vectors_name,
            np.ascontiguousarray(vectors, dtype=np.dtype(self.key.dtype).newbyteorder("<")),
        )
        sidecar = self._frame(shard) | {
            "ids": kept,
            "skipped": [{"id": name, "reason": skipped[name]} for name in asked if name in skipped],
            "rows": len(kept),
            "sha256": digest,
        }
        files.write_json(self.folder / shard.sidecar_name, sidecar)
        self.pending.remove(shard)

    def seal(self) -> "Embeddings":
        """Write the ids and then the manifest, which makes the store readable.

        Raises:
            VectorError: All samples were skipped.
            ResourceError: The disk is full.
        """
        assert not self.pending, f"{len(self.pending)} shards are missing"
        sidecars = [files.read_json(self.folder / shard.sidecar_name) for shard in self._shards]
        kept = [name for sidecar in sidecars for name in sidecar["ids"]]
        if not kept:
            reason = next((entry["reason"] for s in sidecars for entry in s["skipped"]), None)
            raise VectorError(
                f"None of the {len(self.ids)} samples gave a vector"
                + (f"; the first was left out because: {reason}." if reason else ".")
                + " Check --data, or see each reason with --on-error stop."
            )
        lines = _lines(kept)
        files.write_bytes(self.folder / _IDS, lines)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "key": plain(self.key),
            "dim": self.dim,
            "dtype": self.key.dtype,
            "rows": len(kept),
            "skipped": len(self.ids) - len(kept),
            "shard_rows": self._shard_rows,
            "shards": [
                {"file": shard.vectors_name, "rows": sidecar["rows"], "sha256": sidecar["sha256"]}
                for shard, sidecar in zip(self._shards, sidecars, strict=True)
            ],
            "ids": {"file": _IDS, "bytes": len(lines), "sha256": bytes_hash(lines)},
        }
        files.write_json(self.folder / _MANIFEST, manifest)
        return Embeddings.open(self.folder)


def is_sealed(folder: Path) -> bool:
    """Whether `folder` holds a finished store."""
    return (folder / _MANIFEST).is_file()


@dataclass(frozen=True)
class Embeddings:
    """A sealed store: n unit vectors and their ids, read from disk where they are needed.

    Attributes:
        folder: Where it lies.
        manifest: The manifest, as the reference page describes it.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path, *, verify: bool = False) -> "Embeddings":
        """Open a sealed store.

        Args:
            folder: Where it lies.
            verify: Read every byte and compare the hashes.

        Raises:
            VectorError: The store is not sealed, of another format version, or damaged.
        """
        path = folder / _MANIFEST
        if not path.is_file():
            raise VectorError(
                f"{folder} holds no finished vectors (no {_MANIFEST}). Run the command that was "
                "making them again: it goes on where it stopped."
            )
        manifest = files.as_mapping(files.read_json(path), path)
        if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
            raise VectorError(
                f"{path} is of format {manifest.get('format')!r}, version "
                f"{manifest.get('version')!r}; this syntype reads {FORMAT!r}, version {VERSION}. "
                "Embed again, or read it with the syntype that wrote it."
            )
        opened = cls(folder, manifest)
        opened._check_files(verify=verify)
        return opened

    def _check_files(self, *, verify: bool) -> None:
        ids = self.manifest["ids"]
        path = self.folder / ids["file"]
        if not path.is_file() or path.stat().st_size != ids["bytes"]:
            raise self._damaged(path, f"it should be {ids['bytes']} bytes long")
        if self._starts[-1] != len(self):
            raise self._damaged(self.folder / _MANIFEST, f"its shards hold {self._starts[-1]} rows")
        for entry in self.manifest["shards"]:
            self._matrix(entry)
        if verify:
            for entry in (ids, *self.manifest["shards"]):
                path = self.folder / entry["file"]
                if file_hash(path) != entry["sha256"]:
                    raise self._damaged(path, "its SHA-256 is not the one in the manifest")

    def _damaged(self, path: Path, fault: str) -> VectorError:
        return VectorError(
            f"{path} is damaged: {fault}. Delete {self.folder / _MANIFEST} and run the command "
            "that made the vectors again: it makes anew what is broken."
        )

    @cached_property
    def _matrices(self) -> list[np.ndarray]:
        return [self._matrix(entry) for entry in self.manifest["shards"]]

    def _matrix(self, entry: Mapping[str, Any]) -> np.ndarray:
        path = self.folder / entry["file"]
        try:
            # A file without rows cannot be mapped.
            matrix: np.ndarray = np.load(path, mmap_mode="r" if entry["rows"] else None)
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(path, str(error)) from error
        shape, dtype = (entry["rows"], self.dim), np.dtype(self.manifest["dtype"])
        if matrix.shape != shape or matrix.dtype != dtype:
            raise self._damaged(
                path, f"it holds {matrix.dtype} {matrix.shape}, not {dtype} {shape}"
            )
        return matrix

    @cached_property
    def _starts(self) -> list[int]:
        """Row at which each shard starts, and n."""
        rows = [entry["rows"] for entry in self.manifest["shards"]]
        return np.concatenate([[0], np.cumsum(rows)]).astype(int).tolist()

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return int(self.manifest["dim"])

    @property
    def key(self) -> StoreKey:
        """What determined the vectors."""
        return StoreKey(**self.manifest["key"])

    @cached_property
    def ids(self) -> list[str]:
        """The samples, one a row."""
        lines = (self.folder / self.manifest["ids"]["file"]).read_bytes().decode().split("\n")
        return lines[:-1]

    @cached_property
    def skipped(self) -> list[Skipped]:
        """The samples without a vector."""
        entries = []
        for shard in self.manifest["shards"]:
            sidecar = files.read_json((self.folder / shard["file"]).with_suffix(".json"))
            entries += [Skipped(entry["id"], entry["reason"]) for entry in sidecar["skipped"]]
        return entries

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def rows_of(self, ids: Sequence[str]) -> Int[np.ndarray, "r"]:
        """The rows of samples.

        Raises:
            VectorError: Some have no vector here; the message names the first few.
        """
        missing = [name for name in ids if name not in self._row_of_id]
        if missing:
            named = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise VectorError(
                f"{len(missing)} of {len(ids)} samples have no vector in {self.folder}: {named}. "
                "Either their pictures could not be read (see the skipped samples of the store), "
                "or the vectors are of another data set: embed this one."
            )
        return np.asarray([self._row_of_id[name] for name in ids], dtype=np.int64)

    def take(self, rows: Int[np.ndarray, "r"]) -> Float32[np.ndarray, "r d"]:
        """The vectors of `rows`, in that order; only these are read.

        Raises:
            IndexError: A row lies outside 0 to n - 1.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise IndexError(f"rows must lie in 0 to {len(self) - 1}")
        taken = np.empty((len(rows), self.dim), np.float32)
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        for shard in np.unique(shards):
            wanted = shards == shard
            taken[wanted] = self._matrices[shard][rows[wanted] - self._starts[shard]]
        return taken

    def blocks(self, size: int) -> Iterator[Float32[np.ndarray, "b d"]]:
        """All vectors in order, `size` at a time (fewer in the last block)."""
        for start in range(0, len(self), size):
            yield self._between(start, min(start + size, len(self)))

    def matrix(self) -> Float32[np.ndarray, "n d"]:
        """All vectors; mapped from disk, read-only, if they are one shard of float32."""
        return self._between(0, len(self))

    def _between(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`, without a copy where one shard holds them as float32."""
        first = bisect_right(self._starts, start) - 1
        if stop <= self._starts[first + 1] and self.manifest["dtype"] == "float32":
            return self._matrices[first][start - self._starts[first] : stop - self._starts[first]]
        block = np.empty((stop - start, self.dim), np.float32)
        filled = 0
        while filled < stop - start:
            low = start + filled - self._starts[first]
            part = self._matrices[first][low : low + stop - start - filled]
            block[filled : filled + len(part)] = part
            filled += len(part)
            first += 1
        return block
