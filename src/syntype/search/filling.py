"""Filling an index: from gathered records, through an encoder or from stored vectors.

What the index holds already, unchanged, is passed over, so the same call goes on after a kill, and
brings an index up to date when its source has grown. Every `_BLOCK` records are acknowledged
together; those whose picture cannot be read are left out, and told by name and reason.

Legend: m records of a block, d dimensions.
"""

import csv
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32
from typing_extensions import override

from syntype import files
from syntype.configs import IndexConfig, Workplace
from syntype.embeddings.store import Embeddings
from syntype.errors import DataError, VectorError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.search.gathering import Gathered
from syntype.search.index import Card, Index
from syntype.search.records import read_medium

_BLOCK = 256
_LISTED = 10_000
_PLACE = ("image", "imageStore", "imageOffset", "imageLength", "imageDigest")
LEFT_OUT = "left_out.csv"


@dataclass
class Filled:
    """What came of it.

    Attributes:
        n_new: Records that came.
        n_changed: Records that were there and were written anew.
        n_same: Records that were there unchanged.
        n_deleted: Records that are not in the source any more, and were deleted.
        n_gone: Those that were not deleted, as nobody asked for it.
        left_out: Reason to the number of records left out for it.
        listed: Id and reason of the first of them.
    """

    n_new: int = 0
    n_changed: int = 0
    n_same: int = 0
    n_deleted: int = 0
    n_gone: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def n_written(self) -> int:
        """Records that the index has otherwise than before."""
        return self.n_new + self.n_changed + self.n_deleted

    def leave_out(self, id_: str, reason: str) -> None:
        """Tell that a record is not in the index, and why."""
        self.left_out[reason.partition(":")[0]] += 1
        if len(self.listed) < _LISTED:
            self.listed.append((id_, reason))

    def write(self, folder: Path) -> None:
        """Write `left_out.csv`: id and reason of each; none where none was."""
        if not self.listed:
            (folder / LEFT_OUT).unlink(missing_ok=True)
            return
        with files.atomic_path(folder / LEFT_OUT) as path, path.open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(("id", "reason"))
            writer.writerows(self.listed)


class Vectors(ABC):
    """Where vectors come from.

    Attributes:
        encoder: Identity of what makes them.
        dim: d.
    """

    def __init__(self, encoder: Mapping[str, Any], dim: int) -> None:
        self.encoder, self.dim = encoder, dim

    @abstractmethod
    def of(
        self, table: pa.Table, roots: Mapping[str, Path], filled: Filled
    ) -> tuple[list[int], Float32[np.ndarray, "m d"]]:
        """Rows of a table that have a vector, and their vectors; the others are left out."""


class Stored(Vectors):
    """Vectors of a sealed store, by id."""

    def __init__(self, folder: Path) -> None:
        self._store = Embeddings.open(folder)
        self._known = set(self._store.ids)
        super().__init__(self._store.key.encoder, self._store.dim)

    @override
    def of(
        self, table: pa.Table, roots: Mapping[str, Path], filled: Filled
    ) -> tuple[list[int], Float32[np.ndarray, "m d"]]:
        ids = table.column("id").to_pylist()
        rows = [row for row, id_ in enumerate(ids) if id_ in self._known]
        for id_ in ids:
            if id_ not in self._known:
                filled.leave_out(id_, "no vector in the store")
        if not rows:
            return [], np.empty((0, self.dim), np.float32)
        return rows, self._store.take(self._store.rows_of([ids[row] for row in rows]))


@dataclass(frozen=True)
class _Media:
    """The media of a block, as `Pictures` reads them."""

    records: Sequence[Mapping[str, Any]]
    roots: Mapping[str, Path]

    def read(self, row: int) -> bytes:
        return read_medium(self.records[row], self.roots)

    def name(self, row: int) -> str:
        return str(self.records[row]["id"])


class Encoded(Vectors):
    """Vectors of pictures, encoded when they are asked for."""

    def __init__(self, spec: str, config: IndexConfig, place: Workplace) -> None:
        from syntype.search.asking import open_senses

        self._encoder = open_senses(spec, place.device).binder
        self._batch, self._workers = config.batch_size, place.workers
        super().__init__(plain(self._encoder.identity), self._encoder.dim)

    @override
    def of(
        self, table: pa.Table, roots: Mapping[str, Path], filled: Filled
    ) -> tuple[list[int], Float32[np.ndarray, "m d"]]:
        from syntype.data.media import Pictures

        media = _Media(table.to_pylist(), roots)
        rows: list[int] = []
        vectors = [np.empty((0, self.dim), np.float32)]
        for batch in Pictures(media, self._encoder.preprocess).stream(
            np.arange(table.num_rows), self._batch, workers=self._workers
        ):
            for row, reason in batch.failures:
                filled.leave_out(media.name(row), reason)
            if len(batch.rows):
                rows += batch.rows.tolist()
                vectors.append(self._encoder.encode(batch.images).numpy())
        return rows, np.concatenate(vectors)


def vectors_for(config: IndexConfig, place: Workplace, card: Card | None) -> Vectors:
    """Where the vectors come from: the store that was named, or an encoder.

    Args:
        config: What was asked for.
        place: Where to compute.
        card: Of the index, where there is one: its own encoder goes on.

    Raises:
        VectorError: The vectors are not of the index's own encoder, or the store is not sealed.
        EncoderError: The encoder cannot be loaded.
    """
    spec = config.encoder if card is None or not card.spec else card.spec
    found = Stored(config.vectors) if config.vectors else Encoded(spec, config, place)
    if card is not None and plain(found.encoder) != plain(card.encoder):
        raise VectorError(
            f"The index holds vectors of another encoder than {config.vectors or spec}: they "
            "cannot be compared. Give the index's own, or make a new index."
        )
    return found


def fill(
    index: Index,
    gathered: Gathered,
    vectors: Vectors,
    config: IndexConfig,
    progress: Progress = SILENT,
) -> Filled:
    """Bring an index up to date with its source.

    Args:
        index: Where the records go.
        gathered: The records.
        vectors: Where their vectors come from.
        config: Its `reread`, `prune`, `license` and `rights_holder` count.
        progress: Where to say how far it is.

    Raises:
        VectorError: A vector is broken.
        DataError: Nothing could be read at all.
        ResourceError: The disk is full; what was acknowledged is kept.
    """
    filled, seen = Filled(), set[str]()
    said = {"license": config.license, "rightsHolder": config.rights_holder}
    with progress.task("records", gathered.n) as task:
        for block in _blocks(gathered, said):
            ids = block.column("id").to_pylist()
            seen.update(ids)
            _fill_block(index, block, gathered.roots, vectors, config, filled)
            task.advance(len(ids))
    if not len(index):
        first = (
            f" The first, {filled.listed[0][0]}: {filled.listed[0][1]}." if filled.listed else ""
        )
        raise DataError(f"None of {len(seen)} records has a picture that can be read.{first}")
    _prune(index, gathered, seen, config, filled)
    return filled


def _blocks(gathered: Gathered, said: Mapping[str, str]) -> Iterator[pa.Table]:
    """The records in blocks; where they do not say something, what is said of all of them."""
    for table in gathered.tables():
        for name, word in said.items():
            column = table.column(name)
            known = pc.if_else(pc.equal(column, ""), word, column)
            table = table.set_column(table.schema.get_field_index(name), name, known)
        for start in range(0, table.num_rows, _BLOCK):
            yield table.slice(start, _BLOCK)


def _fill_block(
    index: Index,
    block: pa.Table,
    roots: Mapping[str, Path],
    vectors: Vectors,
    config: IndexConfig,
    filled: Filled,
) -> None:
    """Records that came or whose picture changed are encoded; others keep their vectors."""
    new, told = [], []
    before = index.records(block.column("id").to_pylist())
    for row, (old, record) in enumerate(zip(before, block.to_pylist(), strict=True)):
        if old is None or config.reread or any(old[name] != record[name] for name in _PLACE):
            new.append(row)
        elif old != record:
            told.append(row)
        else:
            filled.n_same += 1
    there = [row for row in new if before[row] is not None]
    if told:
        kept = block.take(pa.array(told))
        index.upsert(kept, index.vectors(kept.column("id").to_pylist()))
    if new:
        asked = block.take(pa.array(new))
        rows, found = vectors.of(asked, roots, filled)
        if rows:
            index.upsert(asked.take(pa.array(rows)), found)
        came = {new[row] for row in rows}
        filled.n_new += len(came - set(there))
        filled.n_changed += len(came & set(there))
    filled.n_changed += len(told)


def _prune(
    index: Index, gathered: Gathered, seen: set[str], config: IndexConfig, filled: Filled
) -> None:
    """Delete what was of these sets and is not in the source any more, or count it."""
    gone, after = [], ""
    while ids := index.browse(1000, after=after):
        after = ids[-1]
        missing = [id_ for id_ in ids if id_ not in seen]
        records = index.records(missing)
        gone += [
            id_
            for id_, record in zip(missing, records, strict=True)
            if record is not None and record["datasetName"] in gathered.roots
        ]
    if config.prune:
        filled.n_deleted = index.delete(gone)
    else:
        filled.n_gone = len(gone)
