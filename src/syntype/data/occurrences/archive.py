"""Darwin Core Archives: a core of records, extensions that point at its rows, a zip or its folder.

Media come from an extension (Simple Multimedia, Audiovisual Core, the older Image), and where a
record has none there, from its `associatedMedia`. They are written to a store on the disk under
the id of their record; then the core is read once, from its beginning to its end, and each record
asks the store for its media. So memory does not grow with the archive.

Known relatives:

    GBIF downloads       core and media share gbifID; verbatim.txt is an extension that is not read
    iDigBio downloads    have no core: occurrence.csv is an extension whose coreid is the record.
                         Its words are those of iDigBio's index, in small letters; the *_raw files
                         hold the publisher's, which are preferred for names and people
    checklists           core Taxon: the media show the taxon, each is a unit of its own
    no meta.xml          occurrence.* and multimedia.* with a header line are understood as well
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntype.data.occurrences.delimited import Dialect, Reading, as_row, header_of, read_rows
from syntype.data.occurrences.description import FileSet, card_of, parse_meta
from syntype.data.occurrences.rows import COLUMNS, STILL, Book, Row, address_of, bare_row, rows_of
from syntype.data.occurrences.sources import Source
from syntype.data.occurrences.store import Placed, Store, opened
from syntype.data.occurrences.terms import (
    IDENTIFICATION,
    MULTIMEDIA,
    OCCURRENCE,
    TAXON,
    first,
    merged,
    same_address,
    short_term,
)
from syntype.data.raw import Raw, tables_of
from syntype.errors import DataError
from syntype.progress import SILENT, Progress

_MEDIA = frozenset([MULTIMEDIA, "image", "document"])
_CORES = frozenset([OCCURRENCE, TAXON, "materialentity", "materialsample", "simpledarwinrecord"])
_SEVERAL = re.compile(r"\s*\|\s*|\s*[;,]?\s+(?=https?://)|[;,](?=https?://)")
# What an identification says of a record.
_NAME_TERMS = """
scientificName verbatimIdentification scientificNameAuthorship taxonRank taxonID typeStatus
identifiedBy vernacularName genericName specificEpithet infraspecificEpithet
kingdom phylum class order family genus species
"""
_NAMES = tuple(_NAME_TERMS.split())
# What is taken from the publisher's own words in a download of iDigBio.
_PUBLISHED = """
institutionCode collectionCode catalogNumber recordedBy stateProvince locality sex lifeStage
occurrenceID organismID materialEntityID materialSampleID basisOfRecord references associatedMedia
"""
_VERBATIM = frozenset([*_NAMES, *_PUBLISHED.split()])
_MB = 1_000_000
_LOOK = 5_000  # rows between two looks at how far a file is read


@dataclass(frozen=True)
class Layout:
    """Which file of an archive is what.

    Attributes:
        records: Its records.
        media: Extensions that hold media.
        identifications: Extensions that hold identifications.
        verbatim: The publisher's own words on records, of iDigBio.
        verbatim_media: The same on media.
        metadata: The file that says where the set comes from; "" if there is none.
    """

    records: FileSet
    media: tuple[FileSet, ...] = ()
    identifications: tuple[FileSet, ...] = ()
    verbatim: tuple[FileSet, ...] = ()
    verbatim_media: tuple[FileSet, ...] = ()
    metadata: str = ""


def read_archive(
    path: Path,
    *,
    work: Path,
    name: str = "",
    media_types: Collection[str] = STILL,
    keep_without_media: bool = False,
    progress: Progress = SILENT,
) -> Raw:
    """Read a Darwin Core Archive.

    Args:
        path: The zip, or the folder that it unpacks to.
        work: A folder for the join; what is written there is removed when the reading ends.
        name: The set's name; where empty that of the zip or folder.
        media_types: Kinds of media that are wanted; "" among them takes those that do not say.
        keep_without_media: Whether a record without a medium that can be used gets a row too.
        progress: Where to show how far it is.

    Raises:
        DataNotFoundError: There is nothing at `path`.
        DataError: It is no such archive, or its core is of a kind whose media cannot be paired.
    """
    source = Source(path)
    layout = layout_of(source)
    metadata = source.find(layout.metadata) if layout.metadata else None
    metadata = metadata or source.find("eml.xml") or source.find("metadata.xml")
    card = card_of(
        source.read(metadata) if metadata else None,
        f"{metadata} in {path}",
        name=name or set_name(path),
    )
    book = Book(notes={"format": "Darwin Core Archive", "core": layout.records.kind})
    reader = _Reader(source, layout, book, frozenset(media_types), keep_without_media, progress)
    return Raw(
        card=card,
        root=source.root,
        tables=reader.tables(work),
        left_out=book.left_out,
        notes=book.notes,
    )


def set_name(path: Path) -> str:
    """The name of a set by its file or folder."""
    path = path.resolve()
    return path.name if path.is_dir() else path.name.split(".")[0]


def layout_of(source: Source) -> Layout:
    """Which file is what, by meta.xml or else by names and header lines.

    Raises:
        DataError: There is nothing of the kind, or the core's media cannot be paired.
    """
    meta = source.find("meta.xml")
    if meta is None:
        sets, metadata = _by_names(source), ""
    else:
        sets, metadata = parse_meta(source.read(meta), f"meta.xml in {source.path}")
    raw = [one for one in sets if not one.is_core and _is_raw(one)]
    plain = [one for one in sets if one not in raw]
    records = next((one for one in plain if one.is_core or one.kind == OCCURRENCE), None)
    if records is None:
        raise DataError(
            f"{source.path} has no file of occurrences. Expected is a Darwin Core Archive whose "
            "core is Occurrence, Taxon or MaterialEntity."
        )
    if records.kind not in _CORES:
        raise DataError(
            f"The core of {source.path} is {records.kind!r}. Media of such a core belong to no "
            "single record. Give an archive whose core is Occurrence, for example by asking GBIF "
            "for a download of the data set's occurrences."
        )
    return Layout(
        records=records,
        media=tuple(one for one in plain if one.kind in _MEDIA),
        identifications=tuple(one for one in plain if one.kind == IDENTIFICATION),
        verbatim=tuple(one for one in raw if one.kind == OCCURRENCE),
        verbatim_media=tuple(one for one in raw if one.kind in _MEDIA),
        metadata=metadata,
    )


def _is_raw(files: FileSet) -> bool:
    return all(Path(name).stem.lower().endswith("_raw") for name in files.files)


def _by_names(source: Source) -> list[FileSet]:
    """Files whose name and header line say what they are, where nothing describes them."""
    sets = []
    for name in source.names():
        stem, _, ending = name.lower().rpartition(".")
        if "/" in stem or ending not in ("txt", "csv", "tsv"):
            continue
        kind = stem.removesuffix("_raw")
        if kind not in (OCCURRENCE, MULTIMEDIA, IDENTIFICATION):
            continue
        with source.open(name) as handle:
            tabs = handle.readline().count(b"\t") > 0
        dialect = Dialect(delimiter="\t", quote="") if tabs else Dialect()
        with source.open(name) as handle:
            header = [short_term(term) for term in header_of(handle, dialect)]
        known = ("gbifID", "coreid", "id", "occurrenceID")
        id_name = next((term for term in known if term in header), None)
        sets.append(
            FileSet(
                kind=kind,
                files=[name],
                dialect=dialect,
                id_index=header.index(id_name) if id_name else None,
                names=dict(enumerate(header)),
                defaults={},
                is_core=stem == OCCURRENCE,
            )
        )
    if not any(one.is_core for one in sets):
        raise DataError(
            f"{source.path} has neither meta.xml nor occurrence.txt: it is no Darwin Core Archive."
        )
    return sets


@dataclass(frozen=True)
class _Reader:
    source: Source
    layout: Layout
    book: Book
    kinds: frozenset[str]
    keep: bool
    progress: Progress

    def tables(self, work: Path) -> Iterator[pa.Table]:
        with opened(work) as store:
            self._load(store)
            yield from tables_of(self._rows(store), COLUMNS)
            for key, place in store.never_seen("media", "record"):
                self.book.leave(place, "the medium's record is not in the core", key)
            self.book.close()

    def _load(self, store: Store) -> None:
        """Everything but the core, under the ids of records."""
        default = {"image": {"type": "StillImage"}}
        for files in self.layout.media:
            extra = default.get(files.kind, {})
            rows = ((key, place, {**extra, **row}) for key, place, row in self._read(files))
            self.book.count("mediaRows", store.load("media", rows))
        for files in self.layout.identifications:
            n = store.load("identification", self._read(files))
            self.book.count("identifications", n)
        for files in self.layout.verbatim:
            short = (
                (key, place, {name: text for name, text in row.items() if name in _VERBATIM})
                for key, place, row in self._read(files)
            )
            store.load("verbatim", short)
        for files in self.layout.verbatim_media:
            keyed = (
                (f"{key} {same_address(address_of(row))}", place, row)
                for key, place, row in self._read(files)
            )
            store.load("verbatim_media", keyed)

    def _read(self, files: FileSet) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Id, place and row of each row of a kind of file."""
        columns = [*files.names, *([files.id_index] if files.id_index is not None else [])]
        for name in files.files:
            found = self.source.find(name)
            if found is None:
                self.book.leave(name, "the file is named in meta.xml and missing")
                continue
            reading = Reading(leave=self._leave(found))
            with (
                self.progress.task(f"read {found}, MB", self.source.size(found) // _MB) as task,
                self.source.open(found) as handle,
            ):
                done = 0
                least = max(columns, default=0) + 1
                for n, (line, fields) in enumerate(
                    read_rows(handle, files.dialect, reading, least=least), 1
                ):
                    row = {**files.defaults, **as_row(files.names, fields)}
                    place = f"{found}:{line}"
                    if files.id_index is not None:
                        key = fields[files.id_index].strip()
                    else:
                        key = first(row, "occurrenceID", "materialEntityID", "taxonID", "gbifID")
                    if not key:
                        self.book.leave(place, "the row has no id")
                        continue
                    yield key, place, row
                    if n % _LOOK == 0:
                        now = handle.tell() // _MB
                        task.advance(now - done)
                        done = now
            for what, n in reading.counts.items():
                if what != "lines":
                    self.book.count(what, n)

    def _leave(self, name: str) -> Callable[[int, str], None]:
        return lambda line, reason: self.book.leave(f"{name}:{line}", reason)

    def _rows(self, store: Store) -> Iterator[dict[str, Any]]:
        taxa = self.layout.records.kind == TAXON
        for id_, place, given in self._read(self.layout.records):
            self.book.count("records")
            media = store.get("media", id_)
            record = self._record(store, id_, given)
            media = media or _associated(record, place)
            if not media and not self.keep:
                self.book.count("recordsWithoutMedia")
                continue
            if not store.new("record", id_):
                self.book.leave(place, "the id stands twice, and its media went to the first", id_)
                continue
            n_rows = 0
            for row in self._usable(store, record, media, id_, place):
                n_rows += 1
                yield {**row, "unit": ""} if taxa else row
            if not n_rows:
                self.book.count("recordsWithoutMedia")
                if self.keep:
                    yield bare_row(record, record_id=id_, where=place, book=self.book)

    def _usable(
        self, store: Store, record: Row, media: list[Placed], id_: str, place: str
    ) -> Iterator[dict[str, Any]]:
        """The rows of a record, each key once in the archive."""
        if self.layout.verbatim_media:
            media = [(where, self._medium(store, id_, medium)) for where, medium in media]
        for row in rows_of(
            record, media, record_id=id_, where=place, book=self.book, kinds=self.kinds
        ):
            if store.new("key", row["key"]):
                yield row
            else:
                self.book.count("rows", -1)
                self.book.leave(
                    row["where"], "the medium's id stands at another medium", row["key"]
                )

    def _medium(self, store: Store, id_: str, medium: Row) -> dict[str, str]:
        own = store.one("verbatim_media", f"{id_} {same_address(address_of(medium))}")
        return merged([medium, own])

    def _record(self, store: Store, id_: str, given: Row) -> dict[str, str]:
        record = merged([store.one("verbatim", id_), given]) if self.layout.verbatim else given
        record = with_geo_point(record)
        found = store.get("identification", id_)
        return with_identification(record, [row for _, row in found]) if found else dict(record)


def with_geo_point(record: Row) -> Row:
    """A record with the coordinates and the country of iDigBio's index in Darwin Core's words."""
    if text := record.get("geoPoint", ""):
        try:
            point = json.loads(text)
            place = {"decimalLatitude": str(point["lat"]), "decimalLongitude": str(point["lon"])}
        except (ValueError, KeyError, TypeError):
            place = {}
        record = {**record, **place}
    if "isoCountryCode" in record and not record.get("countryCode"):
        record = {**record, "countryCode": record["isoCountryCode"].upper()}
    return record


def _associated(record: Row, place: str) -> list[Placed]:
    """The media that a record names itself, in one field."""
    texts = _SEVERAL.split(record.get("associatedMedia", "").strip())
    return [(place, {"identifier": text}) for text in texts if text]


def best_identification(rows: list[dict[str, str]]) -> dict[str, str]:
    """The identification that counts: the accepted one, else the most recent, else the first."""

    def rank(row: Mapping[str, str]) -> tuple[int, str]:
        return accepted(row), row.get("dateIdentified", "")

    return max(rows, key=rank) if rows else {}


def accepted(row: Row) -> int:
    """1 if an identification is said to be the accepted one, -1 if not to be, 0 if neither."""
    word = first(row, "isAcceptedIdentification", "identificationIsCurrent").lower()
    if word in ("true", "1", "yes", "t", "y"):
        return 1
    return -1 if word in ("false", "0", "no", "f", "n") else 0


def with_identification(record: Row, rows: list[dict[str, str]]) -> dict[str, str]:
    """A record with the name that its identifications give it.

    An accepted identification replaces what the record says of its name; any other is asked only
    where the record has no name.
    """
    best = best_identification(rows)
    named = {name: best[name] for name in _NAMES if best.get(name)}
    has_name = first(record, "scientificName", "verbatimIdentification", "genus", "specificEpithet")
    if accepted(best) > 0 and first(named, "scientificName", "verbatimIdentification"):
        rest = {name: text for name, text in record.items() if name not in _NAMES}
        # Ranks above the genus hold for the new name too, unless it brings its own.
        kept = {n: record[n] for n in ("kingdom", "typeStatus") if record.get(n)}
        return {**rest, **kept, **named}
    return {**record, **named} if not has_name else dict(record)
