"""Rows on the map: a fine grid that is held, and coarser cells of equal area that are shown.

The fine grid has steps of 0.25 degrees, whatever the rows are; a coarser one is made of it. Cells
shown are bands of latitude, cut into as many parts as keep all cells about equal in area.
"""

import math
from dataclasses import dataclass

import numpy as np

DEGREES = 0.25
ROWS, COLUMNS = int(180 / DEGREES), int(360 / DEGREES)


@dataclass(frozen=True)
class Cell:
    """A part of the earth and how many rows lie in it; degrees."""

    south: float
    north: float
    west: float
    east: float
    n: int


@dataclass(frozen=True)
class Places:
    """Where the rows are.

    Attributes:
        grid: int64, (`ROWS`, `COLUMNS`): rows in each cell, from south and west.
        none: Rows without coordinates.
        half: Rows with one of the two.
        zero: Rows at 0, 0, which stands for a missing value nearly always.
        out: Rows beyond the poles or the circle.
    """

    grid: np.ndarray
    none: int
    half: int
    zero: int
    out: int

    @property
    def n(self) -> int:
        """Rows that lie somewhere."""
        return int(self.grid.sum())


class Map:
    """Fills `Places`."""

    def __init__(self) -> None:
        self._grid = np.zeros(ROWS * COLUMNS, dtype=np.int64)
        self._none = self._half = self._zero = self._out = 0

    def add(self, *, latitude: np.ndarray, longitude: np.ndarray) -> None:
        """Take rows.

        Args:
            latitude: Degrees, NaN where unknown.
            longitude: Likewise.
        """
        north, east = ~np.isnan(latitude), ~np.isnan(longitude)
        both = north & east
        self._none += int((~north & ~east).sum())
        self._half += int((north ^ east).sum())
        zero = both & (latitude == 0) & (longitude == 0)
        inside = both & (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
        self._zero += int(zero.sum())
        self._out += int((both & ~inside).sum())
        kept = inside & ~zero
        row = ((latitude[kept] + 90) / DEGREES).astype(np.int64).clip(0, ROWS - 1)
        column = ((longitude[kept] + 180) / DEGREES).astype(np.int64) % COLUMNS
        cells, counts = np.unique(row * COLUMNS + column, return_counts=True)
        self._grid[cells] += counts

    def end(self) -> Places:
        """What was found."""
        grid = self._grid.reshape(ROWS, COLUMNS)
        return Places(grid, self._none, self._half, self._zero, self._out)


def cells(places: Places, degrees: float) -> list[Cell]:
    """The cells that hold rows, of about the area of `degrees` by `degrees` at the equator.

    Args:
        places: Where the rows are.
        degrees: Height of a cell; a multiple of 0.25 that divides 180.
    """
    n_bands = round(180 / degrees)
    high = ROWS // n_bands
    found = []
    for band in range(n_bands):
        counts = places.grid[band * high : (band + 1) * high].sum(axis=0)
        if not counts.any():
            continue
        middle = math.radians((band + 0.5) * degrees - 90)
        n_parts = max(3, round(2 * n_bands * math.cos(middle)))
        part = ((np.arange(COLUMNS) + 0.5) * n_parts / COLUMNS).astype(np.int64)
        sums = np.bincount(part, weights=counts, minlength=n_parts)
        for number in np.flatnonzero(sums).tolist():
            west, east = (360 * (number + more) / n_parts - 180 for more in (0, 1))
            south = band * degrees - 90
            found.append(Cell(south, south + degrees, west, east, int(sums[number])))
    return found


def extent(places: Places) -> tuple[float, float, float, float] | None:
    """South, north, west and east edge of all that holds rows; None if nothing does."""
    rows, columns = (np.flatnonzero(places.grid.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return (
        float(rows[0] * DEGREES - 90),
        float((rows[-1] + 1) * DEGREES - 90),
        float(columns[0] * DEGREES - 180),
        float((columns[-1] + 1) * DEGREES - 180),
    )
