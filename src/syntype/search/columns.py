"""The columns that records are filtered and counted by, in memory, one number a record.

Names are numbers (`Codes`), a date is its first and last day, what a record has is bits. 1,000,000
records take about 120 MB. They are made from the shelf's records and kept beside it, so that an
index of any size opens at once; whatever the shelf has beyond is read from it.

Legend: n rows of the shelf, dead ones included.
"""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

from syntype import files
from syntype.data.census_dates import span_of
from syntype.data.numbering import Codes
from syntype.search.records import FACETS, HAS
from syntype.search.where import EARTH_KM, Box, Circle, Where

NAMED = FACETS
"""Columns that are kept as numbers of names."""
READ = (*NAMED, "eventDate", "decimalLatitude", "decimalLongitude", "has")
"""Columns of a record that are read."""
_NUMBERS = {
    "latitude": np.float64,
    "longitude": np.float64,
    "first": np.int32,
    "last": np.int32,
    "has": np.uint8,
    "alive": np.bool_,
}
_ARRAYS, _WORDS = "columns.npz", "columns.json"


class Columns:
    """What is known of n rows.

    Attributes:
        n: Rows.
        codes: Names of each column of `NAMED`, by number.
    """

    def __init__(self) -> None:
        self.n = 0
        self.codes = {name: Codes() for name in NAMED}
        self._arrays: dict[str, np.ndarray] = {name: np.empty(0, np.int32) for name in NAMED} | {
            name: np.empty(0, kind) for name, kind in _NUMBERS.items()
        }

    def __getitem__(self, name: str) -> np.ndarray:
        """The numbers of a column, n of them."""
        return self._arrays[name][: self.n]

    def add(self, table: pa.Table) -> None:
        """Append rows, of the columns of `READ`; they are alive."""
        new: dict[str, np.ndarray] = {
            name: self.codes[name].of(table.column(name)) for name in NAMED
        }
        for name, column in (
            ("latitude", "decimalLatitude"),
            ("longitude", "decimalLongitude"),
        ):
            new[name] = table.column(column).to_numpy().astype(np.float64)
        unknown = np.isnan(new["latitude"]) | np.isnan(new["longitude"])
        new["latitude"][unknown] = new["longitude"][unknown] = np.nan
        dates, which = _distinct(table.column("eventDate"))
        spans = [span_of(date) or (0, 0) for date in dates]
        days = np.array(spans, np.int32).reshape(-1, 2)[which]
        new["first"], new["last"] = days[:, 0], days[:, 1]
        words, which = _distinct(table.column("has"))
        new["has"] = np.array([bits(word.split()) for word in words], np.uint8)[which]
        new["alive"] = np.ones(table.num_rows, bool)
        end = self.n + table.num_rows
        for name, values in new.items():
            old = self._arrays[name]
            if len(old) < end:
                grown = np.empty(max(end, len(old) * 3 // 2), old.dtype)
                grown[: self.n] = old[: self.n]
                self._arrays[name] = grown
            self._arrays[name][self.n : end] = values
        self.n = end

    def bury(self, rows: Int64[np.ndarray, "m"]) -> None:
        """Rows that are alive no more."""
        self["alive"][rows[rows < self.n]] = False

    def fits(self, where: Where) -> Bool[np.ndarray, "n"]:
        """Which rows are alive and fit conditions."""
        fit = self["alive"].copy()
        for name, values in where.equal.items():
            codes = self.codes[name]
            wanted = np.zeros(len(codes.names) + 1, bool)
            wanted[[number for value in values if (number := codes.number(value)) >= 0]] = True
            fit &= wanted[self[name]]
        if where.box is not None:
            fit &= in_box(where.box, latitude=self["latitude"], longitude=self["longitude"])
        if where.circle is not None:
            rows = np.flatnonzero(fit)
            inside = in_circle(
                where.circle, latitude=self["latitude"][rows], longitude=self["longitude"][rows]
            )
            fit[rows[~inside]] = False
        if where.dated:
            first, last = where.days
            if where.until:
                fit &= self["first"] <= last
            fit &= self["last"] >= first  # that of no date is 0
        if where.has:
            wanted_bits = bits(where.has)
            fit &= (self["has"] & wanted_bits) == wanted_bits
        return fit

    def counted(self, name: str, rows: Int64[np.ndarray, "m"]) -> list[tuple[str, int]]:
        """The values of a column in some rows, with their counts, the most first."""
        numbers, names = self[name], self.codes[name].names
        counts = np.bincount(numbers.take(rows), minlength=len(names))
        found = [(names[number], int(counts[number])) for number in np.flatnonzero(counts)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def save(self, folder: Path) -> None:
        """Write them, the words last: they say how many rows there are."""
        with files.atomic_path(folder / _ARRAYS) as path, path.open("wb") as handle:
            arrays: dict[str, Any] = {name: self[name] for name in self._arrays}
            np.savez(handle, **arrays)
        words = {"rows": self.n, "names": {name: self.codes[name].names for name in NAMED}}
        files.write_text(folder / _WORDS, json.dumps(words, ensure_ascii=False))

    @classmethod
    def open(cls, folder: Path) -> "Columns":
        """Those that were written last; none where there are none or they do not fit together."""
        columns = cls()
        if not (folder / _WORDS).is_file() or not (folder / _ARRAYS).is_file():
            return columns
        try:
            words = files.read_json(folder / _WORDS)
            codes = {name: Codes(words["names"][name]) for name in NAMED}
            with (folder / _ARRAYS).open("rb") as handle, np.load(handle) as arrays:
                found = {name: arrays[name] for name in arrays}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return columns  # damaged: the shelf has all of it
        if set(found) == set(columns._arrays) and all(
            len(values) == words["rows"] for values in found.values()
        ):
            columns._arrays, columns.n, columns.codes = found, words["rows"], codes
            columns["alive"][:] = True
        return columns


def bits(words: Sequence[str]) -> int:
    """Words of `HAS` as bits; others are passed over."""
    return sum(1 << place for place, word in enumerate(HAS) if word in words)


def _distinct(column: Any) -> tuple[list[str], np.ndarray]:
    """Distinct texts of a column, and the number of each row's."""
    encoded = pc.fill_null(column.combine_chunks(), "").dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False)


def in_box(box: Box, *, latitude: np.ndarray, longitude: np.ndarray) -> Bool[np.ndarray, "n"]:
    """Which places lie in a box, its edges included; NaN does not."""
    between = np.zeros(len(longitude), bool)
    for west, east in box.spans:
        between |= (longitude >= west) & (longitude <= east)
    inside: Bool[np.ndarray, "n"] = (latitude >= box.south) & (latitude <= box.north) & between
    return inside


def in_circle(
    circle: Circle, *, latitude: np.ndarray, longitude: np.ndarray
) -> Bool[np.ndarray, "n"]:
    """Which places lie in a circle, by the haversine; NaN does not."""
    there, here = np.radians(latitude), np.radians(circle.latitude)
    east = np.radians(longitude - circle.longitude)
    haversine = (
        np.sin((there - here) / 2) ** 2 + np.cos(there) * np.cos(here) * np.sin(east / 2) ** 2
    )
    km = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(haversine, 0, 1)))
    inside: Bool[np.ndarray, "n"] = km <= circle.km
    return inside
