"""Which climates a species bears, and where on the planet it came from: both inherited.

The optimum on each of `planet.AXES` moves along the tree by Brownian motion (`phylogeny.drift`), so
relatives bear similar climates; a tenth of its variance is the species' own trait
(`niche_warmth` ...), which is more labile. Where a lineage lives is a Brownian motion on the
sphere: a branch of length t moves it by a step of deviation `_STEP * sqrt(t)` in a random
direction, so that sisters start as neighbours. A species settles where, near the place that its
lineage has come to, the climate suits it best and few others are at home (Gause's exclusion), and
is adapted to that place as far as its inherited optimum does not fit it.

Suitability is a bell around the optimum (Hutchinson's niche), the product over the axes of
exp(-1/2 ((x - optimum) / width)^2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from syntype.data.synthetic.phylogeny import Phylogeny
from syntype.data.synthetic.planet import Planet, Points, unit_vectors
from syntype.data.synthetic.traits import Traits, ranged

_STEP = 0.55  # radians per square root of the age of a class
_SETTLE = np.radians(26)  # how far from where its lineage came to a species looks for a home
_ROOM, _CROWDED = np.radians(5), 1.5  # how far a species keeps others from home, and how much
_LABILE = 0.1
# Widths on the axes of `planet.AXES`, in deviations of the land, of a species of middling breadth.
_WIDTHS = np.array([0.60, 0.65, 0.85, 0.90])


@dataclass(frozen=True, eq=False)
class Niche:
    """One species' niche, in normal scores of the land (`Planet.axes`).

    Attributes:
        optimum: Where it lives best, on each of `planet.AXES`.
        width: Deviations of the bell around it.
        home: Cell of the planet's raster that it spread from.
    """

    optimum: Float[np.ndarray, "4"]
    width: Float[np.ndarray, "4"]
    home: int

    def suitability(self, axes: Float[np.ndarray, "n 4"]) -> Points:
        """How well n places suit it, 0 to 1."""
        return _bell(axes, self.optimum, self.width)


def _bell(
    axes: Float[np.ndarray, "n 4"], optimum: Float[np.ndarray, "4"], width: Float[np.ndarray, "4"]
) -> Points:
    found: np.ndarray = np.exp(-0.5 * (((axes - optimum) / width) ** 2).sum(axis=1))
    return found


def _angle(xyz: Float[np.ndarray, "n 3"], place: Float[np.ndarray, "3"]) -> Points:
    found: np.ndarray = np.arccos(np.clip(xyz @ place, -1, 1))
    return found


def wander(
    tree: Phylogeny, start: Float[np.ndarray, "3"], rng: np.random.Generator, *, jump: float
) -> Float[np.ndarray, "nodes 3"]:
    """Where each node of the tree lives: Brownian motion on the unit sphere.

    Args:
        tree: The phylogeny.
        start: Where the root lives.
        rng: Where steps are drawn from.
        jump: How much longer each branch counts than it is.
    """
    places = np.empty((len(tree.parent), 3))
    places[0] = start
    for node in range(1, len(places)):
        above = int(tree.parent[node])
        time = tree.age[above] - tree.age[node] + jump
        step = rng.standard_normal(3) * _STEP * np.sqrt(time)
        here = places[above]
        step -= (step @ here) * here  # within the tangent plane: two of the three directions
        angle = float(np.linalg.norm(step))
        places[node] = here * np.cos(angle) + step / max(angle, 1e-12) * np.sin(angle)
    return places


def settle(
    planet: Planet,
    traits: Traits,
    inherited: Float[np.ndarray, "4"],
    place: Float[np.ndarray, "3"],
    taken: Sequence[int] = (),
) -> Niche:
    """The niche of a species.

    Args:
        planet: Where.
        traits: The species' own: its breadth, and the labile part of its optimum.
        inherited: Its optimum by Brownian motion, on each of `planet.AXES`.
        place: Where its lineage has come to, a point of the unit sphere.
        taken: Homes of the species that settled before it.
    """
    axes = planet.axes(planet.cells)
    breadth = ranged(traits.range_breadth, 0.75, 1.45)
    width = _WIDTHS * breadth
    own = (traits.niche_warmth, traits.niche_wetness, traits.niche_cover, traits.niche_altitude)
    optimum = np.sqrt(1 - _LABILE) * inherited + np.sqrt(_LABILE) * np.array(own)
    latitude, longitude = planet.centres
    xyz = unit_vectors(latitude=latitude, longitude=longitude)
    away = _angle(xyz, place) / _SETTLE
    crowd = np.zeros(len(xyz))
    for other in taken:
        crowd += np.exp(-0.5 * (_angle(xyz, xyz[other]) / _ROOM) ** 2)
    # In logarithms, since far from everything all products are 0.
    fit = -0.5 * (((axes - optimum) / width) ** 2).sum(axis=1) - 0.5 * away**2 - _CROWDED * crowd
    home = int(np.argmax(np.where(planet.land, fit, -np.inf)))
    fitting = float(_bell(axes[home : home + 1], optimum, width)[0])
    return Niche(fitting * optimum + (1 - fitting) * axes[home], width, home)
