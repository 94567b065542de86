"""Where the pictures are taken: reef, open water, drawer, foliage, meadow, sky, woodland.

A background is shared by many species and tells nothing about any: it is there to mislead. Its
soft shapes belong to the specimen, with a part that changes from shot to shot.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from syntype.data.synthetic.canvas import (
    Field,
    Frame,
    Planes,
    blur,
    bump,
    cover,
    mix,
    planes,
    ramp,
    rod,
    soft_noise,
)


def _rgb(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Place:
    """Where and how a background is painted.

    Attributes:
        frame: The picture's own frame.
        specimen: Generator of what all shots of a specimen share.
        shot: Generator of what this shot alone has.
        nuisance: 0 the same for all, 1 as in the field.
    """

    frame: Frame
    specimen: np.random.Generator
    shot: np.random.Generator
    nuisance: float

    def noise(self, cells: int, own: float = 0.5) -> Field:
        """Soft noise, a share `own` of which is the shot's."""
        size = len(self.frame.x)
        kept = soft_noise(self.specimen, size, cells) * np.float32(1 - own)
        return kept + soft_noise(self.shot, size, cells) * np.float32(own)

    def drift(self, width: float) -> float:
        """A number about 0 that belongs to the specimen, for hues and heights."""
        return float(self.specimen.normal() * width * self.nuisance)


def _tinted(colour: np.ndarray, place: Place, width: float = 0.035) -> np.ndarray:
    shift = np.array([place.drift(width) for _ in range(3)], dtype=np.float32)
    return np.clip(colour + shift, 0, 1)


def _reef(place: Place) -> Planes:
    frame = place.frame
    water = mix(
        _tinted(_rgb(0.30, 0.66, 0.78), place), _rgb(0.05, 0.24, 0.42), ramp(frame.y, -0.6, 0.4)
    )
    depth = frame.y - np.float32(0.18 + place.drift(0.06)) + np.float32(0.10) * place.noise(3)
    hues = (_rgb(0.72, 0.42, 0.38), _rgb(0.55, 0.45, 0.62), _rgb(0.75, 0.62, 0.36))
    coral = mix(
        hues[int(place.specimen.integers(3))],
        _rgb(0.16, 0.22, 0.27),
        ramp(place.noise(9), -0.6, 0.9),
    )
    coral = mix(coral, _rgb(0.10, 0.30, 0.42), np.float32(0.35) + 0 * frame.y)
    scene = mix(water, coral, ramp(depth, -0.03, 0.05))
    return scene + np.float32(0.03) * place.noise(5, own=0.9)


def _open_water(place: Place) -> Planes:
    frame = place.frame
    top, deep = _tinted(_rgb(0.44, 0.78, 0.88), place), _tinted(_rgb(0.03, 0.20, 0.42), place)
    scene = mix(top, deep, ramp(frame.y + np.float32(0.05) * place.noise(2), -0.65, 0.6))
    lean = 0.35 + place.drift(0.15)
    across = frame.x + np.float32(lean) * frame.y
    shafts = np.sin(across * 13 + np.float32(place.shot.uniform(0, 6))) + np.sin(
        across * 29 + np.float32(place.shot.uniform(0, 6))
    )
    return scene + np.float32(0.035) * shafts * ramp(frame.y, 0.45, -0.5)


def _drawer(place: Place) -> Planes:
    frame = place.frame
    paper = planes(_tinted(_rgb(0.865, 0.840, 0.775), place, 0.02))
    size = len(frame.x)
    grain = place.shot.standard_normal((size, size)).astype(np.float32)
    scene = paper * (1 + np.float32(0.010) * grain + np.float32(0.014) * place.noise(4))
    # A scale bar of black and white fields in the corner, as on museum plates.
    x, y = frame.x + np.float32(0.44), frame.y - np.float32(0.452)
    bar = np.maximum(np.abs(x - np.float32(0.12)) - np.float32(0.12), np.abs(y) - np.float32(0.010))
    rim = np.abs(bar) - np.float32(0.002)
    ink = np.where(np.floor(x / np.float32(0.06)) % 2 == 0, cover(bar, frame.px), 0)
    ink = np.maximum(ink, cover(rim, frame.px))
    return scene * (1 - np.float32(0.8) * ink)


def _foliage(place: Place) -> Planes:
    light, shade = _tinted(_rgb(0.56, 0.68, 0.32), place), _tinted(_rgb(0.14, 0.27, 0.13), place)
    scene = mix(shade, light, ramp(place.noise(3) + np.float32(0.5) * place.noise(6), -1.3, 1.5))
    return _blades(scene, place, n=3, colour=mix(light, shade, 0.35))


def _blades(scene: Planes, place: Place, n: int, colour: np.ndarray) -> Planes:
    """A few leaves out of focus."""
    frame = place.frame
    for _ in range(n):
        x, y, angle = place.specimen.uniform((-0.5, -0.5, -1.5), (0.5, 0.5, 1.5))
        leaf = frame.placed(x=float(x), y=float(y), angle=float(angle))
        t = np.clip(leaf.x / np.float32(0.34), -1, 1)
        half = np.float32(0.10) * (1 - t * t)
        share = np.clip(0.5 - (np.abs(leaf.y) - half) * 14, 0, 1) * (np.abs(t) < 1)
        tone = planes(colour) * (
            1 + np.float32(0.18) * np.sign(leaf.y) * ramp(np.abs(leaf.y), 0.0, 0.02)
        )
        scene = mix(scene, tone, share * np.float32(0.55))
    return scene


def _meadow(place: Place) -> Planes:
    frame = place.frame
    light, shade = _tinted(_rgb(0.66, 0.74, 0.40), place), _tinted(_rgb(0.28, 0.42, 0.20), place)
    scene = mix(light, shade, ramp(frame.y + np.float32(0.15) * place.noise(4), -0.5, 0.6))
    petals = (
        _rgb(0.95, 0.82, 0.25),
        _rgb(0.86, 0.45, 0.62),
        _rgb(0.95, 0.94, 0.90),
        _rgb(0.58, 0.48, 0.80),
    )
    colour = petals[int(place.specimen.integers(4))]
    for _ in range(5):
        x, y, r = place.specimen.uniform((-0.5, -0.5, 0.05), (0.5, 0.5, 0.10))
        off = np.hypot(frame.x - np.float32(x), frame.y - np.float32(y)) / np.float32(r)
        scene = mix(scene, colour, ramp(off, 1.15, 0.75) * np.float32(0.75))
        scene = mix(scene, _rgb(0.72, 0.52, 0.15), ramp(off, 0.4, 0.2) * np.float32(0.7))
    return scene


def _sky(place: Place) -> Planes:
    frame = place.frame
    zenith, low = _tinted(_rgb(0.36, 0.58, 0.84), place), _tinted(_rgb(0.80, 0.88, 0.94), place)
    scene = mix(zenith, low, ramp(frame.y, -0.6, 0.6))
    clouds = ramp(place.noise(3) + np.float32(0.45) * place.noise(7), 0.1, 1.5)
    return mix(scene, _rgb(0.97, 0.97, 0.97), clouds * np.float32(0.8))


def _woodland(place: Place) -> Planes:
    frame = place.frame
    scene = mix(
        _tinted(_rgb(0.70, 0.62, 0.46), place),
        _tinted(_rgb(0.27, 0.24, 0.19), place),
        ramp(place.noise(3), -1.0, 1.2),
    )
    for _ in range(3):
        x, lean, half = place.specimen.uniform((-0.5, -0.12, 0.03), (0.5, 0.12, 0.07))
        across = (frame.x - np.float32(x) + np.float32(lean) * frame.y) / np.float32(half)
        trunk = mix(_rgb(0.34, 0.27, 0.21), _rgb(0.20, 0.16, 0.13), ramp(across, -0.7, 0.9))
        scene = mix(scene, trunk, ramp(np.abs(across), 1.15, 0.8) * np.float32(0.6))
    return scene


_PAINTERS: dict[str, Callable[[Place], Planes]] = {
    "reef": _reef,
    "open water": _open_water,
    "drawer": _drawer,
    "foliage": _foliage,
    "meadow": _meadow,
    "sky": _sky,
    "woodland": _woodland,
}


def paint_background(name: str, place: Place) -> Planes:
    """The background called `name`, opaque, roughly in [0, 1]."""
    return _PAINTERS[name](place)


def perch(scene: Planes, place: Place, height: float) -> Planes:
    """A twig across the picture, its top at `height` in the middle, for a bird to sit on."""
    lean = place.drift(0.05)
    twig = place.frame.placed(y=height + 0.018, angle=lean)
    bow = twig.y + np.float32(0.08) * twig.x * twig.x * np.float32(1 + place.drift(0.8))
    half = 0.018 + 0.004 * np.sin(twig.x * 23 + np.float32(place.drift(3.0)))
    across = bow / half
    bark = mix(_rgb(0.50, 0.40, 0.31), _rgb(0.22, 0.17, 0.14), ramp(across, -0.8, 0.9))
    bark = bark * (1 + np.float32(0.08) * np.sin(twig.x * 90 + 4 * across))
    return mix(scene, bark, cover(np.abs(bow) - half, twig.px))


def leaf_below(scene: Planes, place: Place, height: float) -> Planes:
    """A stem for a caterpillar or a resting butterfly."""
    lean = place.drift(0.06)
    stem = place.frame.placed(y=height + 0.014, angle=lean)
    green = mix(_rgb(0.52, 0.62, 0.26), _rgb(0.22, 0.33, 0.13), ramp(stem.y, -0.014, 0.014))
    return mix(
        scene, green, cover(rod(stem.x, stem.y, (-0.6, 0.0), (0.6, 0.0), 0.016, 0.012), stem.px)
    )


def cast_shadow(scene: Planes, alpha: Field, background: str) -> Planes:
    """The animal's shadow: close and clear in a drawer, none where there is nothing behind."""
    if background != "drawer":
        return scene
    size = len(alpha)
    shift = max(1, round(0.022 * size))
    moved = np.zeros_like(alpha)
    moved[shift:, shift:] = alpha[:-shift, :-shift]
    return scene * (1 - np.float32(0.42) * blur(moved, 0.016))


def vignette(frame: Frame, strength: float, x: float, y: float) -> Field:
    """Brightness that falls off from (x, y)."""
    off = np.hypot(frame.x - np.float32(x), frame.y - np.float32(y))
    return 1 + np.float32(strength) * (bump(off, 0.0, 0.65) - np.float32(0.6))
