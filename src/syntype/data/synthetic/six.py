"""A world of six senses: the tree of life of `world`, put on a planet, and given voices.

Species, names, modes and pictures are those of the world of the same seed and numbers. On top of
it come a planet (`planet`), a niche and a range of each species (`niche`, `range`), a voice
(`song`), and for each individual a place: drawn from the species' range, more often where people
are. All takes of an individual are within a few kilometres, on one day.

Growing such a world draws no files but takes seconds, as the planet is large; what is then needed
to draw a row is a few numbers, `SixWorld.rows`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from syntype.data.synthetic.niche import Niche, settle, wander
from syntype.data.synthetic.phylogeny import Phylogeny, drift
from syntype.data.synthetic.planet import AXES, Planet, Points, unit_vectors
from syntype.data.synthetic.range import effort_of, range_of
from syntype.data.synthetic.six_config import SixConfig
from syntype.data.synthetic.song import N_TRAITS, Voice, voice_of
from syntype.data.synthetic.tile import Scenery
from syntype.data.synthetic.world import Species, World, grow_world
from syntype.provenance import named_seed

# How much longer each branch counts in Brownian motion: the least difference of sisters.
_JUMP = 0.03
_TRIES = 12  # places that are looked at for each individual
_STRAY = 0.03  # degrees between the takes of one individual, a deviation
_SHORE = 0.05  # degrees from a tile's centre to its edges
_FIRST_DAY, _N_DAYS = date(2015, 1, 1), 3652
SENSES = ("image", "satellite", "sound", "place", "climate")
"""The senses that an observation may lack."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What each observation needs beside the world, one entry a row.

    Attributes:
        latitude: Degrees, where it truly was, also where the table does not tell.
        longitude: Degrees.
        day: When.
        climate: (n, 20) z-scored.
        scenery: What its tile shows.
        has: Sense to whether the row has it.
    """

    latitude: Points
    longitude: Points
    day: Sequence[date]
    climate: Float[np.ndarray, "n 20"]
    scenery: Sequence[Scenery]
    has: dict[str, Bool[np.ndarray, "n"]]


@dataclass(frozen=True)
class SixWorld:
    """A grown world of six senses.

    Attributes:
        config: What it grew from.
    """

    config: SixConfig

    def _rng(self, *names: str | int) -> np.random.Generator:
        return np.random.default_rng(named_seed(self.config.seed, "six", *names))

    @cached_property
    def world(self) -> World:
        """The species and their pictures; picture i is that of observation i."""
        return grow_world(self.config.world)

    @cached_property
    def planet(self) -> Planet:
        """Where they live."""
        return Planet(self.config.seed, self.config.degrees)

    @property
    def species(self) -> Sequence[Species]:
        """The species, in order."""
        return self.world.species

    @cached_property
    def voices(self) -> list[Voice]:
        """The song of each species."""
        return voices_of(self.config, self.world)

    @cached_property
    def niches(self) -> list[Niche]:
        """The niche of each species."""
        tree: Phylogeny = self.world.tree
        optima = drift(tree, len(AXES), self._rng("niche"), jump=_JUMP)
        start = self._cradle()
        places = wander(tree, start, self._rng("dispersal"), jump=_JUMP)
        found: list[Niche] = []
        for species, tip in zip(self.species, tree.tips.tolist(), strict=True):
            homes = [one.home for one in found]
            found.append(settle(self.planet, species.traits, optima[tip], places[tip], homes))
        return found

    def _cradle(self) -> Float[np.ndarray, "3"]:
        """Where the root of the tree lived: somewhere green."""
        planet = self.planet
        weight = np.where(planet.land, planet.areas * planet.cells.productivity, 0)
        cell = int(self._rng("cradle").choice(len(weight), p=weight / weight.sum()))
        latitude, longitude = planet.centres
        found: np.ndarray = unit_vectors(latitude=latitude, longitude=longitude)[cell]
        return found

    @cached_property
    def ranges(self) -> Float[np.ndarray, "species cells"]:
        """Suitability times dispersal of each species and cell, 0 outside of its range."""
        pairs = zip(self.niches, self.species, strict=True)
        return np.stack([range_of(self.planet, n, s.traits.range_breadth) for n, s in pairs])

    @cached_property
    def effort(self) -> Points:
        """How much people look in each cell."""
        return effort_of(self.planet)

    @cached_property
    def rows(self) -> Rows:
        """The observations' places and what is there."""
        pictures = self.world.pictures
        units: dict[tuple[int, int], int] = {}
        unit = np.array([units.setdefault((p.species, p.specimen), len(units)) for p in pictures])
        species = np.array([key[0] for key in units])
        latitude, longitude = self._homes(species)
        days = self._rng("days").integers(_N_DAYS, size=len(units))
        latitude, longitude = self._strayed(latitude[unit], longitude[unit])
        ground = self.planet.ground(latitude=latitude, longitude=longitude)
        return Rows(
            latitude=latitude,
            longitude=longitude,
            day=[_FIRST_DAY + timedelta(days=int(days[one])) for one in unit],
            climate=self.planet.standardised(ground),
            scenery=self._scenery(latitude, longitude),
            has=self._has(),
        )

    def _homes(self, species: Int[np.ndarray, "u"]) -> tuple[Points, Points]:
        """A place for each individual: on land, within its species' range, where people look."""
        planet, n = self.planet, len(species)
        rng = self._rng("places")
        visited = planet.areas * self.effort**self.config.bias
        cells = np.empty((n, _TRIES), dtype=np.int64)
        for one in np.unique(species):
            weight = self.ranges[one] * visited
            if not weight.any():  # a range of less than a cell
                weight[self.niches[one].home] = 1.0
            here = np.flatnonzero(species == one)
            cells[here] = rng.choice(len(weight), (len(here), _TRIES), p=weight / weight.sum())
        jitter = rng.uniform(-0.5, 0.5, (2, n, _TRIES)) * planet.degrees
        centre_latitude, centre_longitude = planet.centres
        latitude = centre_latitude[cells] + jitter[0]
        longitude = centre_longitude[cells] + jitter[1]
        ground = planet.ground(latitude=latitude.ravel(), longitude=longitude.ravel())
        axes = planet.axes(ground).reshape(n, _TRIES, len(AXES))
        dry = ground.elevation.reshape(n, _TRIES) > 0
        fit = np.stack([self.niches[s].suitability(axes[i]) for i, s in enumerate(species)])
        # The first place that will do, else the best of them.
        will_do = dry & (fit > 0.1)
        best = np.where(dry, fit, -1.0).argmax(axis=1)
        chosen = np.where(will_do.any(axis=1), will_do.argmax(axis=1), best)
        at = np.arange(n)
        return latitude[at, chosen], longitude[at, chosen]

    def _strayed(self, latitude: Points, longitude: Points) -> tuple[Points, Points]:
        """Each row's own place near its individual's, on land if that is."""
        step = self._rng("strays").normal(size=(2, len(latitude))) * _STRAY
        north = np.clip(latitude + step[0], -89.9, 89.9)
        east = longitude + step[1] / np.maximum(np.cos(np.radians(latitude)), 0.1)
        east = (east + 180) % 360 - 180
        dry = self.planet.elevation(latitude=north, longitude=east) > 0
        return np.where(dry, north, latitude), np.where(dry, east, longitude)

    def _scenery(self, latitude: Points, longitude: Points) -> list[Scenery]:
        planet = self.planet
        ground = planet.ground(latitude=latitude, longitude=longitude)
        n_rows, n_columns = planet.shape
        row = np.clip(((90 - latitude) / planet.degrees).astype(int), 0, n_rows - 1)
        column = ((longitude + 180) / planet.degrees).astype(int) % n_columns
        people = self.effort[row * n_columns + column]
        shore = np.column_stack(
            [
                planet.elevation(latitude=latitude + north, longitude=longitude + east)
                for north, east in ((_SHORE, 0), (0, _SHORE), (-_SHORE, 0), (0, -_SHORE))
            ]
        ).tolist()
        columns = (
            ground.elevation,
            ground.bio[:, 0],
            ground.bio[:, 5],
            ground.bio[:, 11],
            ground.productivity,
            ground.woodland,
            ground.soil,
            people,
        )
        return [
            Scenery(
                elevation=elevation,
                warmth=warmth,
                coldest=coldest,
                rain=rain,
                productivity=productivity,
                woodland=woodland,
                soil=soil,
                people=effort,
                shore=tuple(edges),
            )
            for (
                elevation,
                warmth,
                coldest,
                rain,
                productivity,
                woodland,
                soil,
                effort,
            ), edges in zip(np.column_stack(columns).tolist(), shore, strict=True)
        ]

    def _has(self) -> dict[str, Bool[np.ndarray, "n"]]:
        """Which senses each row has; one that would have none keeps its picture."""
        n = len(self.world)
        found = {
            sense: self._rng("missing", sense).uniform(size=n)
            >= getattr(self.config, f"no_{sense}")
            for sense in SENSES
        }
        found["image"] |= ~np.logical_or.reduce(list(found.values()))
        return found


def voices_of(config: SixConfig, world: World) -> list[Voice]:
    """The song of each species; it needs no planet."""
    rng = np.random.default_rng(named_seed(config.seed, "six", "song"))
    values = drift(world.tree, N_TRAITS, rng, jump=_JUMP)
    return [
        voice_of(species.plan.group, species.traits, values[tip])
        for species, tip in zip(world.species, world.tree.tips.tolist(), strict=True)
    ]


def rows_table(rows: Rows) -> pa.Table:
    """What the processes that draw tiles read: a row of numbers each."""
    names = [name for name in Scenery.__dataclass_fields__ if name != "shore"]
    columns = {name: [getattr(one, name) for one in rows.scenery] for name in names}
    shores = np.array([one.shore for one in rows.scenery]).T
    edges = {f"shore{place}": values for place, values in enumerate(shores)}
    places = {"latitude": rows.latitude, "longitude": rows.longitude}
    has = {f"has_{sense}": values for sense, values in rows.has.items()}
    return pa.table({**places, **columns, **edges, **has})


def scenery_of(table: pa.Table, row: int) -> Scenery:
    """The scenery of a row of `rows_table`."""
    values = table.slice(row, 1).to_pylist()[0]
    shore = (values["shore0"], values["shore1"], values["shore2"], values["shore3"])
    numbers = {n: values[n] for n in Scenery.__dataclass_fields__ if n != "shore"}
    return Scenery(**numbers, shore=shore)
