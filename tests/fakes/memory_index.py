"""The index in plain Python: lists, loops, nothing clever; what the engines are held to.

A name is suggested when the text stands in it where a word begins; a word begins behind anything
that is no letter or digit. The latitude 90 and the longitude 180 are the first of
cells of their own.
"""

import datetime
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from syntype.data.census_dates import span_of
from syntype.errors import DataError, UsageError, VectorError
from syntype.search.index import MOST_FACETS, Card, Cell, Hit, Index
from syntype.search.records import FACETS, conform_records
from syntype.search.where import EARTH_KM, EVERYTHING, Where
from syntype.taxonomy.taxon import RANKS

NAMES = (*RANKS, "vernacularName")


class MemoryIndex(Index):
    """Records and vectors in a dictionary.

    Args:
        dim: Length of the vectors.
        encoder: Identity of what made them.
        changes: Of the card: `spec`, `cards`, `roots`, `notes`.
    """

    def __init__(self, dim: int, encoder: Mapping[str, Any] | None = None, **changes: Any) -> None:
        self._card = Card(engine="memory", dim=dim, encoder=encoder or {"weights": "fake"})
        self._card = replace(self._card, **changes)
        self._rows: dict[str, dict[str, Any]] = {}
        self._vectors: dict[str, np.ndarray] = {}
        self._n_writes = 0

    @property
    def card(self) -> Card:
        return self._card

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def state(self) -> str:
        return str(self._n_writes)

    def describe(self, *, spec: str | None = None, **changes: Any) -> None:
        wrong = changes.keys() - {"cards", "roots", "notes"}
        if wrong:
            raise UsageError(f"A card's {', '.join(sorted(wrong))} cannot be changed.")
        if spec is not None:
            changes["spec"] = spec
        self._card = replace(self._card, **changes)

    def upsert(self, records: pa.Table, vectors: np.ndarray) -> None:
        records = conform_records(records)
        ids = records.column("id").to_pylist()
        if "" in ids or len(set(ids)) < len(ids):
            raise DataError("An id is empty, or appears twice.")
        if vectors.shape != (len(ids), self._card.dim):
            raise VectorError(f"{len(ids)} vectors of {self._card.dim} are wanted.")
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        if not (np.abs(lengths - 1) < 1e-2).all():  # NaN is not smaller either
            raise VectorError("A vector is not of length 1.")
        for id_, row, vector in zip(ids, records.to_pylist(), vectors, strict=True):
            self._rows[id_] = row
            self._vectors[id_] = vector.astype(np.float16).astype(np.float32)
        self._n_writes += 1

    def delete(self, ids: Sequence[str]) -> int:
        there = {id_ for id_ in ids if id_ in self._rows}
        for id_ in there:
            del self._rows[id_], self._vectors[id_]
        self._n_writes += bool(there)
        return len(there)

    def search(
        self, queries: np.ndarray, n: int, where: Where = EVERYTHING, *, far: bool = False
    ) -> list[list[Hit]]:
        if queries.ndim != 2 or queries.shape[1] != self._card.dim:
            raise VectorError(f"Queries of {self._card.dim} dimensions are wanted.")
        ids = self._fitting(where)
        answers = []
        for query in queries.astype(np.float32):
            # A sum for each row by itself, to 6 decimals: equal vectors have equal similarities.
            sums = [float((self._vectors[id_] * query).sum().round(6)) for id_ in ids]
            hits = [Hit(id_, similarity) for id_, similarity in zip(ids, sums, strict=True)]
            answers.append(sorted(hits, key=lambda hit: (-hit.similarity, hit.id))[: max(n, 0)])
        return answers

    def browse(self, n: int, where: Where = EVERYTHING, after: str = "") -> list[str]:
        return [id_ for id_ in self._fitting(where) if id_ > after][: max(n, 0)]

    def records(self, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        return [dict(self._rows[id_]) if id_ in self._rows else None for id_ in ids]

    def vectors(self, ids: Sequence[str]) -> np.ndarray:
        missing = [id_ for id_ in ids if id_ not in self._vectors]
        if missing:
            raise DataError(f"There is no record {missing[0]!r}.")
        found = [self._vectors[id_] for id_ in ids]
        return np.array(found, np.float32).reshape(len(ids), self._card.dim)

    def count(self, where: Where = EVERYTHING) -> int:
        return len(self._fitting(where))

    def facets(
        self, columns: Sequence[str], where: Where = EVERYTHING, most: int = MOST_FACETS
    ) -> dict[str, list[tuple[str, int]]]:
        found = {}
        for column in columns:
            if column not in FACETS:
                raise UsageError(f"{column!r} is no facet.")
            counts = Counter(self._rows[id_][column] for id_ in self._fitting(where))
            found[column] = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
        return found

    def years(self, where: Where = EVERYTHING) -> list[tuple[int, int]]:
        counts: Counter[int] = Counter()
        for id_ in self._fitting(where):
            span = span_of(self._rows[id_]["eventDate"])
            if span is not None:
                counts[datetime.date.fromordinal(span[0]).year] += 1
        return sorted(counts.items())

    def places(self, degrees: float, where: Where = EVERYTHING) -> list[Cell]:
        cells: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
        for id_ in self._fitting(where):
            place = place_of(self._rows[id_])
            if place is not None:
                north, east = place
                key = (math.floor((north + 90) / degrees), math.floor((east + 180) / degrees))
                cells[key].append(place)
        return [
            Cell(*(float(mean) for mean in np.mean(places, axis=0)), len(places))
            for _, places in sorted(cells.items())
        ]

    def suggest(self, text: str, n: int) -> list[tuple[str, str, int]]:
        wanted = text.strip().casefold()
        if not wanted:
            return []
        begins = re.compile(rf"(?<![^\W_]){re.escape(wanted)}")
        counts: Counter[tuple[str, str]] = Counter()
        for row in self._rows.values():
            for column in NAMES:
                if begins.search(row[column].casefold()):
                    counts[column, row[column]] += 1
        found = [(column, name, count) for (column, name), count in counts.items()]
        return sorted(found, key=lambda one: (-one[2], one[1], NAMES.index(one[0])))[:n]

    def build(self) -> None:
        pass

    def refresh(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def _fitting(self, where: Where) -> list[str]:
        return sorted(id_ for id_, row in self._rows.items() if fits(row, where))


def place_of(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """Latitude and longitude of a record that has both."""
    north, east = row["decimalLatitude"], row["decimalLongitude"]
    return None if north is None or east is None else (north, east)


def fits(row: Mapping[str, Any], where: Where) -> bool:
    """Whether a record fulfils every condition."""
    if any(row[column] not in values for column, values in where.equal.items()):
        return False
    if not set(where.has) <= set(row["has"].split()):
        return False
    if where.dated:
        span, (first, last) = span_of(row["eventDate"]), where.days
        if span is None or span[1] < first or span[0] > last:
            return False
    if where.box is None and where.circle is None:
        return True
    place = place_of(row)
    return place is not None and _lies_within(*place, where)


def _lies_within(north: float, east: float, where: Where) -> bool:
    if (box := where.box) is not None:
        # A meridian has one name, but for 180 and -180.
        names = {east, 180.0, -180.0} if abs(east) == 180 else {east}
        if box.west <= box.east:
            within = any(box.west <= name <= box.east for name in names)
        else:
            within = any(name >= box.west or name <= box.east for name in names)
        if not (box.south <= north <= box.north and within):
            return False
    if (circle := where.circle) is not None:
        a, b = math.radians(circle.latitude), math.radians(north)
        turn = math.radians(east - circle.longitude)
        # The haversine formula: exact for short distances too.
        half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(turn / 2) ** 2
        return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half))) <= circle.km
    return True
