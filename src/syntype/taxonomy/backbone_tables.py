"""Backbones as they are downloaded, read row by row: GBIF, Catalogue of Life, plain tables.

    Darwin Core   a table with taxonID and scientificName, tab-separated, also with `dwc:` before
                  the columns: Taxon.tsv of the GBIF backbone and of Catalogue of Life; any
                  checklist in a Darwin Core Archive, whose meta.xml then says how it is written
    ColDP         NameUsage.tsv of Catalogue of Life, columns with `col:` before them or without;
                  the parent of a synonym is its accepted name
    GBIF simple   simple.txt.gz: 30 columns without names; ids, no names, of the higher taxa
    table         one row per species and columns of ranks, with a header or without; here the
                  higher taxa and all ids (they start with #) are made

A download is a zip, a folder, a .gz or the table itself. Nothing is unpacked and nothing is held:
rows come as they are read. A row that cannot be one is told with its line and the reason.
"""

import csv
import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

from syntype.errors import DataError
from syntype.taxonomy.names import parse
from syntype.taxonomy.taxon import RANKS

Kind = Literal["Darwin Core", "ColDP", "GBIF simple", "table"]
HIGHER = RANKS[:5]
"""Kingdom to family: what a backbone may repeat in every row."""
FIELDS = ("scientificName", "scientificNameAuthorship", "taxonRank", *RANKS[:6], "species")
"""What columns of a plain table can hold."""

_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "Darwin Core": (
        *("taxonID", "parentNameUsageID", "acceptedNameUsageID", "scientificName"),
        *("scientificNameAuthorship", "taxonRank", "taxonomicStatus"),
    ),
    "ColDP": ("ID", "parentID", "", "scientificName", "authorship", "rank", "status"),
    "GBIF simple": ("id", "parent_key", "", "scientific_name", "", "rank", "status"),
}
_ASIDE = frozenset({"misapplied", "unaccepted", "invalid", "not accepted"})


class Usage(NamedTuple):
    """One row of a backbone: a name and what it stands for.

    `accepted` is empty for a name that is accepted, `parent` may be for one that is not. `higher`
    has the names of `HIGHER` as far as the row repeats them.
    """

    taxon_id: str
    parent: str
    accepted: str
    name: str
    authorship: str
    rank: str
    status: str
    higher: tuple[str, ...]
    line: int


Row = tuple[int, list[str]]
"""A line and its cells."""

LeftOut = Callable[[int, str, str], None]
"""Told the line, the name or id, and the reason of each row that is not taken."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A download, and how its table is written.

    Attributes:
        path: The zip, folder or file.
        member: The table in it, "" where `path` is the table.
        kind: Which of the layouts it has.
        title: What the download calls itself, "" where it does not say.
        release: Its version or date of publication, "" where it does not say.
        separator: Between cells.
        quoted: Whether cells may stand in double quotes.
        n_skip: Lines before the first row.
        places: Which column each field stands in, from 0.
        n_columns: Columns of a row, 0 where rows may differ.
        n_bytes: Bytes of the table, for the progress.
    """

    path: Path
    member: str
    kind: Kind
    title: str = ""
    release: str = ""
    separator: str
    quoted: bool
    n_skip: int
    places: Mapping[str, int]
    n_columns: int
    n_bytes: int

    @property
    def table_path(self) -> Path:
        """The file whose bytes are the download: the zip, or the table in a folder."""
        return self.path / self.member if self.path.is_dir() else self.path

    def usages(self, left_out: LeftOut, read: Callable[[int], None]) -> Iterator[Usage]:
        """All rows that are names.

        Args:
            left_out: Told of each that is none.
            read: Told how many bytes were read since.
        """
        rows = self._rows(left_out, read)
        return _of_table(self, rows, left_out) if self.kind == "table" else self._of(rows, left_out)

    def _rows(self, left_out: LeftOut, read: Callable[[int], None]) -> Iterator[Row]:
        with opened(self.path, self.member) as stream:
            for line, cells in cells_of(stream, self.separator, self.quoted, read):
                if line <= self.n_skip:
                    continue
                if self.n_columns and len(cells) > self.n_columns:
                    reason = f"{len(cells)} columns instead of {self.n_columns}"
                    left_out(line, self.separator.join(cells)[:80], reason)
                elif any(cells):
                    # Some writers leave out the empty cells at the end of a line.
                    yield line, cells + [""] * (self.n_columns - len(cells))

    def _of(self, rows: Iterator[Row], left_out: LeftOut) -> Iterator[Usage]:
        names = _COLUMNS[self.kind]
        places = [self.places.get(name, -1) for name in names]
        higher = [self.places.get(rank, -1) for rank in HIGHER]
        for line, cells in rows:
            cells.append("")  # the place of a column that is not there
            taxon_id, parent, accepted, name, authorship, rank, status = (
                cells[place] for place in places
            )
            if not taxon_id or not name:
                left_out(line, taxon_id or name, "no name" if taxon_id else "no id")
                continue
            status = status.lower().replace("_", " ").strip()
            aside = "synonym" in status or status in _ASIDE
            if self.kind != "Darwin Core":
                parent, accepted = ("", parent) if aside else (parent, "")
            elif accepted == taxon_id:
                accepted = ""
            yield Usage(
                taxon_id,
                parent,
                accepted,
                name,
                authorship,
                rank.lower().replace("_", " "),
                status or ("synonym" if accepted else "accepted"),
                tuple(cells[place] for place in higher),
                line,
            )


def _of_table(source: Source, rows: Iterator[Row], left_out: LeftOut) -> Iterator[Usage]:
    """The species of a plain table, each behind those of its higher taxa that are new."""
    seen: dict[str, int] = {}
    for line, cells in rows:
        given = {field: cells[place].strip() for field, place in source.places.items()}
        name = given.get("scientificName") or given.get("species")
        if not name:
            left_out(line, source.separator.join(cells)[:80], "no name")
            continue
        parsed = parse(name)
        ranks = {rank: given.get(rank, "") for rank in RANKS[:6]}
        if parsed.epithets and not ranks["genus"]:
            ranks["genus"] = parsed.uninomial
        parent = "#"
        higher: list[str] = []
        for rank, taxon in ranks.items():
            above = tuple(higher)
            higher.append(taxon)
            if not taxon or taxon == name:
                continue
            taxon_id = f"{parent}{'/' * (parent != '#')}{taxon}"
            if taxon_id not in seen:
                seen[taxon_id] = line
                yield _made(taxon_id, parent, taxon, "", rank, above, line)
            parent = taxon_id
        taxon_id = f"{parent}{'/' * (parent != '#')}{name}"
        if taxon_id in seen:
            left_out(line, name, f"the same as in line {seen[taxon_id]}")
            continue
        seen[taxon_id] = line
        rank = given.get("taxonRank", "").lower() or parsed.rank or "unranked"
        authors = given.get("scientificNameAuthorship", "")
        yield _made(taxon_id, parent, name, authors, rank, tuple(higher[:5]), line)


def _made(
    taxon_id: str,
    parent: str,
    name: str,
    authorship: str,
    rank: str,
    higher: tuple[str, ...],
    line: int,
) -> Usage:
    full = (*higher[:5], *[""] * (5 - len(higher[:5])))
    parent = "" if parent == "#" else parent
    return Usage(taxon_id, parent, "", name, authorship, rank, "accepted", full, line)


def size_of(path: Path, member: str) -> int:
    """Bytes of a table; of a .gz, packed."""
    if path.is_dir():
        return (path / member).stat().st_size
    if member:
        with zipfile.ZipFile(path) as archive:
            return archive.getinfo(member).file_size
    return path.stat().st_size


@contextmanager
def opened(path: Path, member: str) -> Iterator[BufferedIOBase]:
    """The bytes of a table, unpacked while they are read.

    Raises:
        DataError: The download is damaged.
    """
    try:
        with ExitStack() as stack:
            if path.is_dir():
                yield stack.enter_context((path / member).open("rb"))
            elif member:
                archive = stack.enter_context(zipfile.ZipFile(path))
                yield cast(BufferedIOBase, stack.enter_context(archive.open(member)))
            elif path.suffix == ".gz":
                yield stack.enter_context(gzip.GzipFile(path, "rb"))
            else:
                yield stack.enter_context(path.open("rb"))
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, csv.Error) as error:
        raise DataError(f"{path} is damaged ({error}). Download it again.") from error


def cells_of(
    stream: BufferedIOBase, separator: str, quoted: bool, read: Callable[[int], None]
) -> Iterator[Row]:
    """The lines of a table and their cells."""
    with TextIOWrapper(cast(BinaryIO, stream), "utf-8-sig", "replace", newline="\n") as text:
        lines = _counted(text, read)
        if quoted:
            reader = csv.reader(lines, delimiter=separator)
            for cells in reader:
                yield reader.line_num, cells
        else:
            for number, line in enumerate(lines, 1):
                # \N is how GBIF's database writes "no value".
                cells = line.rstrip("\r\n").split(separator)
                yield number, ["" if cell == "\\N" else cell for cell in cells]


def _counted(lines: Iterator[str], read: Callable[[int], None]) -> Iterator[str]:
    n = 0
    for line in lines:
        n += len(line)
        if n > 1_000_000:
            read(n)
            n = 0
        yield line
    read(n)
