"""A record and its media as rows of a catalogue, and the book of what was counted and left out.

A record and a medium are mappings of short terms (`terms.short_term`) to text. A row's `key` is
the medium's own identifier where it has one, else the record's and ten digits of the hash of the
medium's address: it depends neither on the order of rows nor on what else a record has, so the
same medium has the same id in the next download.

`unit` is the organism, else the specimen, else the record: all media of one share it. In data
joined from several sets an identifier that is unique only within its set gets the set's key.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from syntype.data.occurrences.licences import short_licence
from syntype.data.occurrences.places import number_of, place_of
from syntype.data.occurrences.terms import (
    first,
    is_address,
    kind_of,
    mime_of,
    same_address,
)
from syntype.provenance import bytes_hash

Row = Mapping[str, str]

_SHARED = """
basisOfRecord institutionCode collectionCode catalogNumber recordedBy countryCode stateProvince
locality sex lifeStage typeStatus taxonRank scientificNameAuthorship taxonID identifiedBy
vernacularName kingdom phylum class order family genus species
"""
_MADE = """
key image verbatimIdentification unit license occurrenceID eventDate decimalLatitude
decimalLongitude coordinateUncertaintyInMeters references mediaID mediaType format accessURI
creator rightsHolder pixelXDimension pixelYDimension
"""
_SAME = tuple(_SHARED.split())
COLUMNS = (*_MADE.split(), *_SAME)
"""Columns of the tables that the readers of records yield."""

STILL = ("StillImage",)

_LISTED = 100_000  # rows left out that are named; beyond them they are counted
_EXAMPLES = 20
_LICENCES = 500
_GLOBAL = re.compile(r"[:/]|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-")


@dataclass
class Book:
    """What a reader counts, and what it leaves out; it ends in the notes of a `Raw`.

    Attributes:
        left_out: Where and why; the first hundred thousand.
        notes: Plain JSON types; filled by `close`.
    """

    left_out: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _reasons: Counter[str] = field(default_factory=Counter)
    _kinds: Counter[str] = field(default_factory=Counter)
    _licences: Counter[str] = field(default_factory=Counter)
    _places: Counter[str] = field(default_factory=Counter)
    _examples: list[dict[str, str]] = field(default_factory=list)

    def leave(self, where: str, reason: str, detail: str = "") -> None:
        """Leave something out.

        Args:
            where: File and line, or an id.
            reason: In a few words; they are counted by it.
            detail: What is special about this one.
        """
        self._reasons[reason] += 1
        if len(self.left_out) < _LISTED:
            self.left_out.append((where, f"{reason}: {detail}" if detail else reason))

    def count(self, name: str, n: int = 1) -> None:
        """Count something that the notes are to tell."""
        self._counts[name] += n

    def skip_kind(self, kind: str) -> None:
        """Count a medium of a kind that was not asked for."""
        self._kinds[kind] += 1

    def licence(self, text: str) -> str:
        """The short form of a licence; what was delivered is counted under its own words."""
        if len(self._licences) < _LICENCES or text in self._licences:
            self._licences[text] += 1
        return short_licence(text)

    def place(self, where: str, problem: str, *, latitude: str, longitude: str) -> None:
        """Count coordinates that are none, and keep the first few."""
        self._places[problem] += 1
        if len(self._examples) < _EXAMPLES:
            given = {"latitude": latitude, "longitude": longitude}
            self._examples.append({"where": where, "problem": problem, **given})

    def close(self) -> None:
        """Write what was counted into the notes."""
        self.notes.update(sorted(self._counts.items()))
        if self._reasons:
            self.notes["leftOut"] = dict(sorted(self._reasons.items()))
        if self._kinds:
            self.notes["otherKinds"] = dict(sorted(self._kinds.items()))
        if self._places:
            counts = dict(sorted(self._places.items()))
            self.notes["coordinates"] = {"unknown": counts, "examples": self._examples}
        self.notes["licences"] = {
            text: {"short": short_licence(text), "media": n}
            for text, n in sorted(self._licences.items())
        }


def label_of(record: Row) -> str:
    """The name that a record was given, exactly as delivered; by its parts if it has no whole one.

    "" if it has none at all.
    """
    if whole := first(record, "scientificName", "verbatimIdentification"):
        return whole
    genus = first(record, "genericName", "genus")
    if genus and record.get("specificEpithet"):
        parts = (genus, record["specificEpithet"], record.get("infraspecificEpithet", ""))
        return " ".join(part for part in parts if part)
    ranks = ("species", "genus", "family", "order", "class", "phylum", "kingdom")
    return first(record, *ranks, "acceptedScientificName")


def unit_of(record: Row, record_id: str) -> str:
    """The organism, else the specimen, else the record."""
    names = ("organismID", "materialEntityID", "materialSampleID", "occurrenceID")
    unit = first(record, *names) or record_id
    scope = record.get("datasetKey", "")
    return f"{scope}/{unit}" if scope and not _GLOBAL.search(unit) else unit


def date_of(record: Row) -> str:
    """The date of the event as delivered, which may be a range; else year, month and day."""
    if date := record.get("eventDate", ""):
        return date
    parts = []
    for name, digits in (("year", 4), ("month", 2), ("day", 2)):
        text = record.get(name, "").removesuffix(".0")
        if not text.isdigit() or int(text) == 0:
            break
        parts.append(text.zfill(digits))
    return "-".join(parts)


def record_columns(record: Row, record_id: str, where: str, book: Book) -> dict[str, Any]:
    """The columns that all media of a record share.

    Args:
        record: The record.
        record_id: What its media name it by.
        where: Where it stands, for what is wrong with it.
        book: Where coordinates that are none are written down.
    """
    given = (record.get("decimalLatitude", ""), record.get("decimalLongitude", ""))
    place = place_of(latitude=given[0], longitude=given[1])
    if place.problem:
        book.place(where, place.problem, latitude=given[0], longitude=given[1])
    label = label_of(record)
    if not label:
        book.count("recordsWithoutLabel")
    uncertainty = number_of(record.get("coordinateUncertaintyInMeters", ""))
    return {
        **{name: record.get(name, "") for name in _SAME},
        "image": "",
        "verbatimIdentification": label,
        "unit": unit_of(record, record_id),
        "occurrenceID": record.get("occurrenceID", ""),
        "eventDate": date_of(record),
        "decimalLatitude": place.latitude,
        "decimalLongitude": place.longitude,
        "coordinateUncertaintyInMeters": uncertainty if uncertainty and uncertainty > 0 else None,
        "references": record.get("references", ""),
    }


def address_of(medium: Row) -> str:
    """Where a medium is: Audiovisual Core's accessURI, else the identifier of Simple Multimedia."""
    names = ("accessURI", "goodQualityAccessURI", "bestQualityAccessURI", "identifier")
    return first(medium, *names).strip()


def medium_id(medium: Row, address: str) -> str:
    """The identifier of a medium; "" if it has none but its address."""
    for name in ("uuid", "mediaID", "identifier", "providerManagedID"):
        text = medium.get(name, "").strip()
        if text and same_address(text) != same_address(address):
            # An identifier that is an address of a file is a second address, not a name.
            if name == "identifier" and not medium.get("accessURI"):
                continue
            return text
    return ""


def media_columns(medium: Row, kind: str, record_id: str, book: Book) -> dict[str, Any]:
    """The columns of a medium. Its licence is what it says itself, never that of its record."""
    address = address_of(medium)
    id_ = medium_id(medium, address)
    stated = first(medium, "license", "rightsIRI", "WebStatement", "rights", "UsageTerms")
    licence = book.licence(stated)
    return {
        "key": id_ or hashed_key(record_id, address),
        "license": licence,
        "mediaID": id_,
        "mediaType": kind,
        "format": mime_of(medium.get("format", "")),
        "accessURI": address,
        "creator": medium.get("creator", ""),
        "rightsHolder": first(medium, "rightsHolder", "owner"),
        "pixelXDimension": _pixels(medium.get("PixelXDimension", "")),
        "pixelYDimension": _pixels(medium.get("PixelYDimension", "")),
    }


def hashed_key(record_id: str, address: str) -> str:
    """The key of a medium that has no identifier of its own."""
    return f"{record_id}/{bytes_hash(same_address(address).encode())[:10]}"


def _pixels(text: str) -> int | None:
    value = number_of(text)
    return int(value) if value and 0 < value < 2**31 else None


def rows_of(
    record: Row,
    media: Sequence[tuple[str, Row]],
    *,
    record_id: str,
    where: str,
    book: Book,
    kinds: Collection[str],
) -> Iterator[dict[str, Any]]:
    """The rows of a record: one for each of its media that can be used.

    Beside the columns a row has `where`, the place of its medium.

    Args:
        record: The record.
        media: Where each of its media stands, and the medium.
        record_id: What the media name the record by.
        where: Where the record stands.
        book: Where it is written down what is left out.
        kinds: Kinds of media that are wanted; "" among them stands for "it does not say".
    """
    shared: dict[str, Any] = {}
    addresses: set[str] = set()
    for place, medium in media:
        book.count("media")
        address = address_of(medium)
        if not address:
            book.leave(place, "the medium has no address")
            continue
        if not is_address(address):
            book.leave(place, "the medium's address is none of the web", address[:200])
            continue
        if same_address(address) in addresses:
            book.leave(place, "the record has this address already", address)
            continue
        mime = mime_of(medium.get("format", ""))
        kind = kind_of(first(medium, "mediaType", "type"), mime, address)
        if kind not in kinds:
            book.skip_kind(kind)
            continue
        addresses.add(same_address(address))
        shared = shared or record_columns(record, record_id, where, book)
        columns = media_columns(medium, kind, record_id, book)
        references = shared["references"] or first(medium, "references", "furtherInformationURL")
        book.count("rows")
        yield {**shared, **columns, "references": references, "where": place}


def bare_row(record: Row, *, record_id: str, where: str, book: Book) -> dict[str, Any]:
    """The row of a record that has no medium: no kind, no address."""
    book.count("rows")
    shared = record_columns(record, record_id, where, book)
    return {**shared, "key": record_id, "mediaType": "", "accessURI": ""}
