"""Answers of iDigBio's search, saved as JSON; its downloads are read by `archive`.

An answer of `search/records` or `search/media` is an object with `items`. Each item has a `uuid`,
`data`, the publisher's own words, and `indexTerms`, what iDigBio made of them in small letters.
A record names its media in `indexTerms.mediarecords`, a medium its records in
`indexTerms.records`: both are lists of identifiers, and a record may have many. Items are paired
by these and by nothing else.

A record may name a medium that was not asked for. It is then shown by the address at which
iDigBio serves a copy of any medium, and its kind and licence are not known but for what the record
says: that it has an image.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntype.data.occurrences.archive import with_geo_point
from syntype.data.occurrences.gbif import flat, json_files, load_json, saved_card
from syntype.data.occurrences.rows import COLUMNS, STILL, Book, Row, bare_row, rows_of
from syntype.data.occurrences.store import Placed, Store, opened
from syntype.data.occurrences.terms import merged
from syntype.data.raw import Raw, tables_of
from syntype.errors import DataError
from syntype.progress import SILENT, Progress

VIEW = "https://api.idigbio.org/v2/media/{}?size=webview"
"""Where iDigBio serves a copy of a medium; {} is its uuid."""

# What iDigBio calls its terms of the index, where that is not the term's own name in small letters.
_RECORD_TERMS = {
    "collector": "recordedBy",
    "countrycode": "isoCountryCode",
    "coordinateuncertainty": "coordinateUncertaintyInMeters",
    "datecollected": "eventDate",
}
_MEDIA_TERMS = {
    "mediatype": "mediaType",
    "xpixels": "PixelXDimension",
    "ypixels": "PixelYDimension",
}


def items_of(content: Any) -> list[Mapping[str, Any]] | None:
    """The items of a saved answer; None if it is none."""
    items = content.get("items") if isinstance(content, dict) else None
    if not isinstance(items, list):
        return None
    return [one for one in items if isinstance(one, dict) and "uuid" in one]


def read_idigbio_answers(
    path: Path,
    *,
    work: Path,
    name: str = "",
    media_types: Collection[str] = STILL,
    keep_without_media: bool = False,
    progress: Progress = SILENT,
) -> Raw:
    """Read answers of iDigBio's search that were saved as JSON.

    Args:
        path: A file, or a folder with pages of records and of media, in any folders of it.
        work: A folder for the join; emptied when the reading ends.
        name: The set's name; where empty that of the file or folder.
        media_types: Kinds of media that are wanted; "" among them takes those that do not say.
        keep_without_media: Whether a record without a medium gets a row too.
        progress: Where to show how far it is.

    Raises:
        DataError: There is no JSON file in it.
    """
    files = json_files(path)
    if not files:
        raise DataError(f"{path} holds no saved answer (*.json) of iDigBio's search.")
    book = Book(notes={"format": "iDigBio search, saved JSON", "files": len(files)})
    reader = _Reader(files, book, frozenset(media_types), keep_without_media, progress)
    return Raw(
        card=saved_card(path, name, "iDigBio"),
        root=path if path.is_dir() else path.parent,
        tables=reader.tables(work),
        left_out=book.left_out,
        notes=book.notes,
    )


@dataclass(frozen=True)
class _Reader:
    files: Sequence[Path]
    book: Book
    kinds: frozenset[str]
    keep: bool
    progress: Progress

    def tables(self, work: Path) -> Iterator[pa.Table]:
        with opened(work) as store:
            self._load_media(store)
            yield from tables_of(self._rows(store), COLUMNS)
            for uuid, place in store.never_seen("media", "paired"):
                self.book.leave(place, "no record here has the medium", uuid)
            self.book.close()

    def _items(self, *, media: bool, told: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Where each record or medium stands, and the item."""
        with self.progress.task("read answers", len(self.files)) as task:
            for file in self.files:
                items = items_of(load_json(file))
                if items is None and told:
                    self.book.leave(file.name, "it is no answer of iDigBio, or is cut")
                place = f"{file.parent.name}/{file.name}"
                for n, item in enumerate(items or (), 1):
                    if is_medium(item) == media:
                        yield f"{place}, item {n}", item
                task.advance()

    def _load_media(self, store: Store) -> None:
        """Media under their uuids, and their uuids under those of their records."""

        def media() -> Iterator[tuple[str, str, Row]]:
            for place, item in self._items(media=True, told=True):
                if store.new("medium", item["uuid"]):
                    yield item["uuid"], place, medium_row(item)
                else:
                    self.book.leave(place, "the medium came twice", item["uuid"])

        def links() -> Iterator[tuple[str, str, Row]]:
            for place, item in self._items(media=True, told=False):
                for record in _uuids(item, "records"):
                    yield record, place, {"uuid": item["uuid"]}

        self.book.count("mediaItems", store.load("media", media()))
        store.load("links", links())

    def _rows(self, store: Store) -> Iterator[dict[str, Any]]:
        for place, item in self._items(media=False, told=False):
            self.book.count("records")
            id_ = str(item["uuid"])
            if not store.new("record", id_):
                self.book.leave(place, "the record came twice", id_)
                continue
            record = record_row(item)
            n_rows = 0
            media = self._media(store, item, id_, place)
            for row in rows_of(
                record, media, record_id=id_, where=place, book=self.book, kinds=self.kinds
            ):
                if store.new("key", row["key"]):
                    n_rows += 1
                    yield row
                else:
                    self.book.count("rows", -1)
                    self.book.leave(
                        row["where"], "the medium belongs to an earlier record", row["key"]
                    )
            if not n_rows:
                self.book.count("recordsWithoutMedia")
                if self.keep:
                    yield bare_row(record, record_id=id_, where=place, book=self.book)

    def _media(self, store: Store, item: Mapping[str, Any], id_: str, place: str) -> list[Placed]:
        """The media that a record names, then those that name the record."""
        claimed = [row["uuid"] for _, row in store.get("links", id_)]
        found = []
        for uuid in dict.fromkeys([*_uuids(item, "mediarecords"), *claimed]):
            store.new("paired", uuid)
            known = store.get("media", uuid)
            if known:
                found.append(known[0])
                continue
            self.book.count("mediaServedByIDigBio")
            kind = "StillImage" if _terms(item).get("hasImage") is not False else ""
            served = {"uuid": uuid, "accessURI": VIEW.format(uuid), "type": kind}
            found.append((place, served))
        return found


def is_medium(item: Mapping[str, Any]) -> bool:
    """Whether an item is a medium and not a record."""
    if isinstance(kind := item.get("type"), str):
        return kind.startswith("media")
    return "accessuri" in _terms(item) or "records" in _terms(item)


def _terms(item: Mapping[str, Any]) -> Mapping[str, Any]:
    terms = item.get("indexTerms")
    return terms if isinstance(terms, dict) else {}


def _uuids(item: Mapping[str, Any], term: str) -> list[str]:
    value = _terms(item).get(term)
    return [str(one) for one in value] if isinstance(value, list) else []


def _own(item: Mapping[str, Any]) -> dict[str, str]:
    data = item.get("data")
    return flat(data) if isinstance(data, dict) else {}


def record_row(item: Mapping[str, Any]) -> dict[str, str]:
    """A record in Darwin Core's words: the publisher's where there are some, else the index's."""
    terms = _terms(item)
    index = flat({_RECORD_TERMS.get(term, term): value for term, value in terms.items()})
    point = terms.get("geopoint")
    if isinstance(point, dict) and "lat" in point and "lon" in point:
        index["decimalLatitude"], index["decimalLongitude"] = str(point["lat"]), str(point["lon"])
    index["eventDate"] = str(terms.get("eventdate") or index.get("eventDate", ""))
    # Dates of the index are times at midnight.
    index["eventDate"] = index["eventDate"].removesuffix("T00:00:00+00:00")
    own = _own(item)
    for row in (own, index):
        row.pop("uuid", None)
        row.pop("geoPoint", None)
    if "decimalLatitude" in index:
        # Of places the index is asked first: it has read degrees and minutes.
        own.pop("decimalLatitude", None)
        own.pop("decimalLongitude", None)
    return dict(with_geo_point(merged([own, index])))


def medium_row(item: Mapping[str, Any]) -> dict[str, str]:
    """A medium in Audiovisual Core's words."""
    terms = _terms(item)
    index = flat({_MEDIA_TERMS.get(term, term): value for term, value in terms.items()})
    own = _own(item)
    own.pop("mediaID", None)
    row = merged([own, index])
    return {**row, "uuid": str(item["uuid"])}
