"""What the rules of curation need of each row, as numbers: 100 bytes a row, whatever its text.

Texts become codes. Names of species and groups are held once; units and cameras, of which there
can be as many as rows, are held as hashes of 64 bits. The order of the ids is found by sorting them
once, before anything else is held; at 10 million rows that is the peak, of about a gigabyte.

n rows
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Int, UInt8, UInt64

from syntype.configs.curate import CurateConfig
from syntype.data.catalogue import SCHEMA, Catalogue
from syntype.data.curation.bursts import burst_codes, moment
from syntype.data.curation.measuring import PICTURE, measured
from syntype.data.curation.memory import Memory
from syntype.data.raw import NUMBERS
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress
from syntype.taxonomy.taxon import RANKS

SPLITS = ("test", "val", "train", "")
"""The splits in the order in which they matter: a copy stays in the first that has one."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What media are, by their bytes and looks.

    Attributes:
        kind: `ELSEWHERE`, `PICTURE` or `OTHER` (`syntype.data.curation.measuring`).
        faulty: Whether a picture cannot be read.
        digest: The first half of the SHA-256, in two words; zeros where it is not known.
        hashes: The perceptual hash, in four words.
        hashed: Whether there is one.
        width: Pixels, 0 where they are not known.
        height: Likewise.
        relief: As `syntype.data.perceptual.Looks` says.
    """

    kind: UInt8[np.ndarray, "n"]
    faulty: Bool[np.ndarray, "n"]
    digest: UInt64[np.ndarray, "n 2"]
    hashes: UInt64[np.ndarray, "n 4"]
    hashed: Bool[np.ndarray, "n"]
    width: Int[np.ndarray, "n"]
    height: Int[np.ndarray, "n"]
    relief: Float32[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a catalogue.

    Attributes:
        looked: What their media are.
        place: Each row's place in the order of keeping: 0 is kept before all others.
        split: Number of `SPLITS`.
        species: Number of `species_names`; 0 is unknown.
        group: Number of `group_names`.
        unit: Code of the independent unit; a row without one is a unit of its own.
        burst: Code of the burst, -1 for none.
        species_names: Names, the first "".
        group_names: Names, the first "".
    """

    looked: Looked
    place: Int[np.ndarray, "n"]
    split: Int[np.ndarray, "n"]
    species: Int[np.ndarray, "n"]
    group: Int[np.ndarray, "n"]
    unit: Int[np.ndarray, "n"]
    burst: Int[np.ndarray, "n"]
    species_names: Sequence[str]
    group_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.place)


def look_at(
    catalogue: Catalogue,
    memory: Memory,
    *,
    title: str,
    workers: int = 0,
    progress: Progress = SILENT,
) -> Looked:
    """Measure or recall the media of a catalogue with which another is compared.

    Args:
        catalogue: The rows.
        memory: What is known of them.
        title: What the progress is called.
        workers: Threads.
        progress: Where to say how far it is.
    """
    gathered = _Looks()
    for found in measured(
        catalogue, memory, ["imageDigest"], title=title, workers=workers, progress=progress
    ):
        gathered.add(found.table, found.kind, found.measures)
    return gathered.joined()


def gather_rows(
    catalogue: Catalogue,
    memory: Memory,
    config: CurateConfig,
    *,
    workers: int = 0,
    progress: Progress = SILENT,
) -> Rows:
    """The rows of a catalogue as numbers; what is not known of their media is measured.

    Raises:
        UsageError: `config.burst_by` names a column that is not there.
    """
    cameras = _camera_columns(config) if config.burst_seconds else []
    id_order = _id_order(catalogue)
    columns = ["imageDigest", "split", *RANKS, "taxonGroup", "unit"]
    columns += [*cameras, "eventDate"] if cameras else []
    gathered = _Looks()
    species, groups = _Names(), _Names()
    parts: dict[str, list[np.ndarray]] = {}
    for found in measured(catalogue, memory, columns, workers=workers, progress=progress):
        table = found.table
        gathered.add(table, found.kind, found.measures)
        named = sum(
            pc.not_equal(table.column(rank), "").to_numpy().astype(np.int8) for rank in RANKS
        )
        new = {
            "species": species.codes(table.column("species")),
            "group": groups.codes(table.column("taxonGroup")),
            "unit": _hashes(table.column("unit")),
            "split": _by_value(table.column("split"), _split_number, np.int8),
            "named": named,
        }
        if cameras:
            new["camera"] = _camera(table, cameras)
            new["seconds"] = _moments(table.column("eventDate"), config.burst_seconds)
            aware = _by_value(
                table.column("eventDate"), lambda text: moment(text, _DAY)[1], np.uint64
            )
            new["camera"] = np.where(new["camera"] > 0, new["camera"] ^ aware, 0).astype(np.uint64)
        for name, values in new.items():
            parts.setdefault(name, []).append(values)
    joined = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    looked = gathered.joined()
    n = len(looked)
    empty = np.empty(0, np.int64)
    area = looked.width.astype(np.int64) * looked.height
    split = joined.get("split", empty)
    # Sorted by the split that matters most, the better label, the larger picture, the lowest id.
    order = np.lexsort((id_order, -area, -joined.get("named", empty), split))
    place = np.empty(n, np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    burst = np.full(n, -1, np.int8)
    if cameras and n:
        burst = burst_codes(joined["camera"], joined["seconds"], config.burst_seconds)
    return Rows(
        looked=looked,
        place=place,
        split=split,
        species=joined.get("species", empty),
        group=joined.get("group", empty),
        unit=_unit_codes(joined.get("unit", np.empty(0, np.uint64))),
        burst=burst,
        species_names=species.names,
        group_names=groups.names,
    )


_DAY = 86_400.0


class _Looks:
    """Collects what was measured, row group by row group."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, table: pa.Table, kind: UInt8[np.ndarray, "n"], measures: np.ndarray) -> None:
        n = len(kind)
        digest = np.ascontiguousarray(measures["digest"][:, :16]).view(np.uint64).copy()
        self._brought(table.column("imageDigest"), digest)
        found = {
            "kind": kind,
            "faulty": (kind == PICTURE) & (measures["reason"] != ""),
            "digest": digest.reshape(n, 2),
            "hashes": np.ascontiguousarray(measures["hash"]).view(np.uint64).reshape(n, 4),
        }
        for name in ("hashed", "width", "height", "relief"):
            found[name] = measures[name].copy()
        for name, values in found.items():
            self._parts.setdefault(name, []).append(values)

    @staticmethod
    def _brought(column: pa.ChunkedArray, digest: UInt64[np.ndarray, "n 2"]) -> None:
        """Fill in the digests that the catalogue brings for media that are not here."""
        there = pc.not_equal(column, "").to_numpy() & (digest == 0).all(axis=1)
        for row in np.flatnonzero(there).tolist():
            try:
                digest[row] = np.frombuffer(bytes.fromhex(column[row].as_py()[:32]), np.uint64)
            except ValueError:
                continue  # it is no digest, and nothing is known by it

    def joined(self) -> Looked:
        names = Looked.__dataclass_fields__
        if not self._parts:
            shapes = {"digest": (0, 2), "hashes": (0, 4)}
            kinds = {"digest": "u8", "hashes": "u8", "kind": "u1", "relief": "f4"}
            kinds |= {"faulty": "?", "hashed": "?"}
            return Looked(
                **{name: np.empty(shapes.get(name, (0,)), kinds.get(name, "i4")) for name in names}
            )
        # Popped, so that no more than one column is held twice.
        return Looked(**{name: np.concatenate(self._parts.pop(name)) for name in names})


class _Names:
    """Gives each name a number; "" is 0."""

    def __init__(self) -> None:
        self.names = [""]
        self._numbers = {"": 0}

    def codes(self, column: pa.ChunkedArray) -> np.ndarray:
        """The numbers of a column."""
        return _by_value(column, self._number, np.int32)

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def _by_value(
    column: pa.ChunkedArray, change: Callable[[str], float | int | bool], kind: type
) -> np.ndarray:
    """A column of text as numbers; each distinct value is looked at once."""
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks) if encoded.num_chunks else pa.array([], "str")
    encoded = encoded.dictionary_encode()
    values: np.ndarray = np.array(
        [change(text) for text in encoded.dictionary.to_pylist()], dtype=kind
    )
    return values[encoded.indices.to_numpy()] if len(encoded) else np.empty(0, kind)


def _split_number(text: str) -> int:
    return SPLITS.index(text) if text in SPLITS else len(SPLITS) - 1


def _hash(text: str) -> int:
    """A number for a text, not 0; 0 for none."""
    if not text:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _hashes(column: pa.ChunkedArray) -> UInt64[np.ndarray, "n"]:
    return _by_value(column, _hash, np.uint64)


def _unit_codes(hashes: UInt64[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Units numbered from 0; each row without a unit is one."""
    codes = np.empty(len(hashes), np.int32)
    alone = hashes == 0
    found, codes[~alone] = np.unique(hashes[~alone], return_inverse=True)
    codes[alone] = len(found) + np.arange(int(alone.sum()))
    return codes


def _id_order(catalogue: Catalogue) -> Int[np.ndarray, "n"]:
    """Each row's place in the alphabet of the ids."""
    ids = pa.chunked_array([], pa.string())
    for table in catalogue.scan(["id"]):
        ids = pa.chunked_array([*ids.chunks, *table.column("id").chunks], pa.string())
    place = np.empty(len(ids), np.int32)
    if len(ids):
        order = pc.sort_indices(ids).to_numpy()
        place[order] = np.arange(len(ids), dtype=np.int32)
    return place


def _camera_columns(config: CurateConfig) -> list[str]:
    columns = [name.strip() for name in config.burst_by.split("+") if name.strip()]
    texts = [name for name in SCHEMA.names if name not in NUMBERS]
    wrong = [name for name in columns if name not in texts]
    if wrong or not columns:
        raise UsageError(
            f"--curate.burst-by {config.burst_by} names no column {(wrong or [''])[0]!r}. Name "
            f"one or several of these, joined by +: {', '.join(texts)}."
        )
    return columns


def _camera(table: pa.Table, columns: Sequence[str]) -> UInt64[np.ndarray, "n"]:
    """The hash of the columns that name a camera; 0 where one of them is empty."""
    joined = np.zeros(table.num_rows, np.uint64)
    filled = np.ones(table.num_rows, dtype=bool)
    for name in columns:
        own = _hashes(table.column(name))
        filled &= own != 0
        joined = (joined * np.uint64(0x9E3779B97F4A7C15)) ^ own
    # The last bit is left for whether the time has a zone.
    return np.where(filled, (joined << np.uint64(1)) | np.uint64(2), np.uint64(0))


def _moments(column: pa.ChunkedArray, gap: float) -> np.ndarray:
    return _by_value(column, lambda text: moment(text, gap)[0], np.float64)


def names_of(codes: Int[np.ndarray, "n"], names: Sequence[str]) -> Mapping[str, int]:
    """How many rows have each name, the commonest first."""
    counts = np.bincount(codes, minlength=len(names))
    found = {names[code]: int(counts[code]) for code in np.flatnonzero(counts).tolist()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
