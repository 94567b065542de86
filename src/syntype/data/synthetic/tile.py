"""A satellite picture of a place: what grows there, snow, water, bare ground, fields and roads.

About 10 km from above. The ground's cover follows the place's climate (`planet.Ground`): trees
where woodland is, grass that is green where it rains and straw where it does not, bare soil in the
desert, snow where it is cold or high, rock on steep slopes, a river where water comes together,
the sea where the planet has it, fields and a road where people are. So a tile tells of the climate
what the eye can see from above, and of the soil and the woods what the climate alone does not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from scipy.special import expit

from syntype.data.synthetic.canvas import (
    Field,
    Frame,
    Planes,
    blur,
    mix,
    picture_frame,
    planes,
    ramp,
    soft_noise,
)


def _rgb(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Scenery:
    """What a tile shows, numbers of one place.

    Attributes:
        elevation: Metres.
        warmth: Mean annual temperature, degrees C.
        coldest: Minimum of the coldest month, degrees C.
        rain: Of the year, mm.
        productivity: 0 nothing grows to 1 rain forest.
        woodland: Share under trees.
        soil: Redness of the ground, about N(0, 1).
        people: Effort, 0 wild to 1 a city.
        shore: Elevation in metres at the tile's north, east, south and west edges, for the sea.
    """

    elevation: float
    warmth: float
    coldest: float
    rain: float
    productivity: float
    woodland: float
    soil: float
    people: float
    shore: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class _Land:
    """The lie of the land within a tile."""

    frame: Frame
    relief: Field
    light: Field
    detail: Field

    @classmethod
    def lay(cls, size: int, rugged: float, rng: np.random.Generator) -> "_Land":
        octaves = ((3, 1.0), (6, 0.5), (12, 0.26), (24, 0.13))
        relief = sum(soft_noise(rng, size, n) * np.float32(w) for n, w in octaves)
        assert isinstance(relief, np.ndarray)
        down, right = np.gradient(relief * np.float32(size / 64))
        light = 1 + np.float32(rugged) * np.clip(-(down + right) * size / 64, -1.5, 1.5)
        detail = soft_noise(rng, size, max(8, size // 4))
        return cls(picture_frame(size), relief, light.astype(np.float32), detail)


def paint_tile(
    scenery: Scenery, *, size: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """A tile, north up.

    Args:
        scenery: The place.
        size: Side, pixels.
        rng: What the climate does not say: hills, the river's bends, the fields' hues.
    """
    rugged = float(np.clip(scenery.elevation / 4500, 0.03, 0.45))
    land = _Land.lay(size, rugged, rng)
    woods = _patches(
        soft_noise(rng, size, 5) + np.float32(0.6) * soft_noise(rng, size, 14), scenery.woodland
    )
    scene = mix(_open_ground(scenery, land), _forest(scenery, land), woods)
    scene = _fields(scene, scenery, land, woods, rng)
    scene = _rock(scene, scenery, land)
    scene = scene * land.light
    scene = _snow(scene, scenery, land)
    scene = _water(scene, scenery, land, rng)
    scene = _road(scene, scenery, land, rng)
    haze = np.float32(rng.uniform(0.0, 0.10))
    scene = mix(scene, planes(_rgb(0.78, 0.83, 0.88)), float(haze)) * np.float32(
        rng.uniform(0.93, 1.07)
    )
    scene = scene + rng.standard_normal((size, size)).astype(np.float32) * np.float32(0.012)
    return np.ascontiguousarray(
        (np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    )


def _patches(noise: Field, share: float) -> Field:
    """1 over a share of the tile where `noise` is high, with soft rims."""
    if share <= 0.01:
        return np.zeros_like(noise)
    level = float(np.quantile(noise, 1 - share)) if share < 0.995 else float(noise.min()) - 1
    return ramp(noise, level - 0.12, level + 0.12)


def _open_ground(scenery: Scenery, land: _Land) -> Planes:
    """Bare ground, straw and grass, by how much grows."""
    redness = float(np.clip(0.5 + 0.28 * scenery.soil, 0, 1))
    bare = mix(_rgb(0.80, 0.74, 0.60), _rgb(0.68, 0.43, 0.28), redness)
    straw = mix(_rgb(0.72, 0.66, 0.42), _rgb(0.58, 0.54, 0.40), 0.3 * redness)
    # Tundra is brown, steppe straw, wet meadows green.
    green = mix(
        _rgb(0.52, 0.52, 0.34), _rgb(0.42, 0.58, 0.24), float(expit((scenery.warmth - 2) / 3))
    )
    grown = np.float32(scenery.productivity) + np.float32(0.07) * land.relief
    ground = mix(mix(bare, straw, ramp(grown, 0.02, 0.16)), green, ramp(grown, 0.14, 0.42))
    dunes = np.sin(land.frame.x * 60 + 6 * land.relief) * np.float32(0.035)
    desert = ramp(grown, 0.12, 0.02)
    return ground * (1 + np.float32(0.05) * land.detail + dunes * desert)


def _forest(scenery: Scenery, land: _Land) -> Planes:
    """Dark and bluish in the north, deep green in the tropics, olive where it is dry."""
    boreal, tropical, dry = _rgb(0.13, 0.24, 0.19), _rgb(0.10, 0.33, 0.12), _rgb(0.33, 0.38, 0.19)
    kind = mix(boreal, tropical, float(expit((scenery.warmth - 13) / 4)))
    kind = mix(
        kind, dry, float(expit((650 - scenery.rain) / 130)) * float(expit((scenery.warmth - 8) / 3))
    )
    crowns = np.float32(0.16) * land.detail
    return kind[:, None, None] * (1 + crowns)


def _fields(
    scene: Planes, scenery: Scenery, land: _Land, woods: Field, rng: np.random.Generator
) -> Planes:
    """Strips of crops where people are and it is neither too dry, too cold nor too high."""
    fertile = float(
        expit((scenery.productivity - 0.15) * 20) * expit((2500 - scenery.elevation) / 300)
    )
    share = float(np.clip(1.3 * scenery.people, 0, 0.75)) * fertile
    angle, across, along = rng.uniform(0, np.pi), rng.uniform(7, 12), rng.uniform(4, 7)
    region = _patches(soft_noise(rng, len(land.relief), 4), share)
    turned = land.frame.placed(angle=float(angle))
    row = np.floor(turned.y * np.float32(across)).astype(int)
    column = np.floor(turned.x * np.float32(along) + np.float32(0.37) * row).astype(int)
    hues = np.stack(
        [
            _rgb(0.45, 0.62, 0.22),
            _rgb(0.78, 0.70, 0.38),
            _rgb(0.50, 0.38, 0.26),
            _rgb(0.33, 0.50, 0.20),
        ]
    )
    plot = hues[rng.integers(len(hues), size=(40, 40))[row % 40, column % 40]].transpose(2, 0, 1)
    return mix(
        scene, plot * (1 + np.float32(0.03) * land.detail), region * (1 - np.float32(0.75) * woods)
    )


def _rock(scene: Planes, scenery: Scenery, land: _Land) -> Planes:
    steep = np.float32(np.clip((scenery.elevation - 1500) / 3000, 0, 0.8))
    return mix(
        scene,
        _rgb(0.50, 0.47, 0.44),
        steep * ramp(land.relief + np.float32(0.4) * land.detail, 0.0, 1.2),
    )


def _snow(scene: Planes, scenery: Scenery, land: _Land) -> Planes:
    """All year where the mean is far below 0, in patches on the heights where it is about that."""
    cold = (-scenery.warmth - 3.0) / 5 + 0.4 * scenery.elevation / 4000
    share = ramp(np.float32(cold) + np.float32(0.45) * land.relief, -0.1, 0.7)
    dusting = np.float32(0.22 * expit((-scenery.coldest - 22) / 4)) * ramp(land.relief, -0.4, 1.0)
    white = _rgb(0.94, 0.96, 0.98)[:, None, None] * (0.75 + np.float32(0.25) * land.light)
    return mix(scene, white, np.maximum(share, dusting))


def _water(scene: Planes, scenery: Scenery, land: _Land, rng: np.random.Generator) -> Planes:
    """The sea, and rivers and lakes where more rain falls."""
    size = len(land.relief)
    north, east, south, west = scenery.shore
    x, y = land.frame.x + np.float32(0.5), land.frame.y + np.float32(0.5)
    height = np.float32(0.5) * (
        np.float32(north) * (1 - y)
        + np.float32(south) * y
        + np.float32(west) * (1 - x)
        + np.float32(east) * x
    )
    sea = ramp(height + np.float32(12) * land.relief, 3.0, -3.0)
    blue = mix(_rgb(0.12, 0.36, 0.48), _rgb(0.05, 0.16, 0.32), ramp(height, -5.0, -120.0))
    scene = mix(scene, blue, sea)
    lake = _patches(soft_noise(rng, size, 4), float(0.16 * expit((scenery.rain - 1300) / 350)))
    fresh = mix(
        _rgb(0.13, 0.27, 0.33), _rgb(0.86, 0.91, 0.94), float(expit((-scenery.warmth - 4) / 2))
    )
    scene = mix(scene, fresh, lake)
    width = 0.010 + 0.018 * float(np.clip(scenery.rain / 2500, 0, 1))
    there = float(expit((scenery.rain - 250) / 120))
    turned = land.frame.placed(
        angle=float(rng.uniform(0, np.pi)), x=float(rng.uniform(-0.25, 0.25))
    )
    bends = np.float32(0.10) * np.sin(turned.y * 9 + np.float32(rng.uniform(0, 6)))
    meanders = np.float32(0.05) * np.sin(turned.y * 21 + np.float32(rng.uniform(0, 6)))
    river = ramp(np.abs(turned.x + bends + meanders), width + 0.012, width - 0.004) * np.float32(
        there
    )
    return mix(scene, fresh, river * (1 - sea))


def _road(scene: Planes, scenery: Scenery, land: _Land, rng: np.random.Generator) -> Planes:
    """A road, and houses where a city is near."""
    turned = land.frame.placed(angle=float(rng.uniform(0, np.pi)), x=float(rng.uniform(-0.3, 0.3)))
    line = ramp(np.abs(turned.x + np.float32(0.04) * np.sin(turned.y * 5)), 0.014, 0.005)
    scene = mix(
        scene, _rgb(0.62, 0.60, 0.57), line * np.float32(expit((scenery.people - 0.2) / 0.05))
    )
    town = _patches(
        blur(land.detail, 0.012) + np.float32(0.7) * soft_noise(rng, len(land.relief), 3),
        0.5 * max(0.0, scenery.people - 0.5),
    )
    return mix(scene, _rgb(0.66, 0.63, 0.62), town * np.float32(0.8))
