"""Labelled sounds as a data set: a table, class folders, or the sounds of a catalogue.

    FOLDER/labels.csv, TABLE.csv     one row a sound; columns named or guessed as for pictures, and
                                     `fold`, `latitude`, `longitude`, `recordist` beside them
    FOLDER/species/sound.wav         class folders, also below train, val, test
    CATALOGUE                        its rows whose `mediaType` is Sound

The rows are those of any data set (`syntype.data.dataset`): `image` is the locator of the medium,
whatever its sense. What sounds have beside them stands in `Sounds`, in the rows' order. Whether a
sound can be decoded shows when it is (`syntype.senses.waves`). `raw_sounds` hands the same rows to
the importer, with `mediaType` Sound; a catalogue has no column for folds, so they are not in it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from syntype.configs import DataConfig
from syntype.data.catalogue import Catalogue, is_catalogue
from syntype.data.dataset import Card, Dataset
from syntype.data.folder import name_of_folder
from syntype.data.from_catalogue import read_catalogue
from syntype.data.locator import Locator
from syntype.data.raw import Raw
from syntype.data.records import Column, Records, split_of, to_dataset
from syntype.data.table import TABLE_ENDINGS, TABLE_NAMES, read_columns, read_table
from syntype.data.units import column_key
from syntype.errors import DataError, DataNotFoundError, UsageError

FORMATS: Mapping[str, str] = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".mpga": "audio/mpeg",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".m4a": "audio/mp4",
}
"""Endings of the files that are taken for sounds, in lower case, and their MIME types."""

SOUND = "Sound"
_BESIDE = {
    "fold": ("fold", "officialfold", "cvfold"),
    "latitude": ("decimallatitude", "latitude", "lat"),
    "longitude": ("decimallongitude", "longitude", "lon", "lng"),
    "recorded_by": ("recordedby", "recordist", "recorder", "author"),
}


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """Sounds with their labels, and what sounds have beside pictures.

    Attributes:
        dataset: The rows.
        fold: The fold of each row as delivered, "" where it has none.
        latitude: In degrees, NaN where unknown.
        longitude: In degrees, NaN where unknown.
        recorded_by: Who recorded it, "" where unknown.
    """

    dataset: Dataset
    fold: Sequence[str]
    latitude: Float[np.ndarray, "n"]
    longitude: Float[np.ndarray, "n"]
    recorded_by: Sequence[str]

    def __len__(self) -> int:
        return len(self.dataset)

    def select(self, mask: Bool[np.ndarray, "n"]) -> "Sounds":
        """The rows where `mask` holds."""
        rows = np.flatnonzero(mask).tolist()
        return Sounds(
            dataset=self.dataset.select(mask),
            fold=[self.fold[row] for row in rows],
            latitude=self.latitude[rows],
            longitude=self.longitude[rows],
            recorded_by=[self.recorded_by[row] for row in rows],
        )

    def with_units(self, units: Sequence[str]) -> "Sounds":
        """The same with other independent units; "" is a unit of its own."""
        table = self.dataset.table
        own = [unit or id_ for unit, id_ in zip(units, self.dataset.ids, strict=True)]
        place = table.schema.get_field_index("unit")
        table = table.set_column(place, "unit", pa.array(own, pa.string()))
        return replace(self, dataset=replace(self.dataset, table=table))

    def units_by_name(self, pattern: str) -> "Sounds":
        """The same with the unit that the first group of `pattern` finds in each row's path.

        ESC's files are named FOLD-SOURCE-TAKE: `-([0-9]+)-` makes the takes of a source one unit.

        Raises:
            UsageError: The pattern is none, has no group, or finds nothing in a path.
        """
        try:
            rule = re.compile(pattern)
        except re.error as error:
            raise UsageError(f"{pattern!r} is no regular expression: {error}.") from error
        found = [rule.search(path) for path in self.dataset.column("image")]
        if rule.groups != 1 or not all(found):
            missing = next(
                (p for p, m in zip(self.dataset.column("image"), found, strict=True) if not m), ""
            )
            raise UsageError(
                f"{pattern!r} must have one group and find it in every path"
                + (f"; it does not in {missing!r}." if missing else ".")
            )
        return self.with_units([match[1] for match in found if match])


def read_sounds(path: Path, config: DataConfig | None = None, *, name: str = "") -> Sounds:
    """Read labelled sounds.

    Args:
        path: A table, a folder with one, class folders, or a catalogue.
        config: Its `column` and `unit` name columns, `on_error` says what becomes of rows that
            cannot be used.
        name: The set's name; that of the folder or table where empty.

    Raises:
        DataNotFoundError: There is nothing.
        DataError: There are no sounds, or none has a label.
    """
    config = config or DataConfig(data=(str(path),))
    if path.is_dir() and is_catalogue(path):
        return _of_catalogue(path, config)
    table = _table_in(path)
    if table is None:
        dataset = _of_folders(path, config, name)
        return _beside(dataset, {})
    dataset = read_table(table, config, name=name)
    return _beside(dataset, _columns_beside(table))


def raw_sounds(path: Path, config: DataConfig | None = None, *, name: str = "") -> Raw:
    """The same rows for the importer of catalogues (`syntype.data.importing`).

    Raises:
        DataNotFoundError: There is nothing.
        DataError: There are no sounds, or none has a label.
    """
    sounds = read_sounds(path, config, name=name)
    dataset = sounds.dataset
    card = dataset.cards[0]
    places = [Locator.of(text) for text in dataset.column("image")]
    beside = {"id", "datasetName", "image", "imageDigest", "scientificName", "species"}
    taken = [column for column in dataset.table.column_names if column not in beside]
    # A unit that is the row's own is given anew by the importer.
    own = dataset.column("unit") == dataset.column("id")
    units = [
        "" if alone else unit.removeprefix(f"{card.name}/")
        for unit, alone in zip(dataset.column("unit"), own, strict=True)
    ]
    columns = {column: dataset.table.column(column) for column in taken} | {
        "key": pa.array([str(place) for place in places]),
        "image": pa.array([place.path for place in places]),
        "unit": pa.array(units, pa.string()),
        "mediaType": pa.array([SOUND] * len(places)),
        "format": pa.array([format_of(place.path) for place in places]),
        "decimalLatitude": _numbers(sounds.latitude),
        "decimalLongitude": _numbers(sounds.longitude),
        "recordedBy": pa.array(sounds.recorded_by, pa.string()),
    }
    notes = {key: note for key, note in dataset.notes.items() if key != "leftOut"}
    told = dataset.notes.get("leftOut", {}).get("rows", [])
    return Raw(
        card=card,
        root=dataset.roots[card.name],
        tables=iter([pa.table(columns)]),
        left_out=[(row["id"], row["reason"]) for row in told],
        notes=notes,
    )


def format_of(path: str) -> str:
    """The MIME type that a file's ending says, "" for one that is no sound's."""
    return FORMATS.get(os.path.splitext(path)[1].lower(), "")


def _table_in(path: Path) -> Path | None:
    """The table that `path` is or holds."""
    if path.is_dir():
        return next((path / one for one in TABLE_NAMES if (path / one).is_file()), None)
    if path.is_file() and path.suffix.lower() in TABLE_ENDINGS:
        return path
    raise DataNotFoundError(
        f"There are no sounds at {path}. Name a table of labels, a folder, or a catalogue."
    )


def _columns_beside(table_path: Path) -> Mapping[str, Mapping[str, str]]:
    """What `Sounds` has beside its rows: term to value by the file that a row names."""
    table, _ = read_columns(table_path)
    keys = {column_key(column): column for column in reversed(list(table))}
    found: dict[str, Column] = {}
    for term, names in _BESIDE.items():
        at = next((keys[name] for name in names if name in keys), None)
        if at is not None:
            found[term] = table[at]
    beside: dict[str, dict[str, str]] = {term: {} for term in found}
    for column in table.values():
        # Whichever column holds the paths: only a row's own path is ever looked up.
        for row, text in enumerate(column):
            for base in (table_path.parent, table_path.parent / "images"):
                if text and format_of(text):
                    place = os.path.normpath(base / text.replace("\\", "/"))
                    for term, values in found.items():
                        beside[term].setdefault(place, values[row] or "")
    return beside


def _beside(dataset: Dataset, found: Mapping[str, Mapping[str, str]]) -> Sounds:
    roots, names = dataset.roots, dataset.column("datasetName")
    places = [
        os.path.normpath(roots[name] / Locator.of(image).path)
        for name, image in zip(names, dataset.column("image"), strict=True)
    ]
    text = {term: [found.get(term, {}).get(place, "") for place in places] for term in _BESIDE}
    latitude, longitude = (
        np.array([_degrees(one, limit) for one in text[term]], dtype=np.float64)
        for term, limit in (("latitude", 90.0), ("longitude", 180.0))
    )
    return Sounds(
        dataset=dataset,
        fold=[one.strip() for one in text["fold"]],
        latitude=np.where(np.isnan(longitude), np.nan, latitude),
        longitude=np.where(np.isnan(latitude), np.nan, longitude),
        recorded_by=[one.strip() for one in text["recorded_by"]],
    )


def _degrees(text: str, limit: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return np.nan
    return value if abs(value) <= limit else np.nan


def _of_folders(path: Path, config: DataConfig, name: str) -> Dataset:
    places = sorted(
        found.relative_to(path).as_posix()
        for found in path.rglob("*")
        if format_of(found.name) and found.is_file() and not found.name.startswith(".")
    )
    inside = [place.split("/") for place in places if "/" in place]
    if not inside:
        raise DataError(
            f"{path} has no sounds in class folders ({len(places)} lie directly in it). Put each "
            "species in a folder of its own, FOLDER/species/sound.wav, or add a labels.csv with "
            "the columns path and label."
        )
    by_split = all(split_of(place[0]) and len(place) > 2 for place in inside)
    records = Records(
        card=Card(name=name or name_of_folder(path), source=f"folder {path.resolve().name}"),
        root=path,
        image=["/".join(place) for place in inside],
        label=[place[-2] for place in inside],
        columns={"split": [place[0] if by_split else None for place in inside]},
        left_out=[(place, "in no class folder") for place in places if "/" not in place],
    )
    return to_dataset(records, config)


def _of_catalogue(folder: Path, config: DataConfig) -> Sounds:
    """The sounds of a catalogue.

    Raises:
        DataError: It has none.
    """
    columns = ("id", "mediaType", "decimalLatitude", "decimalLongitude", "recordedBy")
    rows = {
        id_: (latitude, longitude, recorded_by)
        for table in Catalogue.open(folder).scan(columns)
        for id_, kind, latitude, longitude, recorded_by in zip(
            *(table.column(name).to_pylist() for name in columns), strict=True
        )
        if kind == SOUND
    }
    if not rows:
        raise DataError(
            f"{folder} has no row whose mediaType is {SOUND}. Import sounds into it, or name "
            "another catalogue."
        )
    dataset = read_catalogue(folder, config)
    dataset = dataset.select(np.array([id_ in rows for id_ in dataset.ids]))
    found = [rows[id_] for id_ in dataset.ids]
    return Sounds(
        dataset=dataset,
        fold=[""] * len(found),
        latitude=np.array([np.nan if one[0] is None else one[0] for one in found]),
        longitude=np.array([np.nan if one[1] is None else one[1] for one in found]),
        recorded_by=[one[2] for one in found],
    )


def _numbers(values: Float[np.ndarray, "n"]) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))
