"""Markings fixed to the body: bands, stripes, spots, mesh, eyespots, in the body's coordinates.

`u` runs along the body and `v` across it, both in body lengths, so that a pattern turns, bends
and shrinks with its bearer. Each marking is a share in [0, 1] of the marking's colour, its edges
no sharper than a pixel.
"""

import numpy as np

from syntype.data.synthetic.canvas import Field, Planes, cover, planes
from syntype.data.synthetic.look import Look


def _threshold(wave: Field, look: Look, per_pixel: float) -> Field:
    """A wave in [-1, 1] cut at the look's duty, as sharp as the look and the pixels allow."""
    gain = min(1.2 * look.edge, 0.5 / max(per_pixel, 1e-3))
    return np.clip(0.5 + (wave - np.float32(look.duty)) * np.float32(gain), 0, 1)


def _wobbled(look: Look, u: Field, v: Field) -> tuple[Field, Field]:
    """Coordinates with a specimen's own gentle irregularity."""
    a, b, c, d = (float(value) for value in look.jitter[0, :4])
    du = np.sin(7 * v + np.float32(3 * a) + 5 * u) * np.float32(0.012 + 0.006 * b)
    dv = np.sin(9 * u + np.float32(3 * c)) * np.float32(0.012 + 0.006 * d)
    return u + du, v + dv


def cells(look: Look, u: Field, v: Field, px: float, radius: float) -> Field:
    """Spots, one in each brick of a wall, each a little out of place and size."""
    row = np.floor(v)
    along = u + np.float32(0.5) * (row % 2)
    column = np.floor(along)
    i, j = row.astype(np.int32) & 7, column.astype(np.int32) & 7
    push, swell = look.jitter[i, j], look.jitter[j, (i + 3) & 7]
    off_u = along - column - np.float32(0.5) + np.float32(0.14) * push
    off_v = v - row - np.float32(0.5) + np.float32(0.14) * swell
    return cover(np.hypot(off_u, off_v) - np.float32(radius) * (1 + np.float32(0.18) * swell), px)


def marking(look: Look, u: Field, v: Field, px: float) -> Field:
    """Where the look's pattern shows on a body with coordinates (u, v)."""
    if look.pattern == "plain":
        return np.zeros_like(u)
    u, v = _wobbled(look, u, v)
    turn = np.float32(2 * np.pi * look.frequency)
    per_pixel = float(turn) * px
    phase = np.float32(look.phase)
    if look.pattern == "bands":
        return _threshold(
            np.sin(turn * (u + np.float32(0.35 * look.slant) * v) + phase), look, per_pixel
        )
    if look.pattern == "stripes":
        lean = np.float32(0.12 * look.slant)
        return _threshold(np.sin(1.6 * turn * (v + lean * u) + phase), look, 1.6 * per_pixel)
    density = 1.5 * look.frequency
    if look.pattern == "spots":
        crisp = max(density * px, 0.30 - 0.06 * look.edge)
        shift = np.float32(look.phase)
        radius = 0.30 - 0.22 * look.duty
        return cells(look, u * np.float32(density) + shift, v * np.float32(density), crisp, radius)
    waves = [
        np.sin(
            turn * (np.float32(np.cos(t)) * u + np.float32(np.sin(t)) * v) + phase + np.float32(k)
        )
        for k, t in enumerate((0.3, 0.3 + np.pi / 3, 0.3 + 2 * np.pi / 3))
    ]
    total = np.abs(waves[0] + waves[1] + waves[2]) - np.float32(0.7)
    return _threshold(-total, look, per_pixel)


def rings(look: Look, distance: Field, px: float) -> tuple[Planes, Field]:
    """Colours and share of an eyespot, given the distance from its centre in radii."""
    pupil = cover(distance - np.float32(0.45), px)
    iris = cover(distance - np.float32(0.75), px)
    rim = cover(distance - 1, px)
    light = cover(np.abs(distance) - np.float32(0.13), px)
    colour = planes(look.dark) * (1 - iris) + planes(look.ornament) * iris
    colour = colour * (1 - pupil) + np.float32(0.06) * pupil
    return colour * (1 - light) + np.float32(0.95) * light, rim
