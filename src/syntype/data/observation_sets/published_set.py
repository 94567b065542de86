"""What a published set of observations is, and what its readers share: tables, media, climate.

Columns are found by their headers and media by the id that their names begin with, so a table with
more columns or another order is read as well, and so is a part of the media.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from syntype.configs import DataConfig
from syntype.data.dataset import Card
from syntype.data.observation_records import ObservationRecords
from syntype.data.observations import CLIMATE_VARIABLES
from syntype.data.occurrences.places import place_of
from syntype.data.records import Column
from syntype.data.table import read_columns
from syntype.errors import DataError, DataNotFoundError

RASTER = "bioclim_elevation_scaled.npy"
"""The climate of the whole Earth, as TaxaBench-8k brings it."""
_PICTURES = frozenset([".jpg", ".jpeg", ".png", ".webp"])
_SOUNDS = frozenset([".mp3", ".wav", ".m4a", ".flac", ".ogg"])


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """A published set of observations.

    Attributes:
        name: Its kind: what stands before the colon.
        title: What it is, for print.
        source: The page that leads to it.
        license: Its terms, as its page states them.
        citation: How to cite it.
        tables: Table to the split of its rows, "" for none; those that are there are read.
        rows: Rows of each table as published, where its page says.
        media: Sense to the folders that it may lie in, the published one first.
        layout: What must lie in the folder, a line each.
        unconfirmed: What of this no published page or code says.
        read: The reader of the folder: its table's rows by split.
    """

    name: str
    title: str
    source: str
    license: str
    citation: str
    tables: Mapping[str, str]
    rows: Mapping[str, int] = field(default_factory=dict)
    media: Mapping[str, Sequence[str]]
    layout: Sequence[str]
    unconfirmed: str = ""
    read: Callable[["PublishedSet", Path, DataConfig, str], ObservationRecords]

    def absent(self, path: Path, what: str) -> DataNotFoundError:
        """The error for a folder that is not laid out as published."""
        layout = "\n".join(f"    {line}" for line in self.layout)
        return DataNotFoundError(
            f"{path} cannot be read as {self.title}: {what}. Get it from {self.source} (terms: "
            f"{self.license}), lay it out as below and name the folder: {self.name}:FOLDER.\n"
            f"{layout}"
        )


@dataclass(frozen=True)
class Rows:
    """The rows of all tables of a set, by their columns' names."""

    columns: Mapping[str, Column]
    split: Sequence[str]
    counts: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.split)

    def text(self, *names: str) -> list[str]:
        """The first of some columns that is there, "" where a cell is empty or none is there."""
        for name in names:
            if name in self.columns:
                return [(cell or "").strip() for cell in self.columns[name]]
        return [""] * len(self)


def read_tables(one: PublishedSet, home: Path) -> Rows:
    """All tables that are there, one below the other; a column that one lacks is empty there."""
    parts = {name: read_columns(home / name)[0] for name in one.tables if (home / name).is_file()}
    counts = {name: len(next(iter(part.values()))) for name, part in parts.items()}
    columns: dict[str, list[str | None]] = {}
    for column in {key: None for part in parts.values() for key in part}:
        columns[column] = [
            cell for name, part in parts.items() for cell in part.get(column, [None] * counts[name])
        ]
    split = [one.tables[name] for name, n in counts.items() for _ in range(n)]
    return Rows(columns, split, counts)


def check_columns(one: PublishedSet, table: Rows, names: Sequence[str]) -> None:
    """See that the tables have some columns.

    Raises:
        DataError: They lack one.
    """
    if lacking := [name for name in names if name not in table.columns]:
        raise DataError(
            f"The tables of {one.title} have no column {', '.join(lacking)}; they have: "
            f"{', '.join(filter(None, table.columns))}. Fetch them anew, or read one as a table "
            "with --column TERM=NAME."
        )


def _by_id(home: Path, folders: Sequence[str], endings: frozenset[str]) -> dict[str, str]:
    """The part of a file's name before `_` to its path below `home`; earlier folders go first."""
    found: dict[str, str] = {}
    for folder in folders:
        if not (home / folder).is_dir():
            continue
        with os.scandir(home / folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        for name in names:
            stem, ending = os.path.splitext(name)
            if ending.lower() in endings:
                found.setdefault(stem.partition("_")[0], f"{folder}/{name}")
    return found


def find_media(
    one: PublishedSet, home: Path, ids: Sequence[str], named: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[str]], list[str]]:
    """Sense to the locator of each row, and the senses of which nothing is here.

    Args:
        one: The set.
        home: Its folder.
        ids: Of each row.
        named: Sense to the file's name that the set's page promises for each row, "" for none.
    """
    found: dict[str, list[str]] = {}
    lacking = []
    for sense, folders in one.media.items():
        files = _by_id(home, folders, _SOUNDS if sense == "sound" else _PICTURES)
        if not files:
            lacking.append(f"{sense}: no files in {' or '.join(folders)}")
            continue
        first = next(folder for folder in folders if (home / folder).is_dir())
        found[sense] = [
            files.get(id_) or (f"{first}/{name}" if name else "")
            for id_, name in zip(ids, named[sense], strict=True)
        ]
    return found, lacking


def climate_at(
    raster: Path, *, latitude: Sequence[str], longitude: Sequence[str]
) -> Float32[np.ndarray, "n 20"]:
    """The climate of places as TaxaBind looks it up: the nearest cell; 0 where it has no data.

    Longitude 180 and latitude -90, which lie beyond TaxaBind's array, belong to the last cells.

    Args:
        raster: (h, w, 20) z-scored, from 90 degrees north and 180 west.
        latitude: Degrees as delivered.
        longitude: Degrees as delivered.

    Returns:
        NaN where the place is none.

    Raises:
        DataError: The raster is of another shape, or no .npy.
    """
    try:
        values = np.load(raster, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{raster} is no .npy file, or damaged. Fetch it again.") from error
    expected = len(CLIMATE_VARIABLES)
    if values.ndim != 3 or values.dtype.kind != "f" or values.shape[2] != expected:
        raise DataError(
            f"{raster} holds {values.dtype} of shape {values.shape}. Expected are floats of rows x "
            f"columns x {expected} variables."
        )
    height, width, _ = values.shape
    found = np.full((len(latitude), expected), np.nan, dtype=np.float32)
    for row, (north, east) in enumerate(zip(latitude, longitude, strict=True)):
        place = place_of(latitude=north, longitude=east)
        if place.latitude is not None and place.longitude is not None:
            line = min(int((90 - place.latitude) * height / 180), height - 1)
            column = min(int((place.longitude + 180) * width / 360), width - 1)
            found[row] = np.nan_to_num(values[line, column].astype(np.float32))
    return found


def climate_of(
    home: Path, lacking: list[str], *, latitude: Sequence[str], longitude: Sequence[str]
) -> Float32[np.ndarray, "n 20"] | None:
    """The climate of places by the raster in a set's folder; None, and said so, without one."""
    if not (home / RASTER).is_file():
        lacking.append(f"climate: no {RASTER}")
        return None
    return climate_at(home / RASTER, latitude=latitude, longitude=longitude)


def notes_of(one: PublishedSet, table: Rows, lacking: list[str]) -> dict[str, object]:
    """What is not as published."""
    notes: dict[str, object] = {"lacking": lacking}
    differ = {
        name: {"published": one.rows[name], "found": n}
        for name, n in table.counts.items()
        if one.rows.get(name, n) != n
    }
    if differ:
        notes["expected"] = differ
    if one.unconfirmed:
        notes["unconfirmed"] = one.unconfirmed
    return notes


def card_of(one: PublishedSet, name: str) -> Card:
    """The card of a set that is called `name` here."""
    return Card(name=name, source=one.source, license=one.license, citation=one.citation)
