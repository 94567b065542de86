"""What a reader finds, raw rows batch by batch, to a catalogue: names cleaned, ids given.

Two passes, each in bounded memory. The first writes the raw rows aside and counts the distinct
labels; these are then cleaned once, which needs to know them all; the second writes the catalogue.
Of rows with the same id the first stays. A killed import leaves nothing and is begun again; what
was costly, such as the index of an archive, the readers keep for themselves.
"""

import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype import files
from syntype.data.catalogue import Catalogue, conform, refuse_taken, writing
from syntype.data.dataset import SCHEMA as SAMPLE
from syntype.data.locator import Locator
from syntype.data.naming import clean, each, lineage
from syntype.data.numbering import row_hashes
from syntype.data.raw import Raw
from syntype.data.records import split_of
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.taxonomy.cleaning import clean_distinct
from syntype.taxonomy.taxon import RANKS, Taxon

_CLEANED = ("vernacularName", "taxonGroup", "unit", "license")
_THOUSAND = 1000


def import_raw(
    raw: Raw, out: Path, options: Any = None, *, progress: Progress = SILENT
) -> Catalogue:
    """Make a catalogue of what a reader finds.

    Args:
        raw: What it finds; its tables are consumed.
        out: Folder of the catalogue.
        options: What the history is to say of how it was read.
        progress: Where to say how far it is.

    Raises:
        UsageError: There is something at `out` already.
        DataError: The reader cannot go on.
        ResourceError: The disk is full, or the folder may not be written.
    """
    refuse_taken(out)
    aside = out.with_name(f".{out.name}.raw")
    shutil.rmtree(aside, ignore_errors=True)
    with files.clear_disk_errors(out, "--out"):
        aside.mkdir(parents=True)
    try:
        held = _Aside(aside)
        with progress.task(f"{raw.card.name}: rows, thousands", 0) as task:
            for table in raw.tables:
                before = held.rows // _THOUSAND
                held.add(table)
                task.advance(held.rows // _THOUSAND - before)
        held.end()
        taxa, report = clean_distinct(held.labels)
        twice = _twice(held.keys)
        notes = {**raw.notes, "cleaning": report.notes()}
        left_out = raw.left_out
        with writing(
            out,
            cards=[raw.card],
            roots={raw.card.name: raw.root},
            notes=notes,
            history=[{"verb": "import", "options": plain(options), "of": raw.card.source}],
            left_out=left_out,
        ) as writer:
            seen: set[str] = set()
            with progress.task("catalogue: rows, thousands", held.rows // _THOUSAND) as task:
                for table in held.read():
                    table = _without_twins(table, twice, seen, raw.card.name, left_out)
                    writer.add(_named(table, raw, taxa))
                    task.advance(table.num_rows // _THOUSAND)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Catalogue.open(out)


class _Aside:
    """Raw rows written aside, with their distinct labels and the hashes of their keys."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.rows = folder, 0
        self.labels: Counter[str | None] = Counter()
        self.keys: list[np.ndarray] = []
        self._n_files = 0
        self._waiting: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """Take a batch of rows, which may have any of the columns."""
        if not table.num_rows:
            return
        full = conform(table)
        label = table.column("label") if "label" in table.column_names else None
        labels = full.column("verbatimIdentification") if label is None else label.fill_null("")
        full = full.append_column("label", labels.cast(pa.string()))
        key = _keys(table, full)
        self.keys.append(row_hashes(key))
        full = full.append_column("key", pa.array(key, pa.string()))
        for entry in pc.value_counts(full.column("label")).to_pylist():
            self.labels[entry["values"]] += entry["counts"]
        self.rows += full.num_rows
        self._waiting.append(full)
        if sum(one.num_rows for one in self._waiting) >= 65_536:
            self.end()

    def end(self) -> None:
        """Write what waits."""
        if self._waiting:
            path = self._folder / f"{self._n_files:06d}.arrow"
            table = pa.concat_tables(self._waiting)
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            with (
                files.clear_disk_errors(self._folder, "--out"),
                pa.ipc.new_file(path, table.schema, options=options) as file,
            ):
                file.write_table(table)
            self._waiting, self._n_files = [], self._n_files + 1

    def read(self) -> Iterator[pa.Table]:
        """The rows in the order in which they came."""
        for number in range(self._n_files):
            with pa.ipc.open_file(self._folder / f"{number:06d}.arrow") as file:
                yield file.read_all()


def _keys(table: pa.Table, full: pa.Table) -> list[str]:
    """What tells the rows of a set apart: as the reader says, else where the medium lies."""
    if "key" in table.column_names:
        found = table.column("key").to_pylist()
    else:
        columns = ("image", "imageStore", "imageOffset", "imageLength")
        values = (full.column(name).to_pylist() for name in columns)
        rows = zip(*values, strict=True)
        found = [str(Locator(path, store, at or 0, n or 0)) for path, store, at, n in rows]
    return [key if key.isascii() else unicodedata.normalize("NFC", key) for key in found]


def _twice(keys: list[np.ndarray]) -> np.ndarray:
    """The hashes that several rows have."""
    ordered = np.sort(np.concatenate(keys)) if keys else np.empty(0, np.uint64)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _without_twins(
    table: pa.Table,
    twice: np.ndarray,
    seen: set[str],
    name: str,
    left_out: list[tuple[str, str]],
) -> pa.Table:
    """The rows whose key was not seen before; the others are told."""
    if not len(twice):
        return table
    keys = table.column("key").to_pylist()
    keep = np.ones(len(keys), dtype=bool)
    for row in np.flatnonzero(np.isin(row_hashes(keys), twice)).tolist():
        if keys[row] in seen:
            keep[row] = False
            left_out.append((f"{name}/{keys[row]}", "the same row stands twice"))
        seen.add(keys[row])
    return table.filter(pa.array(keep))


def _named(table: pa.Table, raw: Raw, taxa: dict[str | None, Taxon | None]) -> pa.Table:
    """Rows with their ids and names."""
    name = raw.card.name
    n = table.num_rows
    given = {rank: table.column(rank) for rank in RANKS}
    found: dict[str, Any] = lineage(table.column("label"), taxa, given)
    found |= {column: each(table.column(column), clean) for column in _CLEANED}
    group, unit = found["taxonGroup"], found["unit"]
    prefix = pa.scalar(f"{name}/")
    found["id"] = pc.binary_join_element_wise(prefix, table.column("key"), "")
    found["datasetName"] = pa.array([name] * n, pa.string())
    found["taxonGroup"] = pc.if_else(pc.equal(group, ""), name, group)
    joined = pc.binary_join_element_wise(prefix, unit, "")
    found["unit"] = pc.if_else(pc.equal(unit, ""), "", joined)
    found["split"] = each(table.column("split"), split_of)
    columns = {column: table.column(column) for column in table.column_names} | found
    assert set(SAMPLE.names) <= columns.keys(), "a row is a sample"
    return conform(pa.table(columns))
