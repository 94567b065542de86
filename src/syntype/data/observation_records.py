"""From what a reader of observations found to the table: names, places and media checked.

Every reader of observations ends here. A row is left out, by name and reason, if it has no label,
if its key stands twice, or if nothing but its name is left of it. A place that cannot be one and a
medium that cannot be read are told in the notes, and the row stays without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32

from syntype.configs import DataConfig
from syntype.data.dataset import Card
from syntype.data.digests import digest_pictures
from syntype.data.naming import clean, each, lineage
from syntype.data.observations import MEDIA, MODALITIES, SCHEMA, Observations
from syntype.data.occurrences.places import Place, place_of
from syntype.data.records import Column, left_out_notes, split_of
from syntype.errors import DataError, DataNotFoundError
from syntype.progress import Progress
from syntype.taxonomy.cleaning import clean_labels
from syntype.taxonomy.taxon import Taxon

_DELIVERED = ("vernacularName", "taxonGroup", "unit", "split", "license", "eventDate")


@dataclass(frozen=True, kw_only=True)
class ObservationRecords:
    """What a reader found.

    Attributes:
        card: The set's card; its name begins every id.
        root: The folder that the locators of `media` are relative to.
        key: What tells the rows of the set apart, the rest of the id.
        label: Label of each row as delivered, None where there is none.
        latitude: Degrees as delivered, "" where unknown.
        longitude: Degrees as delivered, "" where unknown.
        media: Sense to the locator of each row, "" where it names none.
        climate: (n, 20) in the order of `CLIMATE_VARIABLES`, NaN where missing; None for none.
        columns: Further columns of `SCHEMA` by name, as delivered.
        notes: What the reader has to say, by the keys of docs/reference/observations.md.
        warnings: What a user must know of the set before trusting a number, in sentences.
        left_out: Key and reason of what is no row at all.
    """

    card: Card
    root: Path
    key: Sequence[str]
    label: Column
    latitude: Sequence[str]
    longitude: Sequence[str]
    media: Mapping[str, Sequence[str]] = field(default_factory=dict)
    climate: Float32[np.ndarray, "n 20"] | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    left_out: Sequence[tuple[str, str]] = ()


def to_observations(
    records: ObservationRecords,
    config: DataConfig,
    *,
    memory: Path,
    progress: Progress,
    workers: int = 0,
) -> Observations:
    """The observations of `records`; their splits are as delivered.

    Args:
        records: What a reader found.
        config: Its `on_error`: `stop` refuses a set of which anything would be lost.
        memory: Folder where digests are remembered.
        progress: Where to say how far it is.
        workers: Threads that read media.

    Raises:
        DataError: No row can be used; or one cannot, and `config.on_error` is `stop`.
        DataNotFoundError: Media are named, and none of them is there.
    """
    name = records.card.name
    taxa, report = clean_labels(records.label)
    if not any(taxa):
        raise DataError(
            f"{name}: none of the {len(taxa)} rows has a label. Name the column that holds it "
            "with --column label=NAME."
        )
    found, missing = _media(records, memory, progress, workers)
    places = [
        place_of(latitude=latitude or "", longitude=longitude or "")
        for latitude, longitude in zip(records.latitude, records.longitude, strict=True)
    ]
    ids = [f"{name}/{key}" for key in records.key]
    bad_places = [(ids[row], p.problem) for row, p in enumerate(places) if p.problem]
    rows = _Rows(records, taxa, ids, found, places)
    reasons = rows.unusable()
    lost = [*((ids[row], why) for row, why in reasons.items()), *bad_places]
    lost += [(id_, f"{sense}: {why}") for sense, one in missing.items() for id_, why in one]
    if lost and config.on_error == "stop":
        raise DataError(
            f"{name}: {lost[0][0]} cannot be used as it is: {lost[0][1]} ({len(lost)} such rows). "
            "Mend them, or go on without what cannot be read with --on-error skip."
        )
    kept = [row for row in range(len(ids)) if row not in reasons]
    if not kept:
        raise DataError(f"{name}: no row can be used; the first is left out because: {reasons[0]}.")
    left_out = [(f"{name}/{key}", why) for key, why in records.left_out]
    left_out += [(ids[row], why) for row, why in reasons.items()]
    table = rows.table(kept)
    observations = Observations(table, {name: records.root}, (records.card,))
    notes = {
        **{key: {name: note} for key, note in records.notes.items()},
        "cleaning": {name: report.notes()},
        "leftOut": left_out_notes(left_out),
        "badPlaces": left_out_notes(bad_places),
        "mediaMissing": {sense: left_out_notes(one) for sense, one in missing.items() if one},
        "warnings": {name: list(records.warnings)} if records.warnings else {},
        "senses": {sense: int(observations.has(sense).sum()) for sense in MODALITIES},
    }
    return replace(observations, notes=notes)


def _media(
    records: ObservationRecords, memory: Path, progress: Progress, workers: int
) -> tuple[dict[str, list[tuple[str, str]]], dict[str, list[tuple[str, str]]]]:
    """For each sense the locator and digest of each row, "" where there is none; and what lacks.

    Raises:
        DataNotFoundError: Media are named, and none is there.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    missing: dict[str, list[tuple[str, str]]] = {}
    for sense, locators in records.media.items():
        named = [row for row, locator in enumerate(locators) if locator]
        files = [row for row in named if "://" not in locators[row]]
        digests = digest_pictures(
            records.root,
            [locators[row] for row in files],
            [""] * len(files),
            memory=memory,
            progress=progress,
            workers=workers,
        )
        reasons = dict.fromkeys(named, "an address on the web, not a file: fetch it first")
        found[sense] = [("", "")] * len(locators)
        for row, one in zip(files, digests, strict=True):
            reasons[row] = one.reason
            if one.digest:
                found[sense][row] = (locators[row], one.digest)
        missing[sense] = [
            (f"{records.card.name}/{records.key[row]}", why) for row, why in reasons.items() if why
        ]
    n_named = sum(sum(map(bool, locators)) for locators in records.media.values())
    if n_named and n_named == sum(map(len, missing.values())):
        sense = next(sense for sense, one in missing.items() if one)
        first = next(locator for locator in records.media[sense] if locator)
        raise DataNotFoundError(
            f"None of the {n_named} media of {records.card.name} is there, for example the "
            f"{sense} {first} ({missing[sense][0][1]}), looked for in {records.root}. Fetch them, "
            "or name the folder that has them."
        )
    return found, missing


@dataclass(frozen=True)
class _Rows:
    """All rows, their media and places looked at."""

    records: ObservationRecords
    taxa: Sequence[Taxon | None]
    ids: Sequence[str]
    media: Mapping[str, Sequence[tuple[str, str]]]
    places: Sequence[Place]

    def unusable(self) -> dict[int, str]:
        """Row number to the reason why it is left out."""
        reasons = {row: "no label" for row, taxon in enumerate(self.taxa) if taxon is None}
        climate = self._climate_known()
        by_key: dict[str, list[int]] = {}
        for row, id_ in enumerate(self.ids):
            if row in reasons:
                continue
            if (
                self.places[row].latitude is None
                and not climate[row]
                and not any(one[row][0] for one in self.media.values())
            ):
                reasons[row] = "nothing but its name: no medium, no place, no climate"
            else:
                by_key.setdefault(id_, []).append(row)
        for rows in by_key.values():
            if len(rows) < 2:
                continue
            names = sorted({taxon.species for row in rows if (taxon := self.taxa[row])})
            if len(names) > 1:
                reason = "the observation stands under several labels: " + ", ".join(names)
                reasons |= dict.fromkeys(rows, reason)
            else:
                reasons |= dict.fromkeys(rows[1:], "the same observation stands twice")
        return dict(sorted(reasons.items()))

    def table(self, kept: Sequence[int]) -> pa.Table:
        """The rows `kept`, in the columns of `SCHEMA`."""
        name = self.records.card.name
        delivered = {
            key: _column([column[row] for row in kept])
            for key, column in self.records.columns.items()
            if key in SCHEMA.names
        }
        given = {key: each(column, clean).to_pylist() for key, column in delivered.items()}
        labels = [self.records.label[row] for row in kept]
        known = dict(zip(self.records.label, self.taxa, strict=True))
        empty = [""] * len(kept)
        ids = [self.ids[row] for row in kept]
        verbatim = self.records.columns.get("verbatimIdentification", [None] * len(self.ids))
        columns: dict[str, Any] = {
            **{key: given.get(key, empty) for key in _DELIVERED},
            "id": ids,
            "datasetName": [name] * len(kept),
            "verbatimIdentification": [
                verbatim[row] or self.records.label[row] or "" for row in kept
            ],
            **lineage(_column(labels), known, delivered),
            "taxonGroup": [group or name for group in given.get("taxonGroup", empty)],
            "unit": [
                f"{name}/{unit}" if unit else id_
                for unit, id_ in zip(given.get("unit", empty), ids, strict=True)
            ],
            "split": [split_of(word) for word in given.get("split", empty)],
            "license": [text or self.records.card.license for text in given.get("license", empty)],
            "decimalLatitude": [self.places[row].latitude for row in kept],
            "decimalLongitude": [self.places[row].longitude for row in kept],
            "climate": self._climate(kept),
        }
        for sense in MEDIA:
            of_sense = self.media.get(sense, [("", "")] * len(self.ids))
            columns[sense] = [of_sense[row][0] for row in kept]
            columns[f"{sense}Digest"] = [of_sense[row][1] for row in kept]
        arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
        return pa.table(arrays, schema=SCHEMA)

    def _climate_known(self) -> Bool[np.ndarray, "n"]:
        if self.records.climate is None:
            return np.zeros(len(self.ids), dtype=bool)
        known: np.ndarray = np.isfinite(self.records.climate).all(axis=1)
        return known

    def _climate(self, kept: Sequence[int]) -> pa.Array:
        """The column `climate`: null where a variable is missing."""
        kind = SCHEMA.field("climate").type
        if self.records.climate is None:
            return pa.nulls(len(kept), kind)
        values = np.asarray(self.records.climate, dtype=np.float32)[kept]
        return pa.FixedSizeListArray.from_arrays(
            pa.array(values.reshape(-1)),
            type=kind,
            mask=pa.array(~self._climate_known()[kept]),
        )


def _column(values: Column) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])
