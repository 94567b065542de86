"""Darwin Core Data Packages: tables in a folder or a zip, joined by foreign keys.

    media  <-  occurrence-media  ->  occurrence  ->  event
           <-  material-media    ->  material    ->  event
    identification  ->  occurrence, material or media;  identification-taxon  ->  identification

A medium belongs to what the link tables say, never to its place in a file. From a material to its
occurrence leads `evidenceForOccurrenceID`, and from an occurrence to its material the same way
back, if it is the only one. Where neither is filled in, an event that has one material and one
occurrence joins the two; one that has more joins nothing, since it would be a guess.

A medium of several subjects whose names differ is left out: it has no one label. A medium of
several subjects of one name is a row of the first of them, by the order of their identifiers.

Follows the Darwin Core Data Package as GBIF drafts it (dwc-dp 0.1); resources and columns that are
not named above are not needed.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntype.data.dataset import Card
from syntype.data.occurrences.archive import accepted, best_identification, set_name
from syntype.data.occurrences.delimited import Dialect, Reading, as_row, header_of, read_rows
from syntype.data.occurrences.description import card_of
from syntype.data.occurrences.licences import short_licence
from syntype.data.occurrences.rows import (
    COLUMNS,
    STILL,
    Book,
    Row,
    bare_row,
    label_of,
    rows_of,
)
from syntype.data.occurrences.sources import Source
from syntype.data.occurrences.store import Store, opened
from syntype.data.occurrences.terms import first, merged, short_term
from syntype.data.raw import Raw, tables_of
from syntype.errors import DataError
from syntype.progress import SILENT, Progress
from syntype.taxonomy.taxon import RANKS, is_epithet, is_genus_word

DESCRIPTIONS = ("datapackage.json", "data-package.json")
"""What the file is called that describes a package."""

_BINOMIAL = ("species", "subspecies", "variety", "form")
# Resource: (table, key column); a resource may be kept under several keys.
_TABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "media": (("media", "mediaID"),),
    "occurrence-media": (("occurrence_media", "mediaID"), ("media_of_occurrence", "occurrenceID")),
    "material-media": (("material_media", "mediaID"), ("media_of_material", "materialEntityID")),
    "occurrence": (("occurrence", "occurrenceID"), ("occurrence_of_event", "eventID")),
    "material": (
        ("material", "materialEntityID"),
        ("material_of_occurrence", "evidenceForOccurrenceID"),
        ("material_of_event", "eventID"),
    ),
    "event": (("event", "eventID"),),
    "organism": (("organism", "organismID"),),
    "identification": (
        ("identification", "identificationID"),
        ("identification_of_occurrence", "basedOnOccurrenceID"),
        ("identification_of_material", "basedOnMaterialEntityID"),
        ("identification_of_media", "basedOnMediaID"),
    ),
    "identification-taxon": (("taxon", "identificationID"),),
}
# Link resource: (table of links, table of subjects, the subject's column).
_LINKS = (
    ("occurrence-media", "occurrence_media", "occurrence", "occurrenceID"),
    ("material-media", "material_media", "material", "materialEntityID"),
)


def read_data_package(
    path: Path,
    *,
    work: Path,
    name: str = "",
    media_types: Collection[str] = STILL,
    keep_without_media: bool = False,
    progress: Progress = SILENT,
) -> Raw:
    """Read a Darwin Core Data Package.

    Args:
        path: The folder or the zip.
        work: A folder for the join; what is written there is removed when the reading ends.
        name: The set's name; where empty that of the folder or zip.
        media_types: Kinds of media that are wanted; "" among them takes those that do not say.
        keep_without_media: Whether an occurrence without a medium gets a row too.
        progress: Where to show how far it is.

    Raises:
        DataNotFoundError: There is nothing at `path`.
        DataError: It is no such package, or has no media.
    """
    source = Source(path)
    about, resources = _resources(source)
    if "media" not in resources and not keep_without_media:
        raise DataError(
            f"{path} has no resource `media`; it has {', '.join(sorted(resources))}. Its records "
            "show nothing: keep those without media if you want them."
        )
    eml = source.find("eml.xml")
    card = card_of(
        source.read(eml) if eml else None, f"eml.xml in {path}", name=name or set_name(path)
    )
    book = Book(notes={"format": "Darwin Core Data Package"})
    reader = _Reader(source, resources, book, frozenset(media_types), keep_without_media, progress)
    return Raw(
        card=_completed(card, about),
        root=source.root,
        tables=reader.tables(work),
        left_out=book.left_out,
        notes=book.notes,
    )


@dataclass(frozen=True)
class _Resource:
    name: str
    files: tuple[str, ...]
    dialect: Dialect
    columns: tuple[str, ...]


def _resources(source: Source) -> tuple[Mapping[str, Any], Mapping[str, _Resource]]:
    """What the description says of the package, and its resources by name."""
    found = next((name for one in DESCRIPTIONS if (name := source.find(one))), None)
    if found is None:
        raise DataError(f"{source.path} has no {' or '.join(DESCRIPTIONS)}: it is no Data Package.")
    try:
        about = json.loads(source.read(found).decode("utf-8-sig"))
        listed = about["resources"]
        resources = {one["name"]: _resource(one) for one in listed if one.get("path")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{found} in {source.path} does not describe resources ({error!r}). Fetch the package "
            "again, or ask who published it."
        ) from error
    return about, resources


def _resource(entry: Mapping[str, Any]) -> _Resource:
    paths = entry["path"]
    given = entry.get("dialect")
    given = given if isinstance(given, dict) else {}
    tabs = entry.get("format", "") in ("tsv", "tab")
    dialect = Dialect(
        delimiter=given.get("delimiter", "\t" if tabs else ","),
        quote=given.get("quoteChar", '"') or "",
        encoding=entry.get("encoding") or "utf-8",
        header_lines=1 if given.get("header", True) else 0,
    )
    schema = entry.get("schema")
    fields = schema.get("fields", []) if isinstance(schema, dict) else []
    columns = tuple(one["name"] for one in fields)
    files = tuple([paths] if isinstance(paths, str) else paths)
    return _Resource(entry["name"], files, dialect, columns)


def _completed(card: Card, about: Mapping[str, Any]) -> Card:
    """The card by the EML, and where that says nothing by the description."""
    licences = about.get("licenses") or [{}]
    stated = licences[0] if isinstance(licences, list) and isinstance(licences[0], dict) else {}
    return Card(
        name=card.name,
        source=card.source or str(about.get("id") or about.get("homepage") or ""),
        license=card.license or short_licence(str(stated.get("name") or stated.get("path") or "")),
        citation=card.citation or str(about.get("title") or ""),
    )


@dataclass(frozen=True)
class _Subject:
    """What a medium shows: its name for the order, and the record."""

    id: str
    record: dict[str, str] = field(compare=False)


@dataclass(frozen=True)
class _Reader:
    source: Source
    resources: Mapping[str, _Resource]
    book: Book
    kinds: frozenset[str]
    keep: bool
    progress: Progress

    def tables(self, work: Path) -> Iterator[pa.Table]:
        with opened(work) as store:
            for name in _TABLES:
                self._load(store, name)
            yield from tables_of(self._rows(store), COLUMNS)
            self.book.close()

    def _load(self, store: Store, name: str) -> None:
        """A resource into the store, under each of its keys."""
        if name not in self.resources:
            return
        tables = _TABLES[name]
        n = 0
        # One pass a key, since a store holds a row under one; the first key is that of all rows.
        for table, column in reversed(tables):
            n = store.load(table, self._read(name, column, told=table == tables[0][0]))
        self.book.notes.setdefault("tables", {})[name] = n

    def _read(self, name: str, column: str, *, told: bool) -> Iterator[tuple[str, str, Row]]:
        """Key, place and row of each row of a resource that has the key.

        Args:
            name: Of the resource.
            column: The key.
            told: Whether what is left out is written down; once is enough.
        """
        resource = self.resources[name]
        for file in resource.files:
            found = self.source.find(file)
            if found is None:
                if told:
                    self.book.leave(file, "the file is named in the description and missing")
                continue
            with self.source.open(found) as handle:
                header = header_of(handle, resource.dialect) or resource.columns
                names = dict(enumerate(map(short_term, header)))

            def leave(line: int, reason: str, place: str = found) -> None:
                if told:
                    self.book.leave(f"{place}:{line}", reason)

            reading = Reading(leave=leave)
            with self.source.open(found) as handle:
                for line, fields in read_rows(handle, resource.dialect, reading):
                    row = as_row(names, fields)
                    if key := row.get(column, ""):
                        yield key, f"{found}:{line}", row
                    elif told:
                        self.book.leave(f"{found}:{line}", f"the row has no {column}")
            if told:
                for what, n in reading.counts.items():
                    if what != "lines":
                        self.book.count(what, n)

    def _rows(self, store: Store) -> Iterator[dict[str, Any]]:
        n_media = self.book.notes.get("tables", {}).get("media", 0)
        with self.progress.task("join the media", n_media) as task:
            for media_id, place, medium in store.all("media"):
                task.advance()
                if not store.new("medium", media_id):
                    self.book.leave(place, "the mediaID stands twice", media_id)
                    continue
                yield from self._of_medium(store, media_id, place, medium)
        self._dangling(store)
        without = self._without_media(store)
        for id_, place, record in without:
            self.book.count("occurrencesWithoutMedia")
            if self.keep:
                yield bare_row(record, record_id=id_, where=place, book=self.book)

    def _of_medium(
        self, store: Store, media_id: str, place: str, medium: Row
    ) -> Iterator[dict[str, Any]]:
        """The row of a medium; none if nobody knows what it shows."""
        subjects = sorted(self._subjects(store, media_id), key=lambda one: one.id)
        if not subjects:
            self.book.count("media")
            self.book.leave(place, "no occurrence or material is linked to the medium", media_id)
            return
        own = self._identification(store, "identification_of_media", media_id)
        names = {label_of({**one.record, **own}) for one in subjects}
        if len(names) > 1:
            self.book.count("media")
            named = ", ".join(sorted(names))[:300]
            self.book.leave(place, "the medium shows several things of different names", named)
            return
        if len(subjects) > 1:
            self.book.count("mediaOfSeveralSubjects")
        subject = subjects[0]
        yield from rows_of(
            {**subject.record, **own},
            [(place, medium)],
            record_id=subject.id,
            where=place,
            book=self.book,
            kinds=self.kinds,
        )

    def _subjects(self, store: Store, media_id: str) -> list[_Subject]:
        """What a medium shows. An occurrence and the material that is its evidence are one."""
        found: dict[str, _Subject] = {}
        for _, row in store.get("occurrence_media", media_id):
            id_ = row.get("occurrenceID", "")
            if occurrence := store.one("occurrence", id_):
                store.new("occurrence", id_)
                found[id_] = _Subject(id_, self._record(store, occurrence, None))
        for _, row in store.get("material_media", media_id):
            id_ = row.get("materialEntityID", "")
            if material := store.one("material", id_):
                record = self._record(store, None, material)
                known = record.get("occurrenceID") or id_
                store.new("occurrence", record.get("occurrenceID", ""))
                found.setdefault(known, _Subject(known, record))
        return list(found.values())

    def _record(self, store: Store, occurrence: Row | None, material: Row | None) -> dict[str, str]:
        """Everything that is known of an occurrence, a material or both."""
        if occurrence is None and material is not None:
            occurrence = store.one("occurrence", material.get("evidenceForOccurrenceID", ""))
            occurrence = occurrence or self._alone(store, material, "occurrence_of_event")
        elif material is None and occurrence is not None:
            several = store.get("material_of_occurrence", occurrence.get("occurrenceID", ""))
            material = several[0][1] if len(several) == 1 else None
            material = material or self._alone(store, occurrence, "material_of_event")
        occurrence, material = occurrence or {}, material or {}
        event_id = first(occurrence, "eventID") or first(material, "eventID")
        named = self._identification(
            store, "identification_of_occurrence", occurrence.get("occurrenceID", "")
        ) or self._identification(
            store, "identification_of_material", material.get("materialEntityID", "")
        )
        organism = store.one("organism", occurrence.get("organismID", ""))
        record = merged([occurrence, material, self._event(store, event_id), organism])
        if not record.get("recordedBy"):
            record["recordedBy"] = material.get("collectedBy", "")
        record.setdefault("basisOfRecord", "MaterialEntity" if material else "Occurrence")
        return {**record, **named}

    def _alone(self, store: Store, row: Row, table: str) -> dict[str, str]:
        """The one thing of the other kind of an event that has one of each."""
        event = row.get("eventID", "")
        if not event:
            return {}
        both = [store.get(one, event) for one in ("occurrence_of_event", "material_of_event")]
        if any(len(rows) != 1 for rows in both):
            return {}
        other = both[0 if table == "occurrence_of_event" else 1][0][1]
        evidence = both[1][0][1].get("evidenceForOccurrenceID", "")
        if evidence and evidence != both[0][0][1].get("occurrenceID", ""):
            return {}
        return other

    def _event(self, store: Store, event_id: str) -> dict[str, str]:
        """An event; what it does not say is taken from the events that it is a part of."""
        rows: list[dict[str, str]] = []
        known: set[str] = set()
        while event_id and event_id not in known and len(known) < 20:
            known.add(event_id)
            row = store.one("event", event_id)
            rows.append(row)
            event_id = row.get("parentEventID", "")
        return merged(rows)

    def _identification(self, store: Store, table: str, id_: str) -> dict[str, str]:
        """Name and lineage by the identification that counts; empty if there is none."""
        rows = [row for _, row in store.get(table, id_)] if id_ else []
        rows = [row for row in rows if accepted(row) >= 0] or rows
        best = best_identification(rows)
        if not best:
            return {}
        ladder = [row for _, row in store.get("taxon", best.get("identificationID", ""))]
        wanted = ("scientificName", "verbatimIdentification", "scientificNameAuthorship",
                  "taxonRank", "taxonID", "typeStatus", "identifiedBy", *RANKS)  # fmt: skip
        named = {name: best[name] for name in wanted if best.get(name)}
        taxon = taxon_of(ladder)
        if first(named, "scientificName", "verbatimIdentification"):
            # The name as it was given is the label; what it was matched to gives the lineage.
            taxon.pop("scientificName", None)
        return {**lineage_of([best, *ladder]), **taxon, **named}

    def _dangling(self, store: Store) -> None:
        """Links that lead nowhere, each with its line."""
        for file, links, subjects, column in _LINKS:
            for media_id, place, row in store.all(links):
                id_ = row.get(column, "")
                if not store.has(subjects, id_):
                    self.book.leave(place, f"the link's {column} is in no row", id_)
                elif not store.has("media", media_id):
                    self.book.count(f"{file}WithoutMedia")
                    self.book.leave(place, "the link's mediaID is in no row", media_id)

    def _without_media(self, store: Store) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Occurrences that no medium led to."""
        for id_, place in store.never_seen("occurrence", "occurrence"):
            yield id_, place, self._record(store, store.one("occurrence", id_), None)


def lineage_of(rows: list[dict[str, str]]) -> dict[str, str]:
    """Rank to name by an identification and the taxa of its ladder.

    A taxon's own name stands for the rank that it is said to have, as far as the name gives the
    rank away: of a species or what is below it genus and species, without the author.
    """
    ranks: dict[str, str] = {}
    for row in rows:
        for rank in RANKS:
            if text := row.get(rank, ""):
                ranks.setdefault(rank, text)
        names = row.get("higherClassificationName", "").split("|")
        above = row.get("higherClassificationRank", "").split("|")
        if len(names) == len(above):
            for name, word in zip(names, above, strict=True):
                rank = _rank_word(word)
                if name.strip() and rank in RANKS:
                    ranks.setdefault(rank, name.strip())
        words = row.get("scientificName", "").split()
        rank = _rank_word(row.get("taxonRank", ""))
        if rank in RANKS[:-1] and words:
            ranks.setdefault(rank, words[0])
        elif rank in _BINOMIAL and len(words) > 1 and is_genus_word(words[0]):
            ranks.setdefault("genus", words[0])
            if is_epithet(words[1]):
                ranks.setdefault("species", f"{words[0]} {words[1]}")
    return ranks


def taxon_of(ladder: list[dict[str, str]]) -> dict[str, str]:
    """Name, rank and identifier of the taxon that an identification leads to, if it is one."""
    if len(ladder) != 1:
        return {}
    wanted = ("scientificName", "taxonRank", "taxonID", "vernacularName")
    return {name: ladder[0][name] for name in wanted if ladder[0].get(name)}


def _rank_word(text: str) -> str:
    return text.strip().rpartition(":")[2].lower()
