"""A geographic audit: where on Earth is a model good, and is it good only near its training data?

Scores of single queries are put into bins by region (bands of latitude, cells of equal angle), by
the distance to the nearest training point, and by how many training points lie around; each bin has
a mean with an interval over units, and says how much of the training and of the queries it holds.
Distances are great circles on a sphere of 6371.0088 km (the mean radius of the IUGG), found by a
k-d tree of unit vectors, so that neither the antimeridian nor the poles are special.

    n queries, m training points, q queries in the audit of a metric
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from syntype.configs import EvaluateConfig
from syntype.errors import DataError
from syntype.evaluation.statistics import Interval, resample

EARTH_KM = 6371.0088
"""Mean radius of the Earth."""
DISTANCES_KM = (1.0, 10.0, 50.0, 200.0, 1000.0)
"""Edges of the bins of distance."""
COUNTS = (1, 10, 100, 1000)
"""Edges of the bins of density: training points within the radius."""


def unit_sphere(
    *, latitude: Float[np.ndarray, "n"], longitude: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n 3"]:
    """Places as unit vectors from the centre of the Earth.

    Raises:
        DataError: A coordinate is not finite, or a latitude lies beyond a pole.
    """
    broken = ~(np.isfinite(latitude) & np.isfinite(longitude)) | (np.abs(latitude) > 90)
    if broken.any():
        raise DataError(
            f"{int(broken.sum())} places have no coordinates or lie beyond a pole, the first at "
            f"row {int(np.flatnonzero(broken)[0])}. Leave such rows out, and check that latitude "
            "and longitude are not swapped."
        )
    phi, theta = np.radians(latitude), np.radians(longitude)
    across = np.cos(phi)
    return np.stack([across * np.cos(theta), across * np.sin(theta), np.sin(phi)], axis=1)


def haversine_km(
    *,
    latitude: Float[np.ndarray, "n"],
    longitude: Float[np.ndarray, "n"],
    other_latitude: Float[np.ndarray, "n"],
    other_longitude: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Great-circle distances of pairs of places, in km."""
    phi, other = np.radians(latitude), np.radians(other_latitude)
    turn = np.radians(other_longitude - longitude)
    half = np.sin((other - phi) / 2) ** 2 + np.cos(phi) * np.cos(other) * np.sin(turn / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


@dataclass(frozen=True)
class TrainingPoints:
    """Where a model was trained, ready to be asked for what lies near.

    Attributes:
        tree: Their unit vectors; None where there are none.
        n: How many.
    """

    tree: Any
    latitude: Float[np.ndarray, "m"]
    longitude: Float[np.ndarray, "m"]

    @classmethod
    def of(
        cls, *, latitude: Float[np.ndarray, "m"], longitude: Float[np.ndarray, "m"]
    ) -> "TrainingPoints":
        """From coordinates; rows without any (NaN) are left out."""
        known = np.isfinite(latitude) & np.isfinite(longitude)
        latitude, longitude = latitude[known], longitude[known]
        points = unit_sphere(latitude=latitude, longitude=longitude)
        return cls(cKDTree(points) if len(points) else None, latitude, longitude)

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.latitude)

    def nearest_km(
        self, *, latitude: Float[np.ndarray, "n"], longitude: Float[np.ndarray, "n"]
    ) -> Float[np.ndarray, "n"]:
        """Distance to the nearest training point; infinite where there is none."""
        points = unit_sphere(latitude=latitude, longitude=longitude)
        if self.tree is None:
            return np.full(len(points), np.inf)
        chord, _ = self.tree.query(points)
        return 2 * EARTH_KM * np.arcsin(np.clip(chord / 2, 0, 1))

    def within(
        self,
        radius_km: int | float,
        *,
        latitude: Float[np.ndarray, "n"],
        longitude: Float[np.ndarray, "n"],
    ) -> Int[np.ndarray, "n"]:
        """How many training points lie within a radius."""
        points = unit_sphere(latitude=latitude, longitude=longitude)
        if self.tree is None:
            return np.zeros(len(points), dtype=np.int64)
        chord = 2 * np.sin(min(radius_km / EARTH_KM, np.pi) / 2)
        found = self.tree.query_ball_point(points, chord * (1 + 1e-12), return_length=True)
        return np.asarray(found, dtype=np.int64)


def bands(latitude: Float[np.ndarray, "n"], degrees: int = 30) -> tuple[list[str], list[str]]:
    """The band of latitude of each place, and all bands from north to south."""
    edges = list(range(-90, 91, degrees))
    names = [f"{_of_latitude(low)} to {_of_latitude(low + degrees)}" for low in edges[:-1]]
    number = np.clip(((latitude + 90) // degrees).astype(int), 0, len(names) - 1)
    return [names[i] for i in number], names[::-1]


def grid_cells(
    *,
    latitude: Float[np.ndarray, "n"],
    longitude: Float[np.ndarray, "n"],
    degrees: int = 30,
) -> tuple[list[str], list[str]]:
    """The cell of each place, named by its south-west corner, and all that hold one.

    Longitudes are taken around the Earth, so 180 and -180 are one place.
    """
    low = np.clip((latitude + 90) // degrees * degrees - 90, -90, 90 - degrees).astype(int)
    left = (((longitude + 180) % 360) // degrees * degrees - 180).astype(int)
    corners = sorted(set(zip(low.tolist(), left.tolist(), strict=True)), reverse=True)
    names = {corner: f"{_of_latitude(corner[0])} {_of_longitude(corner[1])}" for corner in corners}
    found = [names[corner] for corner in zip(low.tolist(), left.tolist(), strict=True)]
    return found, list(names.values())


def _of_latitude(value: int) -> str:
    return f"{abs(value)}°{'N' if value > 0 else 'S' if value < 0 else ''}"


def _of_longitude(value: int) -> str:
    return f"{abs(value)}°{'E' if value > 0 else 'W' if value < 0 else ''}"


@dataclass(frozen=True)
class Part:
    """One bin of the audit.

    Attributes:
        by: `latitude`, `cell`, `distance` or `density`.
        name: Which.
        score: The mean of its queries, with its interval.
        n_train: Training points in it; None where the bin is not of places.
        position: Its place in the order of its kind, from 0.
    """

    by: str
    name: str
    score: Interval
    n_train: int | None
    position: int


@dataclass(frozen=True)
class Audit:
    """What `audit` found.

    Attributes:
        parts: All bins with a query, in order.
        overall: The mean over all queries with a place.
        by_region: The mean over cells of their means, so that each region counts the same.
        n_without_place: Queries without coordinates, which are in no bin.
        n_train: Training points.
        radius_km: Within which density is counted.
    """

    parts: Sequence[Part]
    overall: Interval
    by_region: Interval
    n_without_place: int
    n_train: int
    radius_km: int | float

    def of(self, by: str) -> list[Part]:
        """The bins of one kind."""
        return [part for part in self.parts if part.by == by]

    def as_table(self) -> pa.Table:
        """A row per bin: by, bin, n, nUnits, nTrain, estimate, lower, upper, reason."""
        rows = [
            {
                "by": part.by,
                "bin": part.name,
                "n": part.score.n,
                "nUnits": part.score.n_units,
                "nTrain": part.n_train,
                "estimate": part.score.estimate,
                "lower": part.score.lower,
                "upper": part.score.upper,
                "reason": part.score.reason,
            }
            for part in self.parts
        ]
        kinds = {"n": pa.int64(), "nUnits": pa.int64(), "nTrain": pa.int64()}
        kinds |= dict.fromkeys(("estimate", "lower", "upper"), pa.float64())
        names = ("by", "bin", "n", "nUnits", "nTrain", "estimate", "lower", "upper", "reason")
        form = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
        return pa.Table.from_pylist(rows, form)


def audit(
    values: Float[np.ndarray, "n"],
    units: Sequence[str],
    *,
    latitude: Float[np.ndarray, "n"],
    longitude: Float[np.ndarray, "n"],
    training: TrainingPoints,
    config: EvaluateConfig,
    cell_degrees: int = 30,
    radius_km: int | float = 100.0,
) -> Audit:
    """Score by region, by distance to training points and by their density.

    Args:
        values: A score per query; NaN where it has none.
        units: The independent unit of each query.
        latitude: Of each query, NaN where it has no place.
        longitude: Likewise.
        training: Where the model was trained.
        config: Number, seed and confidence of the resamples.
        cell_degrees: Side of the cells, a divisor of 180.
        radius_km: Within which training points are counted for density.

    Raises:
        DataError: No query has a score and a place.
    """
    placed = np.isfinite(latitude) & np.isfinite(longitude)
    if not (placed & ~np.isnan(values)).any():
        raise DataError("No query has both a score and a place, so there is nothing to audit.")
    where = {"latitude": latitude[placed], "longitude": longitude[placed]}
    own = [unit for unit, has in zip(units, placed, strict=True) if has]
    kinds = _bins(where, training, cell_degrees, radius_km)
    score = values[placed]
    rows: list[np.ndarray] = [score]
    parts: list[tuple[str, str, int | None, int]] = []
    for by, (names, order, n_train) in kinds.items():
        of_query = np.asarray(names, dtype=object)
        for position, name in enumerate(order):
            inside: Bool[np.ndarray, "q"] = of_query == name
            if (inside & ~np.isnan(score)).any():
                rows.append(np.where(inside, score, np.nan))
                count = None if n_train is None else n_train.get(name, 0)
                parts.append((by, name, count, position))
    options: dict[str, Any] = {
        "resamples": config.resamples,
        "confidence": config.confidence,
        "seed": config.seed,
    }
    drawn = resample(np.stack(rows), own, **options)
    equal = resample(score[None], own, classes=kinds["cell"][0], **options)
    return Audit(
        parts=tuple(
            Part(by, name, drawn.interval(i), n_train, position)
            for i, (by, name, n_train, position) in enumerate(parts, 1)
        ),
        overall=drawn.interval(0),
        by_region=equal.interval(0),
        n_without_place=int((~placed).sum()),
        n_train=training.n,
        radius_km=radius_km,
    )


_Kind = tuple[list[str], list[str], Mapping[str, int] | None]


def _bins(
    where: Mapping[str, np.ndarray], training: TrainingPoints, degrees: int, radius_km: int | float
) -> dict[str, _Kind]:
    """For each kind the bin of each query, all bins in order, and training points in them."""
    theirs = {"latitude": training.latitude, "longitude": training.longitude}
    band, order = bands(where["latitude"])
    kinds: dict[str, _Kind] = {"latitude": (band, order, _tally(bands(training.latitude)[0]))}
    cell, cells = grid_cells(**where, degrees=degrees)
    kinds["cell"] = (cell, cells, _tally(grid_cells(**theirs, degrees=degrees)[0]))
    nearest = training.nearest_km(**where)
    kinds["distance"] = (*_binned(nearest, DISTANCES_KM, " km"), None)
    around = training.within(radius_km, **where).astype(np.float64)
    kinds["density"] = (*_counted(around), None)
    return kinds


def _tally(names: Sequence[str]) -> dict[str, int]:
    found, counts = np.unique(np.asarray(names, dtype=object), return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _binned(
    values: Float[np.ndarray, "n"], edges: Sequence[float], unit: str
) -> tuple[list[str], list[str]]:
    names = [f"below {edges[0]:g}{unit}"]
    names += [f"{low:g} to {high:g}{unit}" for low, high in pairwise(edges)]
    names.append(f"{edges[-1]:g}{unit} or more")
    place = np.searchsorted(np.asarray(edges), values, side="right")
    return [names[i] for i in place], names


def _counted(values: Float[np.ndarray, "n"]) -> tuple[list[str], list[str]]:
    names = ["none"]
    names += [f"{low} to {high - 1}" for low, high in pairwise(COUNTS)]
    names.append(f"{COUNTS[-1]} or more")
    place = np.searchsorted(np.asarray(COUNTS), values, side="right")
    return [names[i] for i in place], names
