"""The verb `data curate`: a catalogue of what is worth keeping, and a table of why the rest went.

    CATALOGUE2/curation.parquet   a row for each row of the old catalogue: verdict, reason, measures
    CATALOGUE2/species.parquet    pictures of each species before and after
    CATALOGUE2/left_out.csv       id and reason of each row that went

Three passes. The first measures the media, or recalls what it knows of them, and holds some numbers
a row; the rules then decide on these; the second finds the ids that the table names, and the third
writes. `docs/reference/curation.md` explains the rules and the files.

n rows
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int

from syntype import files
from syntype.configs.curate import CurateConfig
from syntype.data.catalogue import SCHEMA, Catalogue, refuse_taken, writing
from syntype.data.curation.measuring import PICTURE, Measured, measured
from syntype.data.curation.memory import Memory
from syntype.data.curation.outcome import Curation, outcome
from syntype.data.curation.rows import gather_rows, look_at
from syntype.data.curation.rules import (
    BROKEN,
    COSINE_AGAINST,
    COSINE_COPY,
    KEPT,
    VERDICTS,
    Cosines,
    Decisions,
    decide,
)
from syntype.data.curation.tail import LongTail
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain

FILE = "curation.parquet"
SPECIES_FILE = "species.parquet"
TABLE = pa.schema(
    [
        ("id", pa.string()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("ofCatalogue", pa.int16()),
        ("ofId", pa.string()),
        ("bits", pa.int16()),
        ("cosine", pa.float32()),
        ("mixedWith", pa.string()),
        ("split", pa.string()),
        ("taxonGroup", pa.string()),
        ("species", pa.string()),
        ("imageDigest", pa.string()),
        ("imageBytes", pa.int64()),
        ("pixelXDimension", pa.int32()),
        ("pixelYDimension", pa.int32()),
        ("contours", pa.float32()),
        ("relief", pa.float32()),
    ]
)
"""The columns of `curation.parquet`."""


def memory_folder(workspace: Path) -> Path:
    """Where a workspace keeps what was measured; the number changes with what is measured."""
    return workspace / "data" / "measures-1"


def curate(
    catalogue: Catalogue,
    out: Path,
    config: CurateConfig,
    *,
    workspace: Path,
    against: Sequence[Catalogue] = (),
    cosines: Cosines | None = None,
    workers: int = 0,
    progress: Progress = SILENT,
) -> Curation:
    """Make a catalogue of the rows that stay.

    Args:
        catalogue: The rows.
        out: Folder of the new catalogue.
        config: What is to go.
        workspace: Where what was measured is kept.
        against: Sets, test sets as a rule, copies of whose pictures go.
        cosines: Pairs of near vectors, by the rows of the catalogues.
        workers: Threads; 0 takes one for each processor.
        progress: Where to say how far it is.

    Raises:
        UsageError: There is something at `out`, or an option names a column that is not there.
        DataError: A catalogue is damaged.
        ResourceError: The disk is full, or a folder may not be written.
    """
    refuse_taken(out)
    folder = memory_folder(workspace)
    others = []
    for number, other in enumerate(against, 1):
        title = f"measuring pictures, set {number} to compare with"
        others.append(
            look_at(other, Memory(folder), title=title, workers=workers, progress=progress)
        )
    rows = gather_rows(catalogue, Memory(folder), config, workers=workers, progress=progress)
    progress.say(f"{len(rows):,} rows are measured; looking for copies.")
    done = decide(rows, config, others, cosines)
    found = outcome(rows, done, out)
    del rows, others
    names = _Names.of(done, (catalogue, *against))
    left_out: list[tuple[str, str]] = []
    step = {"curate": plain(config), "against": [other.revision for other in against]}
    with writing(
        out,
        cards=catalogue.header.cards,
        roots=catalogue.header.roots,
        notes={**catalogue.header.notes, "curation": found.as_json()},
        history=catalogue.step("curate", step),
        left_out=left_out,
    ) as writer:
        with (
            files.clear_disk_errors(out, "--out"),
            pq.ParquetWriter(writer.folder / FILE, TABLE, compression="zstd") as table,
        ):
            at = 0
            for part in measured(
                catalogue,
                Memory(folder),
                SCHEMA.names,
                title="writing",
                workers=workers,
                progress=progress,
            ):
                decided = _slice(done, at, at + part.table.num_rows)
                at += part.table.num_rows
                full = _filled(part)
                told = _told(full, part, decided, names)
                table.write_table(told)
                writer.add(full.filter(pa.array(decided.kept)))
                gone = told.filter(pa.array(~decided.kept))
                left_out += zip(
                    gone.column("id").to_pylist(), gone.column("reason").to_pylist(), strict=True
                )
        with files.clear_disk_errors(out, "--out"):
            pq.write_table(species_table(found.tail), writer.folder / SPECIES_FILE)
    return found


def rows_of(catalogue: Catalogue, ids: Sequence[str]) -> Int[np.ndarray, "k"]:
    """The row of each id, -1 where the catalogue has no such.

    Args:
        catalogue: The rows; their ids are scanned, not held.
        ids: Distinct ids.
    """
    wanted = pa.array(ids, pa.string())
    rows = np.full(len(ids), -1, np.int64)
    at = 0
    for table in catalogue.scan(["id"]):
        places = pc.index_in(table.column("id"), value_set=wanted)
        inside = pc.is_valid(places).to_numpy(zero_copy_only=False)
        rows[places.drop_null().to_numpy()] = np.flatnonzero(inside) + at
        at += table.num_rows
    return rows


def species_table(tail: LongTail) -> pa.Table:
    """Pictures of each species before and after, the commonest first."""
    columns: Mapping[str, Any] = {
        "species": pa.array(list(tail.names), pa.string()),
        "before": pa.array(tail.before, pa.int64()),
        "after": pa.array(tail.after, pa.int64()),
    }
    return pa.table(columns)


@dataclass(frozen=True)
class _Names:
    """The ids of rows that the table names, of each catalogue.

    Attributes:
        rows: Of each catalogue, sorted.
        ids: Their ids.
    """

    rows: Sequence[Int[np.ndarray, "_"]]
    ids: Sequence[pa.Array]

    @classmethod
    def of(cls, done: Decisions, catalogues: Sequence[Catalogue]) -> "_Names":
        rows, ids = [], []
        for number, catalogue in enumerate(catalogues):
            wanted = done.of_row[done.of_set == number]
            if number == 0:
                wanted = np.concatenate([wanted, done.mixed[done.mixed >= 0]])
            wanted = np.unique(wanted)
            rows.append(wanted)
            ids.append(pa.concat_arrays([pa.array([], pa.string()), *_ids(catalogue, wanted)]))
        return cls(rows, ids)

    def __getitem__(self, place: tuple[int, Int[np.ndarray, "n"]]) -> pa.Array:
        """The ids of rows of one catalogue, null for row -1."""
        number, rows = place
        at = np.searchsorted(self.rows[number], rows)
        return self.ids[number].take(pa.array(at, mask=rows < 0))


def _ids(catalogue: Catalogue, rows: Int[np.ndarray, "k"]) -> Iterator[pa.Array]:
    if len(rows) == 0:
        return
    at = 0
    for table in catalogue.scan(["id"]):
        low, high = np.searchsorted(rows, [at, at + table.num_rows])
        yield from table.column("id").take(pa.array(rows[low:high] - at)).chunks
        at += table.num_rows


def _slice(done: Decisions, start: int, stop: int) -> Decisions:
    part = slice(start, stop)
    return Decisions(
        done.verdict[part], done.of_set[part], done.of_row[part], done.apart[part], done.mixed[part]
    )


def _filled(part: Measured) -> pa.Table:
    """The rows with what was measured of their media."""
    measures, table = part.measures, part.table
    here = part.kind == PICTURE
    seen = here & (measures["digest"] != 0).any(axis=1)
    sized = here & (measures["width"] > 0)
    stores = table.column("imageStore")
    plainly = pc.or_(pc.equal(stores, ""), pc.starts_with(stores, "cell ")).to_numpy()
    digests = zip(measures["digest"], seen.tolist(), strict=True)
    hexed = [bytes(one).hex() if known else "" for one, known in digests]
    columns: Mapping[str, tuple[np.ndarray, pa.Array]] = {
        "imageDigest": (seen, pa.array(hexed, pa.string())),
        "pixelXDimension": (sized, pa.array(measures["width"])),
        "pixelYDimension": (sized, pa.array(measures["height"])),
        # A span's length is its place; that of a compressed member is not that of the medium.
        "imageLength": (seen & plainly, pa.array(measures["length"])),
    }
    for name, (known, values) in columns.items():
        index = SCHEMA.get_field_index(name)
        new = pc.if_else(pa.array(known), values, table.column(name))
        table = table.set_column(index, SCHEMA.field(index), new)
    return table


def _told(full: pa.Table, part: Measured, done: Decisions, names: _Names) -> pa.Table:
    """The rows of `curation.parquet`."""
    measures = part.measures
    verdicts = pa.array(VERDICTS).take(pa.array(done.verdict.astype(np.int64)))
    of_id = pa.nulls(len(measures), pa.string())
    for number in range(len(names.rows)):
        inside = done.of_set == number
        own = names[number, np.where(inside, done.of_row, -1)]
        of_id = pc.if_else(pa.array(inside), own, of_id)
    reasons = [
        _reason(verdict, why)
        for verdict, why in zip(done.verdict.tolist(), measures["reason"].tolist(), strict=True)
    ]
    cosine = np.isin(done.verdict, (COSINE_COPY, COSINE_AGAINST))
    bits = np.where(np.isfinite(done.apart) & ~cosine, done.apart, 0).round().astype(np.int16)
    looked = (part.kind == PICTURE) & (measures["width"] > 0)
    columns = {
        "verdict": verdicts,
        "reason": pa.array(reasons, pa.string()),
        "ofCatalogue": pa.array(done.of_set.astype(np.int16), mask=done.of_set < 0),
        "ofId": of_id,
        "bits": pa.array(bits, mask=~np.isfinite(done.apart) | cosine),
        "cosine": pa.array(done.apart, mask=~cosine),
        "mixedWith": names[0, done.mixed],
        "imageBytes": pa.array(measures["length"], mask=measures["length"] <= 0),
        "contours": pa.array(measures["contours"], mask=~looked),
        "relief": pa.array(measures["relief"], mask=~looked),
    }
    return pa.table(
        [columns[name] if name in columns else full.column(name) for name in TABLE.names],
        schema=TABLE,
    )


def _reason(verdict: int, why: str) -> str:
    """Why a row went, "" for one that stays; few distinct texts, so that they can be counted."""
    if verdict == BROKEN:
        return f"broken: {why or 'cannot be read'}"
    return "" if verdict == KEPT else VERDICTS[verdict]


def check_vectors(config: CurateConfig, n_against: int) -> None:
    """Refuse vectors that do not fit the sets.

    Raises:
        UsageError: There are more folders of vectors than sets.
    """
    if len(config.vectors) > 1 + n_against:
        raise UsageError(
            f"--curate.vectors names {len(config.vectors)} folders for {1 + n_against} sets: name "
            "one for the catalogue, then one for each --against, in their order."
        )
