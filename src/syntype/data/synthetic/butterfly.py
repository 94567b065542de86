"""Butterflies: spread, with folded wings, and as caterpillars.

A wing is an outline r = R(angle) around its hinge, so that (r / R, angle) are its own coordinates:
borders and rows of spots follow the edge and veins run out from the hinge, as on real wings. The
frame has about the wing span as its unit and the head upwards (y < 0).
"""

from dataclasses import dataclass

import numpy as np

from syntype.data.synthetic.canvas import (
    Colour,
    Curve,
    Field,
    Frame,
    Layer,
    Planes,
    bump,
    cover,
    ellipse,
    mix,
    planes,
    ramp,
    rod,
)
from syntype.data.synthetic.look import Look
from syntype.data.synthetic.patterns import cells, marking, rings

_INK = np.array([0.09, 0.07, 0.06], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Wing:
    """One wing's coordinates.

    Attributes:
        r: Distance from the hinge.
        rho: 0 at the hinge, 1 at the edge.
        tau: 0 to 1 from the trailing to the leading edge.
        inside: Signed distance to the outline.
        px: Size of a pixel.
    """

    r: Field
    rho: Field
    tau: Field
    inside: Field
    px: float


def _wing(x: Field, y: Field, px: float, outline: Curve) -> _Wing:
    """The wing with its hinge at the origin; angles count from +x upwards."""
    r = np.hypot(x, y)
    angle = np.arctan2(-y, x)
    reach = np.maximum(outline(angle), np.float32(1e-3))
    steep = outline.slope(angle) / reach
    inside = (r - reach) / np.sqrt(1 + np.minimum(steep * steep, 6))
    span = outline.high - outline.low
    tau = (angle - np.float32(outline.low)) / np.float32(span)
    beyond = np.maximum(-tau, tau - 1) * np.float32(span)
    inside = np.where(beyond > 0, np.maximum(inside, r * np.sin(np.minimum(beyond, 1.5))), inside)
    return _Wing(r, r / reach, tau, inside, px)


def _fore_outline(look: Look) -> Curve:
    """The forewing: long and pointed, or short and round."""
    long = look.size("limb_length", 0.38, 0.53)
    broad = look.size("limb_breadth", 0.58, 1.08)
    hollow = look.size("arch", -0.12, 0.14)
    turn = look.size("slant", 6.0, -16.0)
    degrees = [-38, -26, -10, 8, 24, 38, 48, 58, 70]
    radii = [0.12, 0.58 * broad, 0.72 * broad, 0.80 - hollow * broad, 0.93, 1.0, 0.90, 0.55, 0.06]
    return Curve.through(
        [np.radians(d + turn) for d in degrees], [long * r for r in radii], smooth=12
    )


def _hind_outline(look: Look) -> Curve:
    """The hindwing, with a tail where the species has one."""
    long = look.size("limb_length", 0.30, 0.36)
    broad = look.size("depth", 0.75, 1.15)
    degrees = [-92, -84, -72, -58, -40, -20, 0, 16, 28]
    radii = [0.30, 0.68, 0.86, 0.98, 1.0 * broad, 1.02 * broad, 0.98, 0.75, 0.2]
    curve = Curve.through([np.radians(d) for d in degrees], [long * r for r in radii], smooth=12)
    tail = max(0.0, look.size("tail_length", -0.16, 0.20))
    grid = np.degrees(np.linspace(curve.low, curve.high, len(curve.table)))
    scallop = look.size("tail_fork", -0.012, 0.016)
    waves = max(0.0, scallop) * np.cos(np.radians(grid * 360 / 14)) * (grid < 10)
    spike = tail * np.exp(-(((grid + 62) / 6.5) ** 2))
    return Curve(curve.low, curve.high, (curve.table + spike + waves).astype(np.float32))


def _scales(wing: _Wing, look: Look, *, hind: bool) -> Planes:
    """Colours of a wing."""
    rho, tau, px = wing.rho, wing.tau, wing.px
    reach = 0.42
    base = mix(look.ground, look.dark, ramp(rho, 0.42, 0.0) * np.float32(0.55))
    if hind:
        base = mix(
            base, look.ornament, ramp(rho, 0.85, 0.3) * np.float32(look.size("crest", 0.0, 0.6))
        )
    # Along the wing is `u`; for bands to run along the edge they must depend on rho alone.
    marks = marking(
        look, rho * np.float32(0.62), (tau - np.float32(0.5)) * np.float32(0.5), 0.62 * px / reach
    )
    base = mix(base, look.marking, marks * ramp(rho, 0.12, 0.3) * np.float32(0.92))
    margin = look.size("margin", 0.02, 0.30)
    edge = ramp(rho, 1 - margin - 0.03, 1 - margin + 0.03)
    tip = (
        ramp(tau, 0.55, 0.85) * ramp(rho, 0.55, 0.75) if look.traits.mask > 0.4 and not hind else 0
    )
    base = mix(base, mix(look.dark, _INK, 0.6), np.maximum(edge, tip) * np.float32(0.92))
    if margin > 0.12:
        dots = cells(
            look,
            tau * 7,
            (rho - np.float32(1 - 0.5 * margin)) * np.float32(reach * 14) + np.float32(0.5),
            7 * px / 0.3,
            0.27,
        )
        near = np.abs(rho - np.float32(1 - 0.5 * margin)) < 0.5 / (reach * 14)
        base = mix(base, mix(look.ornament, look.belly, 0.35), dots * near * np.float32(0.9))
    veins = np.abs(((tau * 6) % 1) - np.float32(0.5)) * wing.r * np.float32(0.30)
    fine = bump(veins, 0.0, 0.0035 + 0.4 * px) * ramp(rho, 0.1, 0.35)
    return mix(base, mix(look.dark, _INK, 0.5), fine * np.float32(look.size("edge", 0.1, 0.6)))


def _eyespots(
    layer: Layer, wing: _Wing, look: Look, taus: tuple[float, ...], outline: Curve
) -> None:
    if look.traits.eyespots < 0.1:
        return
    radius = look.size("eyespots", 0.0, 0.062)
    for tau in taus:
        angle = outline.low + tau * (outline.high - outline.low)
        reach = 0.70 * float(outline(np.array([angle], dtype=np.float32))[0])
        turn = (wing.tau - np.float32(tau)) * np.float32(outline.high - outline.low)
        off = np.sqrt(
            np.maximum(
                wing.r**2 + np.float32(reach**2) - 2 * wing.r * np.float32(reach) * np.cos(turn), 0
            )
        )
        colour, share = rings(look, off / np.float32(radius), wing.px / radius)
        layer.paint(colour, share * cover(wing.inside, wing.px))


def _lay(
    layer: Layer, wing: _Wing, look: Look, outline: Curve, *, hind: bool, sheen: float
) -> None:
    soft = np.float32(0.35) * np.clip(1 - wing.inside / np.float32(0.03), 0, 1) * (wing.inside > 0)
    layer.shade(1 - soft)
    bright = (
        0.92 + np.float32(0.13 * sheen) * np.sin(2.5 * wing.tau + 2 * wing.rho) + 0.05 * wing.rho
    )
    layer.paint(np.clip(_scales(wing, look, hind=hind) * bright, 0, 1), cover(wing.inside, wing.px))
    _eyespots(layer, wing, look, (0.42, 0.62) if hind else (0.66,), outline)


def _feelers(
    layer: Layer, frame: Frame, look: Look, head: tuple[float, float], spread: float
) -> None:
    length = look.size("snout", 0.12, 0.22)
    for side in (-1, 1):
        tip = (head[0] + side * spread * length, head[1] - length)
        line = rod(frame.x, frame.y, head, tip, 0.004, 0.003)
        club = rod(frame.x, frame.y, (tip[0] - side * 0.008, tip[1] + 0.016), tip, 0.005, 0.009)
        layer.paint(_INK, np.float32(0.9) * cover(np.minimum(line, club), frame.px))


def _trunk(layer: Layer, frame: Frame, look: Look, colour: Colour) -> None:
    """Abdomen, thorax and head along the y axis."""
    fat = look.size("head", 0.85, 1.25)
    y = frame.y
    abdomen = rod(frame.x, y, (0.0, 0.03), (0.0, 0.24), 0.024 * fat, 0.011 * fat)
    thorax = ellipse(frame.x, y + np.float32(0.03), 0.033 * fat, 0.062)
    head = ellipse(frame.x, y + np.float32(0.105), 0.024 * fat, 0.022)
    rings_ = 0.85 + 0.15 * np.sin(y * np.float32(150 if frame.px < 0.012 else 80)) * (y > 0.05)
    shade = 1.12 - 14 * np.abs(frame.x)
    for part, tone in ((abdomen, rings_), (thorax, np.float32(0.95)), (head, np.float32(0.85))):
        layer.paint(np.clip(planes(colour) * tone * shade, 0, 1), cover(part, frame.px))


def draw_spread(layer: Layer, frame: Frame, look: Look, bend: float) -> None:
    """Wings open, from above; `bend` (-1 to 1) is how far they are raised."""
    fold = np.float32(1 / (0.93 + 0.07 * bend))
    x = np.abs(frame.x) * fold
    sweep = 0.10 * bend
    hind, fore = _hind_outline(look), _fore_outline(look)
    at = Frame(x - np.float32(0.012), frame.y - np.float32(0.035), frame.px).placed(
        angle=0.6 * sweep
    )
    _lay(layer, _wing(at.x, at.y, frame.px, hind), look, hind, hind=True, sheen=1.0)
    at = Frame(x - np.float32(0.012), frame.y + np.float32(0.045), frame.px).placed(angle=sweep)
    _lay(layer, _wing(at.x, at.y, frame.px, fore), look, fore, hind=False, sheen=1.0)
    _feelers(layer, frame, look, (0.0, -0.115), 0.55)
    _trunk(layer, frame, look, mix(look.dark, _INK, 0.45))


def draw_folded(layer: Layer, frame: Frame, look: Look, bend: float) -> None:
    """Wings closed over the back, from the right side; the head is to the right."""
    hind, fore = _hind_outline(look), _fore_outline(look)
    low = Frame(frame.x, frame.y - np.float32(0.22), frame.px)
    _feelers(layer, low.placed(x=0.13, y=-0.02, angle=0.8), look, (0.0, 0.0), 0.25)
    legs = [
        rod(low.x, low.y, (0.03 * i, 0.0), (0.03 * i + 0.02, 0.085), 0.004, 0.003)
        for i in (0, 1, 2)
    ]
    layer.paint(_INK, cover(np.minimum.reduce(legs), frame.px))
    trunk = low.placed(angle=np.pi / 2 - 0.12)
    _trunk(layer, trunk, look, mix(look.dark, _INK, 0.35))
    # The forewing leans forward, the hindwing lies over its lower half.
    at = low.placed(x=0.03, y=-0.01, angle=-0.95 - 0.08 * bend)
    _lay(layer, _wing(at.x, at.y, frame.px, fore), look, fore, hind=False, sheen=0.4)
    at = low.placed(x=0.01, y=-0.01, angle=-2.45 - 0.05 * bend)
    _lay(layer, _wing(at.x, -at.y, frame.px, hind), look, hind, hind=True, sheen=0.4)


def draw_larva(layer: Layer, frame: Frame, look: Look, bend: float) -> None:
    """A caterpillar from the side, head to the right."""
    length, thick = 0.72, look.size("depth", 0.055, 0.095)
    wave = look.size("arch", 0.01, 0.05) * (1 + 0.4 * bend)
    u = (np.float32(0.36) - frame.x) / np.float32(length)
    y = frame.y - np.float32(wave) * np.sin(7 * u + np.float32(bend))
    n = 11
    lobes = np.sqrt(np.abs(np.sin(np.float32(np.pi * n) * np.clip(u, 0, 1))))
    taper = np.clip(4 * u * (1 - u), 0, 1) ** np.float32(0.25)
    half = np.maximum(np.float32(thick) * taper * (0.86 + 0.14 * lobes), np.float32(1e-3))
    inside = np.maximum(np.abs(y) - half, np.maximum(-u, u - 1) * np.float32(length))
    _bristles(layer, frame, look, u, -y - half)
    for place in (0.10, 0.16, 0.22, 0.52, 0.61, 0.70, 0.79, 0.96):
        size = 0.012 if place < 0.3 else 0.019
        foot = rod(
            u * np.float32(length),
            y,
            (place * length, 0.6 * thick),
            (place * length, thick + 0.02),
            size,
            0.7 * size,
        )
        layer.paint(look.dark, cover(foot, frame.px))
    v = y / half
    base = mix(look.ground, look.belly, ramp(v, 0.2, 0.95) * np.float32(0.7))
    marks = marking(look, u, y / np.float32(length) * 2, 2 * frame.px / length)
    base = mix(base, look.marking, marks * ramp(v, 0.9, 0.4) * np.float32(0.9))
    stripe = bump(v, 0.35, 0.10) * np.float32(look.size("margin", 0.0, 0.9))
    base = mix(base, look.belly, stripe)
    creases = 0.80 + 0.20 * lobes
    light = 0.68 + 0.36 * np.sqrt(np.clip(1 - v * v, 0, 1)) - 0.08 * v
    layer.paint(np.clip(base * creases * light, 0, 1), cover(inside, frame.px))
    at = frame.placed(x=0.365, y=float(wave * np.sin(bend)))
    head = ellipse(at.x, at.y, 0.75 * thick, 0.82 * thick)
    shine = 1.1 - 5 * (at.y + np.float32(0.03))
    layer.paint(
        np.clip(planes(mix(look.ornament, look.dark, 0.55)) * shine, 0, 1), cover(head, frame.px)
    )
    eye = np.hypot(at.x - np.float32(0.3 * thick), at.y - np.float32(0.05 * thick)) - np.float32(
        0.18 * thick
    )
    layer.paint(_INK, cover(eye, frame.px))


def _bristles(layer: Layer, frame: Frame, look: Look, u: Field, away: Field) -> None:
    height = look.size("crest", -0.05, 0.10)
    if height < 0.01:
        return
    comb = np.abs(((u * 11) % 1) - np.float32(0.5)) * np.float32(2)
    spike = np.maximum(
        away - np.float32(height) * (1 - comb * np.float32(4)), np.maximum(-u, u - 1)
    )
    spike = np.maximum(spike, -away - np.float32(0.02))
    layer.paint(
        mix(look.dark, look.ornament, 0.4),
        np.float32(0.9) * cover(spike * np.float32(0.25), frame.px),
    )


def draw(layer: Layer, frame: Frame, look: Look, view: str, bend: float) -> None:
    """Paint a butterfly or its caterpillar in one of its views."""
    if view.startswith("lateral"):
        draw_larva(layer, frame, look, bend)
    elif view.startswith("folded"):
        draw_folded(layer, frame, look, bend)
    else:
        draw_spread(layer, frame, look, bend)
