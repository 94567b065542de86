"""Where a species lives, and where people look: ranges, roads and cities.

A range is suitability times dispersal. Dispersal is exp(-(cost / reach)^2), where the cost is that
of the cheapest way from the species' home over the raster's cells (Dijkstra's algorithm): a way
through ground that suits it costs its length in degrees, through hostile ground up to
`_HOSTILE` times as much, over the sea `_SEA` times. So mountains, deserts and straits part ranges
that the climate alone would join, and relatives are often neighbours that do not meet.

Observations are made where people are: effort falls with the distance to cities and to the roads
between them.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from syntype.data.synthetic.niche import Niche
from syntype.data.synthetic.planet import Planet, Points, unit_vectors
from syntype.data.synthetic.traits import ranged
from syntype.provenance import named_seed

PRESENT = 0.1
"""A cell belongs to a range where suitability times dispersal is more than this."""
_HOSTILE, _SEA = 5.0, 8.0
_REACH = (10.0, 32.0)  # degrees, of species of the narrowest and the widest range
_CITIES = 70
_CITY_DEGREES, _ROAD_DEGREES = 2.0, 0.9
_WILD = 0.02  # effort far from everything, as a share of a city's


@lru_cache(maxsize=2)
def _neighbours(n_rows: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of cells that touch, also across the antimeridian."""
    numbers = np.arange(n_rows * n_columns).reshape(n_rows, n_columns)
    starts, ends = [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        moved = np.roll(numbers, -right, axis=1)[down:]
        starts.append(numbers[: n_rows - down].ravel())
        ends.append(moved.ravel())
    return np.concatenate(starts), np.concatenate(ends)


def _arcs(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "*#n 3"]) -> Points:
    """Degrees between points of the unit sphere."""
    chord = np.linalg.norm(a - b, axis=-1)
    found: np.ndarray = np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1)))
    return found


def range_of(planet: Planet, niche: Niche, breadth: float) -> Points:
    """Suitability times dispersal of each cell, 0 in the sea and where it is at most `PRESENT`.

    Args:
        planet: Where.
        niche: The species' niche, with its home.
        breadth: Its trait `range_breadth`, a z-score.
    """
    suitable = np.where(planet.land, niche.suitability(planet.axes(planet.cells)), 0.0)
    friction = np.where(planet.land, 1 + (_HOSTILE - 1) * (1 - suitable), _SEA)
    latitude, longitude = planet.centres
    xyz = unit_vectors(latitude=latitude, longitude=longitude)
    starts, ends = _neighbours(*planet.shape)
    cost = _arcs(xyz[starts], xyz[ends]) * (friction[starts] + friction[ends]) / 2
    graph = csr_matrix((cost, (starts, ends)), shape=(len(xyz), len(xyz)))
    reach = ranged(breadth, *_REACH)
    # Beyond twice the reach dispersal is less than 0.02.
    way = dijkstra(graph, directed=False, indices=niche.home, limit=2 * reach)
    found: np.ndarray = suitable * np.exp(-((way / reach) ** 2))
    return np.where(found > PRESENT, found, 0.0)


def effort_of(planet: Planet) -> Points:
    """How much people look in each cell, 1 at most: cities, and roads between neighbouring ones.

    Cities lie where much grows and it is mild, never close together.
    """
    rng = np.random.default_rng(named_seed(planet.seed, "planet", "cities"))
    latitude, longitude = planet.centres
    xyz = unit_vectors(latitude=latitude, longitude=longitude)
    ground = planet.cells
    mild = np.exp(-(((ground.bio[:, 0] - 13) / 12) ** 2) - ground.elevation / 1200)
    weight = np.where(planet.land, planet.areas * (0.1 + ground.productivity) * mild, 0.0)
    cities: list[int] = []
    while len(cities) < _CITIES and weight.sum() > 0:
        city = int(rng.choice(len(weight), p=weight / weight.sum()))
        cities.append(city)
        weight[_arcs(xyz, xyz[city]) < 3 * _CITY_DEGREES] = 0
    people = rng.lognormal(0, 0.7, len(cities))
    away = np.stack([_arcs(xyz, xyz[city]) for city in cities])
    effort = (people[:, None] / people.max() * np.exp(-away / _CITY_DEGREES)).max(axis=0)
    for first in range(len(cities)):
        near = np.argsort(away[first][cities], kind="stable")[1:3]
        for second in near.tolist():
            effort = np.maximum(effort, 0.5 * _road(xyz, xyz[cities[first]], xyz[cities[second]]))
    return np.where(planet.land, np.maximum(effort, _WILD), 0.0)


def _road(
    xyz: Float[np.ndarray, "n 3"], start: Float[np.ndarray, "3"], end: Float[np.ndarray, "3"]
) -> Points:
    """1 along the great circle from `start` to `end`, falling with the distance from it."""
    n = 2 + int(_arcs(start[None], end)[0] / 0.5)
    share = np.linspace(0, 1, n)[:, None]
    way = (1 - share) * start + share * end
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    # Chords, not arcs: short ones are as long, and this is one product of matrices.
    nearest = np.sqrt(np.maximum(2 - 2 * (xyz @ way.T).max(axis=1), 0))
    found: np.ndarray = np.exp(-np.degrees(nearest) / _ROAD_DEGREES)
    return found
