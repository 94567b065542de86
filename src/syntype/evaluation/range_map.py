"""Range maps: a query (a species' name, a picture, a song) against the places of a grid.

A cosine is no suitability. Two readings of it are offered: the share of the area that is less
similar (needs nothing, and maps of several species can be laid side by side), and a chance of
presence relative to background places, by the logistic curve of Platt ("Probabilistic Outputs for
Support Vector Machines", 1999, with his smoothed targets), which needs presences of the training
split. Cells weigh as much as their area on the sphere; those outside the mask (sea, no data) are
NaN.

    h rows, w columns, n places, d dimensions (e of the places), s places with and without the
    species
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from syntype.errors import DataError, VectorError
from syntype.evaluation import distribution
from syntype.evaluation.geography import EARTH_KM
from syntype.evaluation.statistics import Interval

_BLOCK_ROWS = 2**16  # places compared at a time
_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class MapGrid:
    """A grid of cells of equal angle, rows from north to south.

    Attributes:
        west: Left edge, degrees.
        north: Upper edge, degrees.
        degrees: Side of a cell.
        shape: h and w.
    """

    west: float
    north: float
    degrees: float
    shape: tuple[int, int]

    @classmethod
    def around(
        cls,
        *,
        south: int | float,
        north: int | float,
        west: int | float,
        east: int | float,
        degrees: int | float,
    ) -> "MapGrid":
        """The grid that covers a box.

        Raises:
            DataError: The box is empty or leaves the Earth.
        """
        if not (-90 <= south < north <= 90 and west < east <= west + 360 and degrees > 0):
            raise DataError(
                f"No grid covers latitudes {south} to {north} and longitudes {west} to {east} in "
                f"cells of {degrees}: south and west come first, and the poles are at 90."
            )
        rows = int(np.ceil((north - south) / degrees - 1e-9))
        columns = int(np.ceil((east - west) / degrees - 1e-9))
        return cls(
            west=float(west), north=float(north), degrees=float(degrees), shape=(rows, columns)
        )

    def centres(self) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """Latitude and longitude of each cell's centre, row by row; longitudes in [-180, 180)."""
        rows = self.north - (np.arange(self.shape[0]) + 0.5) * self.degrees
        columns = self.west + (np.arange(self.shape[1]) + 0.5) * self.degrees
        latitude, longitude = np.meshgrid(np.clip(rows, -90, 90), columns, indexing="ij")
        return latitude.ravel(), (longitude.ravel() + 180) % 360 - 180

    def areas_km2(self) -> Float[np.ndarray, "h w"]:
        """The area of each cell on the sphere."""
        edges = self.north - np.arange(self.shape[0] + 1) * self.degrees
        sines = np.sin(np.radians(np.clip(edges, -90, 90)))
        strip = EARTH_KM**2 * np.radians(self.degrees) * (sines[:-1] - sines[1:])
        return np.repeat(strip[:, None], self.shape[1], axis=1)

    def blocks(self, degrees: int | float = 10.0) -> list[str]:
        """The block of each cell for resampling, row by row."""
        latitude, longitude = self.centres()
        rows = np.floor((latitude + 90) / degrees).astype(int)
        columns = np.floor((longitude + 180) / degrees).astype(int)
        return [f"{row}/{column}" for row, column in zip(rows, columns, strict=True)]


@dataclass(frozen=True)
class Curve:
    """A logistic curve from similarity to a chance of presence relative to the background.

    Attributes:
        slope: Its steepness; negative where presences are less similar than the background, which
            is worth a warning.
        shift: Its shift.
        n_presences: Presences that it was fitted on.
        n_background: Background places likewise.
    """

    slope: float
    shift: float
    n_presences: int
    n_background: int

    def of(self, similarity: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The chance at each similarity."""
        return 1 / (1 + np.exp(-np.clip(self.slope * similarity + self.shift, -500, 500)))

    @property
    def warning(self) -> str:
        """What the user should know where the curve falls; else ""."""
        if self.slope > 0:
            return ""
        return (
            "The species' places are no more similar to the query than other places are: the map "
            "shows nothing that its records support."
        )


def fit_curve(similarity: Float[np.ndarray, "s"], present: Bool[np.ndarray, "s"]) -> Curve:
    """Fit the curve by Newton's method, presences and background with the same total weight.

    Args:
        similarity: At places of the training split and of the background.
        present: Which of them are presences.

    Raises:
        DataError: There is no presence or no background, or a similarity is not finite.
    """
    n, n_other = int(present.sum()), int((~present).sum())
    if not n or not n_other or not np.isfinite(similarity).all():
        raise DataError(
            f"A curve needs presences and background with finite similarities; here are {n} and "
            f"{n_other}. Draw background places, or show the share of the area instead."
        )
    target = np.where(present, (n + 1) / (n + 2), 1 / (n_other + 2))
    weight = np.where(present, 0.5 / n, 0.5 / n_other)
    centre, scale = similarity.mean(), similarity.std() or 1.0
    design = np.stack([(similarity - centre) / scale, np.ones(len(similarity))], axis=1)
    found = np.zeros(2)
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -500, 500)))
        slope = design.T @ (weight * (target - chance)) - 1e-6 * found
        bend = (design * (weight * chance * (1 - chance))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        step *= min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        found = found + step
        if np.abs(step).max() < 1e-10:
            break
    slope_of, shift = found[0] / scale, found[1] - found[0] * centre / scale
    return Curve(float(slope_of), float(shift), n, n_other)


@dataclass(frozen=True)
class RangeMap:
    """A map of one query.

    Attributes:
        name: What was asked for.
        grid: Where the cells lie.
        similarity: The cosine of each cell; NaN outside the mask.
        score: The share of the area that is less similar, or a chance; NaN outside the mask.
        reading: "share of the area that is less similar" or "chance of presence, relative".
        warning: What the user should know; "" where nothing.
    """

    name: str
    grid: MapGrid
    similarity: Float[np.ndarray, "h w"]
    score: Float[np.ndarray, "h w"]
    reading: str
    warning: str = ""

    def write(self, path: Path, write: Callable[[Path, np.ndarray], Any]) -> Any:
        """Write the scores, for example as a GeoTIFF.

        Args:
            path: Where.
            write: Puts an array (h, w) into a file, as `senses.rasters.write_raster` does once it
                is given the grid.
        """
        return write(path, self.score.astype(np.float32))


def range_map(
    name: str,
    query: Float[np.ndarray, "d"],
    places: Float[np.ndarray, "n e"],
    grid: MapGrid,
    *,
    mask: Bool[np.ndarray, "h w"] | None = None,
    curve: Curve | None = None,
) -> RangeMap:
    """Compare a query with the places of a grid.

    Args:
        name: What was asked for.
        query: Its vector, brought to unit length here.
        places: The vector of each cell's centre, row by row, likewise.
        grid: Where the cells lie.
        mask: Cells to show; None shows all.
        curve: Reads similarities as chances; None takes the share of the area.

    Raises:
        VectorError: Vectors do not fit the grid or each other, are zero, or are not finite.
        DataError: The mask shows no cell.
    """
    h, w = grid.shape
    if len(places) != h * w or places.shape[1] != len(query):
        raise VectorError(
            f"The map has {h} x {w} cells and the query {len(query)} dimensions, but the places "
            f"are {len(places)} vectors of {places.shape[1]}. Embed the centres of this grid."
        )
    shown = np.ones((h, w), dtype=bool) if mask is None else mask
    if not shown.any():
        raise DataError(f"The mask hides all {h * w} cells of the map of {name}.")
    cosine = np.full(h * w, np.nan)
    for start in range(0, h * w, _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        cosine[part] = _unit(places[part], name) @ _unit(query[None], name)[0]
    similarity = np.where(shown, cosine.reshape(h, w), np.nan)
    if curve is None:
        score, reading = share_below(similarity, grid), "share of the area that is less similar"
    else:
        score, reading = curve.of(similarity), "chance of presence, relative to the background"
    return RangeMap(name, grid, similarity, score, reading, curve.warning if curve else "")


def _unit(vectors: Float[np.ndarray, "n d"], name: str) -> Float[np.ndarray, "n d"]:
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise VectorError(
            f"A vector of the map of {name} is zero, NaN or infinite. Check the place encoder at "
            "the poles and the antimeridian."
        )
    return wide / norms


def share_below(similarity: Float[np.ndarray, "h w"], grid: MapGrid) -> Float[np.ndarray, "h w"]:
    """The share of the shown area that is less similar, plus half of what is as similar."""
    shown = ~np.isnan(similarity)
    values, area = similarity[shown], grid.areas_km2()[shown]
    _, code = np.unique(values, return_inverse=True)
    of_level = np.bincount(code, area)
    below = np.cumsum(of_level) - of_level / 2
    share = np.full(similarity.shape, np.nan)
    share[shown] = below[code] / area.sum()
    return share


@dataclass(frozen=True)
class Agreement:
    """How well a map agrees with where the species truly is.

    Attributes:
        metrics: `auc`, `averagePrecision` and `boyce`, by area, with intervals over blocks.
        prevalence: The share of the shown area where it is: average precision by chance.
        threshold: The lowest score of the 90 % of true cells that score highest.
        area_km2: The area that scores no lower.
        true_km2: The area where the species is.
    """

    metrics: Mapping[str, Interval]
    prevalence: float
    threshold: float
    area_km2: float
    true_km2: float


def agreement(
    made: RangeMap,
    truth: Bool[np.ndarray, "h w"],
    *,
    block_degrees: int | float = 10.0,
    resamples: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """Compare a map with the true range, cell by cell.

    Neighbouring cells are alike, so intervals resample blocks of the map.

    Raises:
        DataError: The species is nowhere in the shown cells, or everywhere.
    """
    shown = ~np.isnan(made.score)
    present, score, area = truth[shown], made.score[shown], made.grid.areas_km2()[shown]
    if not present.any() or present.all():
        raise DataError(
            f"{made.name} is {'everywhere' if present.any() else 'nowhere'} in the shown cells, so "
            "a map cannot be right or wrong. Choose a species with a range, or a larger map."
        )
    kept = np.flatnonzero(shown.ravel())
    every = made.grid.blocks(block_degrees)
    blocks = [every[cell] for cell in kept]
    weights = np.concatenate(
        [np.ones((1, len(kept))), distribution.block_weights(blocks, resamples, seed)]
    )
    found = distribution.measures(score, present, weights * (area / area.mean()))
    n_blocks = len(set(blocks))
    metrics = {}
    for name, draws in found.items():
        bounds = (-1.0, 1.0) if name == "boyce" else (0.0, 1.0)
        low, high = distribution.interval(float(draws[0]), draws[1:], confidence, bounds)
        estimate = None if np.isnan(draws[0]) else float(draws[0])
        reason = "" if low is not None else "one unit" if n_blocks == 1 else "no spread"
        metrics[name] = Interval(estimate, low, high, len(kept), n_blocks, reason)
    threshold = float(np.quantile(score[present], 0.1, method="inverted_cdf"))
    return Agreement(
        metrics,
        float(area[present].sum() / area.sum()),
        threshold,
        float(area[score >= threshold].sum()),
        float(area[present].sum()),
    )
