"""A catalogue: the rows of a set too large for memory, in Parquet parts that are scanned.

    CATALOGUE/catalogue.json        what it is: rows, parts, roots of media, cards, notes, history
    CATALOGUE/rows-00000.parquet    a million rows at most, in row groups of 65,536
    CATALOGUE/left_out.csv          id and reason of each row that the last verb left out

One row is one medium: a picture, a sound; or a record that has none here. The columns are those
of `SCHEMA`, in Darwin Core's and Audiovisual Core's words; `docs/reference/catalogue.md` explains
each. Media are not copied: a row says where its medium lies (`syntype.data.locator`).

Verbs make a catalogue of a catalogue. They read one and write another, so nothing is ever changed
in place, and the header tells the whole history.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from syntype import files
from syntype.data.dataset import SCHEMA as SAMPLE
from syntype.data.dataset import Card
from syntype.data.locator import Locator
from syntype.data.raw import NUMBERS
from syntype.data.records import LISTED, left_out_notes
from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.provenance import content_hash, file_hash, plain
from syntype.taxonomy.taxon import RANKS

_PLACE = ("imageStore", "imageOffset", "imageLength")
OCCURRENCE = (
    "occurrenceID",
    "basisOfRecord",
    "institutionCode",
    "collectionCode",
    "catalogNumber",
    "recordedBy",
    "eventDate",
    "countryCode",
    "stateProvince",
    "locality",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "sex",
    "lifeStage",
    "typeStatus",
    "taxonRank",
    "scientificNameAuthorship",
    "taxonID",
    "identifiedBy",
    "references",
)
"""The columns that say what was found, where, when and by whom."""
MEDIUM = (
    "mediaID",
    "mediaType",
    "format",
    "accessURI",
    "creator",
    "rightsHolder",
    "pixelXDimension",
    "pixelYDimension",
)
"""The columns that say what the medium is, and whose."""


def _names() -> Iterator[str]:
    for name in SAMPLE.names:
        yield name
        if name == "image":
            yield from _PLACE
    yield from OCCURRENCE
    yield from MEDIUM


SCHEMA = pa.schema([(name, NUMBERS.get(name, pa.string())) for name in _names()])
"""The columns of a catalogue."""

FILE = "catalogue.json"
LEFT_OUT = "left_out.csv"
_LEFT_OUT = pa.schema([("id", pa.string()), ("reason", pa.string())])
FORMAT = 1
GROUP_ROWS = 65_536
PART_ROWS = 16 * GROUP_ROWS
"""Rows of a row group, which a scan holds at a time, and of a part."""
# Few distinct values each, so that a scan can hand them out as a dictionary and its codes.
LABELS = ("datasetName", "image", "imageStore", "scientificName", *RANKS, "taxonGroup", "split")


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a catalogue says of itself.

    Attributes:
        rows: Its number of rows.
        parts: Name, rows and SHA-256 of each part, in order.
        cards: One for each set in it.
        roots: Each set's name to the folder that its media lie in.
        notes: What the verb that wrote it has to say: counts, what was left out.
        history: What was done to it, the latest last: verb, options, revision before.
    """

    rows: int
    parts: Sequence[tuple[str, int, str]]
    cards: Sequence[Card]
    roots: Mapping[str, Path]
    notes: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Catalogue:
    """A catalogue on disk.

    Attributes:
        folder: Where it lies.
        header: What it says of itself.
    """

    folder: Path
    header: Header

    @classmethod
    def open(cls, folder: Path) -> "Catalogue":
        """The catalogue in a folder.

        Raises:
            DataNotFoundError: There is none, or a part of it is missing.
            DataError: It is of another format.
        """
        path = folder / FILE
        if not path.is_file():
            raise DataNotFoundError(
                f"{folder} is no catalogue: it has no {FILE}. Make one with `syntype data import "
                "KIND:FOLDER --out CATALOGUE`."
            )
        content = files.as_mapping(files.read_json(path), path)
        if content.get("format") != FORMAT:
            raise DataError(
                f"{path} has format {content.get('format')}, and this version reads {FORMAT}. "
                "Make it anew with `syntype data import`."
            )
        parts = [(one["file"], one["rows"], one["sha256"]) for one in content["parts"]]
        for name, _, _ in parts:
            if not (folder / name).is_file():
                raise DataNotFoundError(
                    f"{folder / name} is missing, a part of the catalogue. Restore it, or make the "
                    "catalogue anew."
                )
        header = Header(
            rows=content["rows"],
            parts=parts,
            cards=[Card(**card) for card in content["cards"]],
            roots={name: folder / place for name, place in content["roots"].items()},
            notes=content["notes"],
            history=content["history"],
        )
        return cls(folder, header)

    def __len__(self) -> int:
        return self.header.rows

    @property
    def revision(self) -> str:
        """Hash of all rows: equal for equal rows in equal order, wherever they lie."""
        return content_hash([sha256 for _, _, sha256 in self.header.parts])

    def scan(
        self,
        columns: Sequence[str] = (),
        *,
        encoded: Sequence[str] = (),
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[pa.Table]:
        """The rows in order, a row group at a time.

        Args:
            columns: Which columns; all where empty.
            encoded: Those of them that are wanted as dictionary arrays.
            share: Number (from 0) and count of shares: of n callers, each with another number,
                every row comes to exactly one.

        Raises:
            DataError: A part is damaged.
        """
        number, n_shares = share
        wanted = list(columns) or SCHEMA.names
        turn = 0
        for name, _, _ in self.header.parts:
            path = self.folder / name
            try:
                with pq.ParquetFile(path, read_dictionary=list(encoded)) as file:
                    for group in range(file.metadata.num_row_groups):
                        if turn % n_shares == number:
                            yield file.read_row_group(group, columns=wanted).select(wanted)
                        turn += 1
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(
                    f"{path} cannot be read ({str(error).splitlines()[0]}). Make the catalogue "
                    "anew, or restore this part."
                ) from error

    def check(self) -> None:
        """Compare each part with its hash.

        Raises:
            DataError: One was changed since it was written.
        """
        for name, _, sha256 in self.header.parts:
            if file_hash(self.folder / name) != sha256:
                raise DataError(
                    f"{self.folder / name} was changed since the catalogue was written. Restore "
                    "it, or make the catalogue anew."
                )

    def step(self, verb: str, options: Any) -> list[Mapping[str, Any]]:
        """The history of what a verb makes of this catalogue; what it came to is told with it."""
        reasons = self.header.notes.get("leftOut", {}).get("reasons", {})
        came = {"rows": self.header.rows, "leftOut": reasons}
        before = [dict(entry) for entry in self.header.history]
        before[-1:] = [entry | came for entry in before[-1:]]
        return [*before, {"verb": verb, "options": plain(options), "of": self.revision}]

    def notes(self) -> dict[str, Any]:
        """What the verbs before have to say, for the one that goes on from here."""
        return {key: note for key, note in self.header.notes.items() if key != "leftOut"}


def is_catalogue(folder: Path) -> bool:
    """Whether a folder is a catalogue."""
    return (folder / FILE).is_file()


def conform(table: pa.Table, schema: pa.Schema = SCHEMA) -> pa.Table:
    """A table with the columns of a schema and no others; what it lacks is unknown ("" or null)."""
    columns = []
    for name in schema.names:
        kind = schema.field(name).type
        if name in table.column_names:
            column = table.column(name)
            column = column if column.type == kind else column.cast(kind)
        else:
            column = pa.chunked_array([pa.nulls(table.num_rows, kind)])
        columns.append(column if name in NUMBERS else column.fill_null(""))
    return pa.table(columns, schema=schema)


def locators(table: pa.Table) -> list[str]:
    """The `image` columns of a catalogue's rows as a data set's locators."""
    columns = [table.column(name).to_pylist() for name in ("image", *_PLACE)]
    return [
        str(Locator(path, store, offset or 0, length or 0))
        for path, store, offset, length in zip(*columns, strict=True)
    ]


class Writer:
    """Writes the rows of a catalogue, and which are left out; `writing` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, 0
        self.reasons: Counter[str] = Counter()
        self._first: list[tuple[str, str]] = []
        self._left_out = pyarrow.csv.CSVWriter(folder / LEFT_OUT, _LEFT_OUT)
        self.parts: list[tuple[str, int, str]] = []
        self._waiting: list[pa.Table] = []
        self._n_waiting = 0
        self._file: pq.ParquetWriter | None = None
        self._n_in_part = 0

    def add(self, table: pa.Table) -> None:
        """Append rows; the columns must be those of `SCHEMA`."""
        assert table.schema.equals(SCHEMA), "rows are conformed before they are written"
        self._waiting.append(table)
        self._n_waiting += table.num_rows
        while self._n_waiting >= GROUP_ROWS:
            self._write_group()

    def leave_out(self, ids: Sequence[str], reason: str) -> None:
        """Tell that rows are not in the catalogue, and why."""
        if len(ids):
            self._tell([(id_, reason) for id_ in ids])

    def _tell(self, rows: Sequence[tuple[str, str]]) -> None:
        columns = {"id": [id_ for id_, _ in rows], "reason": [reason for _, reason in rows]}
        with files.clear_disk_errors(self.folder, "--out"):
            self._left_out.write_table(pa.table(columns, schema=_LEFT_OUT))
        # What stands behind a colon is the row's own; reasons are counted without it.
        self.reasons.update(reason.partition(": ")[0] for reason in columns["reason"])
        self._first += rows[: LISTED - len(self._first)]

    def left_out(self) -> dict[str, Any]:
        """Notes on what was left out, as `records.left_out_notes` makes them."""
        reasons = dict(sorted(self.reasons.items()))
        return left_out_notes(self._first) | {"total": self.reasons.total(), "reasons": reasons}

    def _write_group(self) -> None:
        waiting = pa.concat_tables(self._waiting)
        group, rest = waiting.slice(0, GROUP_ROWS), waiting.slice(GROUP_ROWS)
        self._waiting, self._n_waiting = [rest], rest.num_rows
        with files.clear_disk_errors(self.folder, "--out"):
            if self._file is None:
                path = self.folder / f"rows-{len(self.parts):05d}.parquet"
                self._file = pq.ParquetWriter(path, SCHEMA, compression="zstd")
                self._n_in_part = 0
            self._file.write_table(group.combine_chunks(), row_group_size=GROUP_ROWS)
        self.rows += group.num_rows
        self._n_in_part += group.num_rows
        if self._n_in_part >= PART_ROWS:
            self._end_part()

    def _end_part(self) -> None:
        if self._file is not None:
            with files.clear_disk_errors(self.folder, "--out"):
                self._file.close()
            self._file = None
            name = f"rows-{len(self.parts):05d}.parquet"
            self.parts.append((name, self._n_in_part, file_hash(self.folder / name)))

    def end(self, left_out: Sequence[tuple[str, str]]) -> None:
        """Write what waits, and tell what else was left out."""
        if self._n_waiting:
            self._write_group()
        self._end_part()
        for start in range(0, len(left_out), GROUP_ROWS):
            self._tell(left_out[start : start + GROUP_ROWS])
        with files.clear_disk_errors(self.folder, "--out"):
            self._left_out.close()

    def drop(self) -> None:
        """Close what is open, after an error."""
        if self._file is not None:
            self._file.close()
        self._left_out.close()


@contextmanager
def writing(
    folder: Path,
    *,
    cards: Sequence[Card],
    roots: Mapping[str, Path],
    notes: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    left_out: Sequence[tuple[str, str]] = (),
) -> Iterator[Writer]:
    """Write a catalogue, whole or not at all: it gets its name when everything is on the disk.

    Args:
        folder: Where it goes.
        cards: One for each set in it.
        roots: Each set's name to the folder that its media lie in.
        notes: What the writer has to say; it may be filled until the end.
        history: What was done.
        left_out: Id and reason of rows that are not in it, beside those that the writer was told;
            it too may be filled until the end.

    Raises:
        UsageError: There is something already.
        ResourceError: The disk is full, or the folder may not be written.
    """
    refuse_taken(folder)
    place = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(place, ignore_errors=True)
    with files.clear_disk_errors(folder, "--out"):
        place.mkdir(parents=True)
        writer = Writer(place)
    try:
        yield writer
        writer.end(left_out)
        content = {
            "format": FORMAT,
            "rows": writer.rows,
            "parts": [
                {"file": name, "rows": rows, "sha256": sha256}
                for name, rows, sha256 in writer.parts
            ],
            "cards": plain(list(cards)),
            "roots": {name: files.seen_from(root, folder) for name, root in sorted(roots.items())},
            "notes": {**notes, "leftOut": writer.left_out()},
            "history": list(history),
        }
        files.write_json(place / FILE, content)
        with files.clear_disk_errors(folder, "--out"):
            place.replace(folder)
    finally:
        writer.drop()
        shutil.rmtree(place, ignore_errors=True)


def refuse_taken(folder: Path) -> None:
    """Refuse to write a catalogue where something lies already.

    Raises:
        UsageError: There is.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--out {folder}: there is something already. Name a new folder.")
