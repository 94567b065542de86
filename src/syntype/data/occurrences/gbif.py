"""What GBIF hands out beside its archives: simple downloads, and answers of its search, saved.

A simple download (SIMPLE_CSV) is a table of fifty columns, separated by tabs whatever its ending
says. It says which kinds of media a record has and not where they are: its rows are records without
media, for maps and lists; for pictures one asks GBIF for the same download as a Darwin Core
Archive. That one is read by `archive`.

An answer of `occurrence/search` is an object with `results`, each with its own list `media`; an
answer of `species/search` has taxa instead, and their media show the taxon. A record that came
with two pages, because the index moved while they were asked for, is taken once.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntype.data.dataset import Card
from syntype.data.occurrences.archive import set_name
from syntype.data.occurrences.delimited import Dialect, Reading, as_row, header_of, read_rows
from syntype.data.occurrences.rows import COLUMNS, STILL, Book, Row, bare_row, rows_of
from syntype.data.occurrences.sources import Source
from syntype.data.occurrences.store import Placed, Store, opened
from syntype.data.occurrences.terms import merged, same_address, short_term
from syntype.data.raw import Raw, tables_of
from syntype.errors import DataError
from syntype.progress import SILENT, Progress

SIMPLE = Dialect(delimiter="\t", quote="")
NO_ADDRESSES = (
    "A simple download of GBIF does not say where media are: the rows are records. For pictures, "
    "ask GBIF for the same download as a Darwin Core Archive."
)
_MULTIMEDIA = "http://rs.gbif.org/terms/1.0/Multimedia"
_AUDIOVISUAL = "http://rs.tdwg.org/ac/terms/Multimedia"
_MB = 1_000_000
_LOOK = 5_000


def simple_table(source: Source) -> str | None:
    """The table of a simple download; None if it is none."""
    tables = [name for name in source.names() if name.lower().endswith((".csv", ".txt", ".tsv"))]
    for name in tables:
        with source.open(name) as handle:
            if {"gbifID", "datasetKey"} <= set(header_of(handle, SIMPLE)):
                return name if source.find("meta.xml") is None else None
    return None


def read_gbif_simple(
    path: Path,
    *,
    work: Path,
    name: str = "",
    media_types: Collection[str] = STILL,
    progress: Progress = SILENT,
) -> Raw:
    """Read a simple download of GBIF: a row per record, none of which has a medium.

    Args:
        path: The zip, its folder, or the table itself.
        work: A folder for what is remembered; emptied when the reading ends.
        name: The set's name; where empty that of the file.
        media_types: Nothing depends on it: no medium is named.
        progress: Where to show how far it is.

    Raises:
        DataNotFoundError: There is nothing at `path`.
        DataError: It is no such download.
    """
    del media_types
    alone = path.is_file() and path.suffix.lower() != ".zip"
    source = Source(path.parent if alone else path)
    table = path.name if alone else simple_table(source)
    if table is None:
        raise DataError(
            f"{path} holds no table with the columns gbifID and datasetKey: it is no simple "
            "download of GBIF."
        )
    book = Book(notes={"format": "GBIF simple download", "noAddresses": NO_ADDRESSES})
    card = Card(name=name or set_name(path), source="GBIF", citation=_citation(path))
    return Raw(
        card=card,
        root=source.root,
        tables=_simple_tables(source, table, work, book, progress),
        left_out=book.left_out,
        notes=book.notes,
    )


def _citation(path: Path) -> str:
    """A download is called by its key; its page says how to cite it."""
    return f"GBIF.org, GBIF Occurrence Download {set_name(path)}, https://www.gbif.org/citation-guidelines"


def _simple_tables(
    source: Source, table: str, work: Path, book: Book, progress: Progress
) -> Iterator[pa.Table]:
    def rows(store: Store) -> Iterator[dict[str, Any]]:
        with source.open(table) as handle:
            names = dict(enumerate(map(short_term, header_of(handle, SIMPLE))))
        reading = Reading(leave=lambda line, reason: book.leave(f"{table}:{line}", reason))
        with (
            progress.task(f"read {table}, MB", source.size(table) // _MB) as task,
            source.open(table) as handle,
        ):
            done = 0
            for n, (line, fields) in enumerate(read_rows(handle, SIMPLE, reading), 1):
                record, where = as_row(names, fields), f"{table}:{line}"
                book.count("records")
                id_ = record.get("gbifID", "")
                if not id_ or not store.new("record", id_):
                    book.leave(where, "the gbifID stands twice" if id_ else "no gbifID", id_)
                    continue
                if record.get("mediaType"):
                    book.count("recordsWithMediaElsewhere")
                yield bare_row(record, record_id=id_, where=where, book=book)
                if n % _LOOK == 0:
                    now = handle.tell() // _MB
                    task.advance(now - done)
                    done = now
        for what, n in reading.counts.items():
            if what != "lines":
                book.count(what, n)

    with opened(work) as store:
        yield from tables_of(rows(store), COLUMNS)
        book.close()


def json_files(path: Path) -> list[Path]:
    """The JSON files of a folder, sorted, or the file itself; none of the books of downloads."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" else []
    found = (one.relative_to(path) for one in path.rglob("*.json"))
    return [path / one for one in sorted(found) if not any(p.startswith(".") for p in one.parts)]


def load_json(path: Path) -> Any:
    """The content of a JSON file; None if there is none, or if it is cut."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, FileNotFoundError):
        return None


def answer_of(content: Any) -> list[Mapping[str, Any]] | None:
    """The occurrences or taxa of a saved answer, of a list of answers or of a list of those."""
    if isinstance(content, dict):
        results = content.get("results")
        if not isinstance(results, list):
            return [content] if _is_result(content) else None
        return [one for one in results if isinstance(one, dict)]
    if isinstance(content, list):
        parts = [answer_of(one) for one in content if isinstance(one, dict)]
        return None if None in parts or not parts else [one for part in parts for one in part or ()]
    return None


def _is_result(content: Mapping[str, Any]) -> bool:
    return "key" in content and ("scientificName" in content or "datasetKey" in content)


def saved_card(path: Path, name: str, source: str) -> Card:
    """The card of saved answers, by the books of the download if it was one."""
    book = load_json(path / ".fetch" / "source.json") if path.is_dir() else None
    about = book if isinstance(book, dict) else {}
    return Card(
        name=name or set_name(path),
        source=str(about.get("page") or source),
        license=str(about.get("license") or ""),
        citation=str(about.get("citation") or ""),
    )


def read_gbif_answers(
    path: Path,
    *,
    work: Path,
    name: str = "",
    media_types: Collection[str] = STILL,
    keep_without_media: bool = False,
    progress: Progress = SILENT,
) -> Raw:
    """Read answers of GBIF's search that were saved as JSON.

    Args:
        path: A file, or a folder of them: pages of one query.
        work: A folder for what is remembered; emptied when the reading ends.
        name: The set's name; where empty that of the file or folder.
        media_types: Kinds of media that are wanted; "" among them takes those that do not say.
        keep_without_media: Whether a record without a medium gets a row too.
        progress: Where to show how far it is.

    Raises:
        DataError: There is no JSON file in it.
    """
    files = json_files(path)
    if not files:
        raise DataError(f"{path} holds no saved answer (*.json) of GBIF's search.")
    book = Book(notes={"format": "GBIF search, saved JSON", "files": len(files)})
    reader = _Answers(path, files, book, frozenset(media_types), keep_without_media, progress)
    return Raw(
        card=saved_card(path, name, "GBIF"),
        root=path if path.is_dir() else path.parent,
        tables=reader.tables(work),
        left_out=book.left_out,
        notes=book.notes,
    )


@dataclass(frozen=True)
class _Answers:
    path: Path
    files: Sequence[Path]
    book: Book
    kinds: frozenset[str]
    keep: bool
    progress: Progress

    def tables(self, work: Path) -> Iterator[pa.Table]:
        with opened(work) as store:
            yield from tables_of(self._rows(store), COLUMNS)
            self.book.close()

    def _rows(self, store: Store) -> Iterator[dict[str, Any]]:
        with self.progress.task("read answers", len(self.files)) as task:
            for file in self.files:
                results = answer_of(load_json(file))
                if results is None:
                    self.book.leave(file.name, "it is no answer of GBIF, or is cut")
                for n, result in enumerate(results or (), 1):
                    yield from self._of_result(store, result, f"{file.name}, result {n}")
                task.advance()

    def _of_result(
        self, store: Store, result: Mapping[str, Any], where: str
    ) -> Iterator[dict[str, Any]]:
        self.book.count("records")
        record = flat(result)
        id_ = record.get("gbifID") or record.get("key", "")
        if not id_:
            self.book.leave(where, "the record has no key")
            return
        if not store.new("record", id_):
            self.book.leave(where, "the record came twice", id_)
            return
        is_taxon = "datasetKey" not in record or "gbifID" not in record
        if is_taxon and "rank" in record:
            record["taxonRank"] = record["rank"]
        n_rows = 0
        for row in rows_of(
            record,
            media_of(result, where),
            record_id=id_,
            where=where,
            book=self.book,
            kinds=self.kinds,
        ):
            n_rows += 1
            yield {**row, "unit": ""} if is_taxon else row
        if not n_rows:
            self.book.count("recordsWithoutMedia")
            if self.keep:
                yield bare_row(record, record_id=id_, where=where, book=self.book)


def flat(content: Mapping[str, Any]) -> dict[str, str]:
    """The texts, numbers and truths of a JSON object by short term; of two the first."""
    row: dict[str, str] = {}
    for term, value in content.items():
        if isinstance(value, bool):
            text = str(value).lower()
        elif isinstance(value, str | int | float):
            text = str(value).strip()
        else:
            continue
        if text:
            row.setdefault(short_term(term), text)
    return row


def media_of(result: Mapping[str, Any], where: str) -> list[Placed]:
    """The media of a result. The extensions list them in an order of their own.

    What `media` does not say of a medium is taken from the extension's entry of the same address.
    """
    extensions = result.get("extensions") or {}
    entries = [
        flat(entry)
        for name in (_MULTIMEDIA, _AUDIOVISUAL)
        for entry in extensions.get(name) or ()
        if isinstance(entry, dict)
    ]
    by_address = {
        same_address(address): entry
        for entry in entries
        if (address := entry.get("accessURI") or entry.get("identifier"))
    }
    media = [flat(medium) for medium in result.get("media") or () if isinstance(medium, dict)]
    listed: Sequence[Row] = media or entries
    return [
        (f"{where}, medium {n}", merged([one, by_address.get(_address(one), {})]))
        for n, one in enumerate(listed, 1)
    ]


def _address(medium: Row) -> str:
    return same_address(medium.get("identifier", ""))
