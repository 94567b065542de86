"""A planet that does not exist: land and sea, twelve months of weather, and 20 climate variables.

Everything is a smooth function of the place: sums of waves over the unit sphere (random Fourier
features of its three coordinates), so nothing breaks at the antimeridian or at the poles, and any
place can be asked for without a raster. Weather follows the textbook in outline: the tropics are
warm, 6.2 degrees are lost per kilometre of height, seasons grow with latitude and with the distance
from the sea, rain falls in a belt that follows the sun, at middle latitudes and on mountains, and
the belts between are dry. From twelve months of temperature and rain come the 19 variables by the
definitions of BIOCLIM (Booth et al. 2014), so they hang together as the real ones do: bio7 is bio5
minus bio6, bio12 the year's rain.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float16
from scipy.special import expit, ndtri

from syntype.provenance import named_seed

N_CLIMATE = 20
LAND_SHARE = 0.38
AXES = ("warmth", "wetness", "cover", "altitude")
"""What a niche is made of: mean annual temperature, annual rain, woodland, elevation."""
_MONTHS = np.arange(12)
_SCORE_LIMIT = 2.6  # beyond it, normal scores of a finite planet mean nothing

Points = Float[np.ndarray, "n"]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a place is like, for n places.

    Attributes:
        elevation: Metres; below 0 is sea.
        bio: (n, 19) the variables bio1 to bio19, in WorldClim's units (degrees C, mm).
        productivity: 0 nothing grows to 1 rain forest.
        woodland: Share of the ground under trees, 0 to 1.
        soil: Redness of the bare ground, about N(0, 1).
    """

    elevation: Points
    bio: Float[np.ndarray, "n 19"]
    productivity: Points
    woodland: Points
    soil: Points

    @property
    def climate(self) -> Float[np.ndarray, "n 20"]:
        """Elevation and bio1 to bio19."""
        return np.column_stack([self.elevation, self.bio])


@dataclass(frozen=True, eq=False)
class _Waves:
    """A smooth random field on the sphere, mean 0 and deviation 1 about."""

    vectors: Float[np.ndarray, "k 3"]
    phases: Float[np.ndarray, "k"]
    weights: Float[np.ndarray, "k"]

    @classmethod
    def draw(
        cls, rng: np.random.Generator, *, lowest: float, highest: float, roughness: float
    ) -> "_Waves":
        """Waves from `lowest` to `highest` radians per unit length; small ones are weaker.

        Args:
            rng: Where they are drawn from.
            lowest: 2 is one hill and one valley around the planet.
            highest: 60 is hills of 3 degrees.
            roughness: A wave's height is its frequency to minus this power.
        """
        n_octaves = max(1, round(np.log2(highest / lowest)))
        frequencies = np.repeat(lowest * 2.0 ** np.arange(n_octaves), 20)
        frequencies = frequencies * 2 ** rng.uniform(0, 1, len(frequencies))
        directions = rng.standard_normal((len(frequencies), 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        weights = frequencies**-roughness
        return cls(
            directions * frequencies[:, None],
            rng.uniform(0, 2 * np.pi, len(frequencies)),
            weights * np.sqrt(2 / (weights**2).sum()),
        )

    def at(self, xyz: Float[np.ndarray, "n 3"]) -> Points:
        found: np.ndarray = np.cos(xyz @ self.vectors.T + self.phases) @ self.weights
        return found


def unit_vectors(*, latitude: Points, longitude: Points) -> Float[np.ndarray, "n 3"]:
    """Places on the unit sphere; degrees in."""
    north, east = np.radians(latitude), np.radians(longitude)
    return np.column_stack(
        [np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)]
    )


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


@dataclass(frozen=True)
class Planet:
    """A planet; equal seeds are equal planets.

    Attributes:
        seed: Seed of everything.
        degrees: Size of a cell of its rasters, a divisor of 180.
    """

    seed: int
    degrees: float = 1.0

    def _waves(self, name: str, lowest: float, highest: float, roughness: float) -> _Waves:
        rng = np.random.default_rng(named_seed(self.seed, "planet", name))
        return _Waves.draw(rng, lowest=lowest, highest=highest, roughness=roughness)

    @cached_property
    def _fields(self) -> dict[str, _Waves]:
        return {
            "crust": self._waves("crust", 2.4, 60.0, 0.95),
            "ridges": self._waves("ridges", 3.0, 24.0, 0.8),
            "interior": self._waves("interior", 2.0, 8.0, 1.0),
            "moisture": self._waves("moisture", 2.0, 16.0, 0.9),
            "warmth": self._waves("warmth", 2.0, 16.0, 1.0),
            "growth": self._waves("growth", 6.0, 48.0, 0.6),
            "soil": self._waves("soil", 3.0, 24.0, 0.8),
        }

    @cached_property
    def _sea_level(self) -> float:
        """The height of the crust that leaves `LAND_SHARE` of the planet dry."""
        rng = np.random.default_rng(named_seed(self.seed, "planet", "sea level"))
        xyz = rng.standard_normal((20_000, 3))
        xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
        return float(np.quantile(self._crust(xyz), 1 - LAND_SHARE))

    def _crust(self, xyz: Float[np.ndarray, "n 3"]) -> Points:
        """Height of the crust, about N(0, 1); lower towards the poles, which are mostly sea."""
        return self._fields["crust"].at(xyz) - 1.1 * xyz[:, 2] ** 6

    def elevation(self, *, latitude: Points, longitude: Points) -> Points:
        """Metres above the sea at n places, below 0 in it; degrees in."""
        return self._elevation(unit_vectors(latitude=latitude, longitude=longitude))

    def _elevation(self, xyz: Float[np.ndarray, "n 3"]) -> Points:
        above = self._crust(xyz) - self._sea_level
        ridge = np.clip(1 - np.abs(self._fields["ridges"].at(xyz)) / 0.6, 0, 1) ** 2
        land = 650 * above + 3400 * ridge * _step(above, 0.05, 1.1)
        return np.where(above > 0, land, 3000 * above)

    def ground(self, *, latitude: Points, longitude: Points) -> Ground:
        """What n places are like; degrees in. In the sea, what the shore would be like."""
        xyz = unit_vectors(latitude=latitude, longitude=longitude)
        waves = {name: field.at(xyz) for name, field in self._fields.items() if name != "crust"}
        elevation = self._elevation(xyz)
        height = np.maximum(elevation, 0) / 1000
        inland = _step(self._crust(xyz) - self._sea_level, -0.2, 1.3)
        inland = np.clip(inland + 0.15 * waves["interior"], 0, 1)
        temperature = self._temperature(xyz[:, 2], height, inland, waves["warmth"])
        rain = self._rain(latitude, temperature, height, inland, waves["moisture"])
        spread = 6 + 7 * inland + 4 * np.exp(-rain.sum(axis=1) / 600)
        bio = bioclim(temperature - spread[:, None] / 2, temperature + spread[:, None] / 2, rain)
        # Net primary production after Lieth's Miami model (1975), as a share of the most there is.
        warm = 1 / (1 + np.exp(1.315 - 0.119 * bio[:, 0]))
        productivity = np.minimum(warm, 1 - np.exp(-0.000664 * bio[:, 11]))
        woodland = expit(11 * (productivity - 0.34) + 1.3 * waves["growth"])
        return Ground(
            elevation=elevation,
            bio=bio,
            productivity=productivity,
            woodland=woodland,
            soil=waves["soil"],
        )

    def _temperature(
        self, sine: Points, height: Points, inland: Points, noise: Points
    ) -> Float[np.ndarray, "n 12"]:
        """Monthly means in degrees C; `sine` is that of the latitude, `height` in km."""
        mean = 27.5 - 41 * sine**2 - 6.2 * height + 1.8 * noise
        swing = 21 * (0.25 + 0.75 * inland) * sine
        return mean[:, None] + swing[:, None] * np.cos(2 * np.pi * (_MONTHS - 6.0) / 12)

    def _rain(
        self,
        latitude: Points,
        temperature: Float[np.ndarray, "n 12"],
        height: Points,
        inland: Points,
        noise: Points,
    ) -> Float[np.ndarray, "n 12"]:
        """Monthly rain in mm."""
        sun = 13 * np.cos(2 * np.pi * (_MONTHS - 6.5) / 12)
        belt = 250 * np.exp(-(((latitude[:, None] - sun) / 11) ** 2))
        winter = -np.sign(latitude)[:, None] * sun / 13
        middle = 110 * np.exp(-(((np.abs(latitude) - 50) / 16) ** 2))[:, None] * (1 + 0.4 * winter)
        local = np.exp(0.7 * noise - 0.7 * inland) * (1 + 0.45 * np.minimum(height, 2.5))
        cold = 0.25 + 0.75 * expit((temperature + 6) / 4)
        return (1.2 * belt + 1.4 * middle + 14) * local[:, None] * cold

    @cached_property
    def centres(self) -> tuple[Points, Points]:
        """Latitude and longitude of the centres of all cells, row by row from 90 degrees north."""
        n_rows = round(180 / self.degrees)
        north = 90 - self.degrees * (np.arange(n_rows) + 0.5)
        east = -180 + self.degrees * (np.arange(2 * n_rows) + 0.5)
        latitude, longitude = np.meshgrid(north, east, indexing="ij")
        return latitude.ravel(), longitude.ravel()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its rasters."""
        n_rows = round(180 / self.degrees)
        return n_rows, 2 * n_rows

    @cached_property
    def cells(self) -> Ground:
        """What the cells of the raster are like, at their centres."""
        latitude, longitude = self.centres
        return self.ground(latitude=latitude, longitude=longitude)

    @cached_property
    def land(self) -> np.ndarray:
        """Which cells are land, by their centres."""
        return self.cells.elevation > 0

    @cached_property
    def areas(self) -> Points:
        """Relative areas of the cells."""
        return np.cos(np.radians(self.centres[0]))

    @cached_property
    def _scale(self) -> tuple[Float[np.ndarray, "20"], Float[np.ndarray, "20"]]:
        """Mean and deviation of each variable over the land's cells, not weighted by area."""
        land = self.cells.climate[self.land]
        return land.mean(axis=0), land.std(axis=0)

    def standardised(self, ground: Ground) -> Float[np.ndarray, "n 20"]:
        """Climate as z-scores over the land's cells, as SINR's raster is made."""
        mean, deviation = self._scale
        return (ground.climate - mean) / deviation

    def raster(self) -> Float16[np.ndarray, "h w 20"]:
        """The z-scored variables of all cells, NaN in the sea: the layout of SINR's file."""
        values = self.standardised(self.cells)
        values[~self.land] = np.nan
        return values.reshape(*self.shape, N_CLIMATE).astype(np.float16)

    @cached_property
    def _ranks(self) -> list[tuple[Points, Points]]:
        """For each axis values in rising order and their normal scores over the land's area."""
        found = []
        for values in _axes(self.cells)[self.land].T:
            order = np.argsort(values, kind="stable")
            share = np.cumsum(self.areas[self.land][order])
            share = (share - share[0] / 2) / (share[-1] + share[0])
            found.append((values[order], np.clip(ndtri(share), -_SCORE_LIMIT, _SCORE_LIMIT)))
        return found

    def axes(self, ground: Ground) -> Float[np.ndarray, "n 4"]:
        """Where n places stand on `AXES`, as normal scores over the land's area.

        So 0 is the land's median, and a species' trait, N(0, 1) too, is its place on the axis.
        """
        columns = zip(_axes(ground).T, self._ranks, strict=True)
        return np.column_stack([np.interp(one, values, score) for one, (values, score) in columns])


def _axes(ground: Ground) -> Float[np.ndarray, "n 4"]:
    return np.column_stack(
        [ground.bio[:, 0], np.log1p(ground.bio[:, 11]), ground.woodland, ground.elevation]
    )


def _quarters(months: Float[np.ndarray, "n 12"]) -> Float[np.ndarray, "n 12"]:
    return months + np.roll(months, -1, axis=1) + np.roll(months, -2, axis=1)


def bioclim(
    coldest: Float[np.ndarray, "n 12"],
    warmest: Float[np.ndarray, "n 12"],
    rain: Float[np.ndarray, "n 12"],
) -> Float[np.ndarray, "n 19"]:
    """The 19 variables of BIOCLIM from twelve months.

    Args:
        coldest: Mean daily minimum of each month, degrees C.
        warmest: Mean daily maximum.
        rain: Each month's, mm.
    """
    mean = (coldest + warmest) / 2
    # A quarter is three months on end, over the turn of the year too.
    wet, warm = _quarters(rain), _quarters(mean) / 3
    rows = np.arange(len(rain))
    wettest, driest = wet.argmax(axis=1), wet.argmin(axis=1)
    hottest, coolest = warm.argmax(axis=1), warm.argmin(axis=1)
    diurnal = (warmest - coldest).mean(axis=1)
    highest, lowest = warmest.max(axis=1), coldest.min(axis=1)
    return np.column_stack(
        [
            mean.mean(axis=1),
            diurnal,
            100 * diurnal / (highest - lowest),
            100 * mean.std(axis=1, ddof=1),
            highest,
            lowest,
            highest - lowest,
            warm[rows, wettest],
            warm[rows, driest],
            warm.max(axis=1),
            warm.min(axis=1),
            rain.sum(axis=1),
            rain.max(axis=1),
            rain.min(axis=1),
            100 * rain.std(axis=1, ddof=1) / (1 + rain.mean(axis=1)),
            wet.max(axis=1),
            wet.min(axis=1),
            wet[rows, hottest],
            wet[rows, coolest],
        ]
    )
