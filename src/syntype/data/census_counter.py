"""Fills a `Census` batch by batch."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.catalogue import SCHEMA
from syntype.data.census_counts import Bins, Encoded, Names, Repeats, encode
from syntype.data.census_data import Census, Tally
from syntype.data.census_dates import KINDS, date_of, without_times
from syntype.data.census_places import Map
from syntype.data.census_tail import all_groups, groups_of
from syntype.data.occurrences.licences import short_licence
from syntype.data.raw import NUMBERS
from syntype.taxonomy.taxon import RANKS

BYTE_EDGES = (0, *(2**power for power in range(10, 31)))
SIDE_EDGES = (1, 32, 64, 128, 224, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144)
TALLIED = (
    "datasetName",
    "mediaType",
    "format",
    "imageStore",
    "license",
    "rightsHolder",
    "creator",
    "institutionCode",
    "collectionCode",
    "basisOfRecord",
    "countryCode",
    "recordedBy",
    "identifiedBy",
    "sex",
    "lifeStage",
    "typeStatus",
    "taxonRank",
    "stateProvince",
)
"""Columns of which the most frequent values are kept."""
REPEATED = ("imageDigest", "accessURI", "unit")
"""Columns in which the same text may stand in several rows."""
LONG = (
    "image",
    "imageDigest",
    "verbatimIdentification",
    "occurrenceID",
    "catalogNumber",
    "references",
    "mediaID",
    "accessURI",
)
"""Columns in which nearly each row has another text, so that a dictionary would only cost time."""
KEPT = 30
"""Values that a tally names."""


class Counter:
    """Counts the rows that it is given; `end` says what was found.

    Args:
        columns: The columns that the set has at all.
        held: Hashes held in memory for each of the columns `REPEATED`.
    """

    def __init__(self, columns: Sequence[str], held: int) -> None:
        self._rows = 0
        self._media = dict.fromkeys(("here", "elsewhere", "nowhere"), 0)
        self._filled = {name: 0 for name in SCHEMA.names if name in set(columns)}
        self._tallies = {name: Names() for name in TALLIED}
        self._ranks = {rank: Names() for rank in RANKS}
        self._species = Names("group", "split", "species")
        self._dates: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._years: dict[int, int] = {}
        self._months = np.zeros(13, dtype=np.int64)
        self._map = Map()
        self._n_bytes, self._sides = Bins(BYTE_EDGES), Bins(SIDE_EDGES)
        self._repeats = {name: Repeats(held) for name in REPEATED}

    def add(self, table: pa.Table) -> None:
        """Take rows; columns that are not there are unknown."""
        if not table.num_rows:
            return
        self._rows += table.num_rows
        known = {name: self._known(table, name) for name in SCHEMA.names}
        for name in self._filled:
            # The id is never empty, and nobody needs it here: it need not be read.
            everyone = name == "id" and name not in table.column_names
            self._filled[name] += table.num_rows if everyone else int(known[name].sum())
        here, address = known["image"], known["accessURI"]
        self._media["here"] += int(here.sum())
        self._media["elsewhere"] += int((~here & address).sum())
        self._media["nowhere"] += int((~here & ~address).sum())
        encoded = {
            name: encode(_column(table, name))
            for name in {*TALLIED, *RANKS, "taxonGroup", "split", "eventDate"}
        }
        for name, names in (*self._tallies.items(), *self._ranks.items()):
            values = encoded[name].values
            if name == "license":
                values = pa.array([_licence(text) for text in values.to_pylist()], pa.string())
            names.add(values, counts=encoded[name].counts())
        self._add_species(*(encoded[name] for name in ("taxonGroup", "split", "species")))
        self._add_dates(encoded["eventDate"])
        latitude, longitude = (
            _numbers(table, name) for name in ("decimalLatitude", "decimalLongitude")
        )
        self._map.add(latitude=latitude, longitude=longitude)
        self._add_sizes(table)
        for name, repeats in self._repeats.items():
            if known[name].any():
                repeats.add(_column(table, name))

    def _known(self, table: pa.Table, name: str) -> np.ndarray:
        """Which rows have a value in a column."""
        if name not in table.column_names:
            return np.zeros(table.num_rows, dtype=bool)
        column = table.column(name)
        if name in NUMBERS:
            return column.is_valid().to_numpy()
        if pa.types.is_dictionary(column.type):
            encoded = encode(column)
            return _lengths(encoded.values)[encoded.codes] > 0
        return _lengths(column) > 0

    def _add_species(self, group: Encoded, split: Encoded, species: Encoded) -> None:
        n_splits, n_species = len(split.values), len(species.values)
        codes = group.codes.astype(np.int64) * n_splits + split.codes
        found, counts = np.unique(codes * n_species + species.codes, return_counts=True)
        rest, at_species = np.divmod(found, n_species)
        at_group, at_split = np.divmod(rest, n_splits)
        self._species.add(
            group.values.take(pa.array(at_group)),
            split.values.take(pa.array(at_split)),
            species.values.take(pa.array(at_species)),
            counts=counts.astype(np.int64),
        )

    def _add_dates(self, encoded: Encoded) -> None:
        texts, counts = without_times(encoded.values, encoded.counts())
        for text, n in zip(texts, counts.tolist(), strict=True):
            if not n:
                continue
            date = _date(text)
            self._dates[date.kind] += n
            self._months[date.month] += n
            if date.year:
                self._years[date.year] = self._years.get(date.year, 0) + n

    def _add_sizes(self, table: pa.Table) -> None:
        if "imageLength" in table.column_names:
            lengths = table.column("imageLength").drop_null().to_numpy()
            self._n_bytes.add(lengths[lengths > 0])
        sides = [_numbers(table, name) for name in ("pixelXDimension", "pixelYDimension")]
        shorter = np.minimum(*sides)  # NaN where one is
        self._sides.add(shorter[shorter > 0].astype(np.int64))

    def end(self) -> Census:
        """What was found. The counter is used up: what it held is given up as it is counted."""
        repeats = {name: self._repeats.pop(name).end() for name in REPEATED}
        species = self._species.table()
        ranks = {rank: _tally(names.table(), KEPT) for rank, names in self._ranks.items()}
        return Census(
            rows=self._rows,
            media=self._media,
            filled=self._filled,
            tallies={name: _tally(names.table(), KEPT) for name, names in self._tallies.items()},
            ranks={rank: (tally.known, tally.distinct) for rank, tally in ranks.items()},
            groups=groups_of(species),
            overall=all_groups(species),
            top_species=ranks["species"].top,
            dates=self._dates,
            years=dict(sorted(self._years.items())),
            months=tuple(self._months[1:].tolist()),
            places=self._map.end(),
            n_bytes=self._n_bytes.end(),
            sides=self._sides.end(),
            repeats=repeats,
        )


_licence = lru_cache(1 << 16)(short_licence)
_date = lru_cache(1 << 16)(date_of)  # rows of one day come again in each batch


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name in table.column_names:
        return table.column(name)
    return pa.chunked_array([pa.repeat("", table.num_rows)])


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column of numbers as floats, NaN where unknown."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return table.column(name).cast(pa.float64()).fill_null(np.nan).to_numpy()


def _lengths(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    found = pc.fill_null(pc.binary_length(column), 0)
    return found.to_numpy() if isinstance(found, pa.ChunkedArray) else found.to_numpy(False)


def _tally(table: pa.Table, kept: int) -> Tally:
    """The most frequent of the names that are not ""."""
    table = table.filter(pc.not_equal(table.column("name"), ""))
    top = table.slice(0, kept)
    pairs = zip(top.column("name").to_pylist(), top.column("n").to_pylist(), strict=True)
    return Tally(int(pc.sum(table.column("n")).as_py() or 0), table.num_rows, tuple(pairs))
