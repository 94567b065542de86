"""Fish, from the side and from above.

The frame has the fish's length as its unit and its snout to the right, back upwards (y < 0).
`u` runs from the snout (0) to the root of the tail (1).
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
    mix,
    planes,
    ramp,
    rod,
)
from syntype.data.synthetic.look import Look
from syntype.data.synthetic.patterns import marking, rings

_SNOUT_X, _BODY = 0.46, 0.70
_U = [0.0, 0.03, 0.10, 0.22, 0.38, 0.55, 0.72, 0.88, 1.0]
_BACK = np.array([0.0, 0.26, 0.55, 0.86, 1.0, 0.93, 0.66, 0.33, 0.22])


@dataclass(frozen=True, eq=False)
class _Body:
    """The fish's own coordinates, for every pixel.

    Attributes:
        u: Along the body, 0 snout to 1 root of the tail.
        y: Across it, fish lengths, after its bend is undone.
        v: Across it, -1 back to 1 belly at the outline.
        top: Height of the back above the axis at u.
        bottom: Depth of the belly below the axis at u.
        inside: Signed distance to the outline.
        px: Size of a pixel.
    """

    u: Field
    y: Field
    v: Field
    top: Field
    bottom: Field
    inside: Field
    px: float


def _body(frame: Frame, back: Curve, belly: Curve, bend: float, phase: float) -> _Body:
    u = (np.float32(_SNOUT_X) - frame.x) / np.float32(_BODY)
    sway = np.float32(bend) * np.sin(np.float32(3.2) * u + np.float32(phase))
    y = frame.y - sway * np.clip(u, 0, 1.5)
    top, bottom = np.maximum(back(u), 1e-4), np.maximum(belly(u), 1e-4)
    upper = y < 0
    half = np.where(upper, top, bottom)
    slope = np.where(upper, back.slope(u), belly.slope(u)) / np.float32(_BODY)
    across = (np.abs(y) - half) / np.sqrt(1 + np.minimum(slope * slope, 9))
    ends = np.maximum(-u, u - 1) * np.float32(_BODY)
    return _Body(
        u, y, np.clip(y / half, -1.5, 1.5), top, bottom, np.maximum(across, ends), frame.px
    )


def _rays(along: Field, px: float, per_unit: float) -> Field:
    """Brightness of fin rays, fading out where they would be finer than two pixels."""
    strength = 0.16 * min(1.0, max(0.0, 1.6 - per_unit * px * 2.5))
    return 1 + np.float32(strength) * np.sin(np.float32(2 * np.pi * per_unit) * along)


def _fin_colour(look: Look, kind: str) -> Colour:
    share = look.size("margin", 0.1, 0.9) if kind != "pectoral" else 0.35
    return mix(mix(look.ground, look.belly, 0.15), look.ornament, share)


def _tail(layer: Layer, body: _Body, look: Look) -> None:
    length = look.size("tail_length", 0.13, 0.27)
    height = look.size("limb_breadth", 0.08, 0.20)
    fork = look.size("tail_fork", -0.35, 0.72)
    root = 0.035
    q = (body.u - np.float32(0.96)) * np.float32(_BODY / length)
    spread = root + (height - root) * np.clip(q, 0, 1) ** np.float32(0.8)
    reach = np.clip(np.abs(body.y) / np.float32(height), 0, 1.2)
    end = (
        1 - np.float32(fork) * (1 - reach ** np.float32(1.3))
        if fork > 0
        else 1 + np.float32(fork) * reach**2
    )
    inside = np.maximum(np.abs(body.y) - spread, np.maximum(q - end, -q) * np.float32(length))
    fan = np.arctan2(body.y, q * np.float32(length) + np.float32(0.06))
    colour = planes(_fin_colour(look, "tail")) * _rays(fan, body.px * 6, 7.0)
    tip = ramp(q, 0.55, 0.95) * np.float32(look.size("margin", 0.0, 0.8))
    layer.paint(mix(colour, look.dark, tip), np.float32(0.93) * cover(inside, body.px))


def _edge_fin(
    layer: Layer,
    body: _Body,
    look: Look,
    span: tuple[float, float],
    height: float,
    *,
    above: bool,
    spiny: float = 0.0,
) -> None:
    """A fin on the back or the belly between two places along the body."""
    away = (-body.y - body.top) if above else (body.y - body.bottom)
    t = (body.u - np.float32(0.55) * np.maximum(away, 0) - np.float32(span[0])) / np.float32(
        span[1] - span[0]
    )
    inner = np.clip(t, 0, 1)
    edge = inner ** np.float32(0.35) * (1 - inner) ** np.float32(0.45) * np.float32(1.45 * height)
    if spiny:
        teeth = np.abs(((inner * 9) % 1) - 0.5) * (1 - inner)
        edge = edge * (1 - np.float32(spiny) * teeth)
    outside = np.maximum(-t, t - 1) * np.float32(span[1] - span[0])
    inside = np.maximum(np.maximum(away - edge, -away - np.float32(0.05)), outside)
    colour = planes(_fin_colour(look, "back")) * _rays(t, body.px / (span[1] - span[0]), 11.0)
    rim = ramp(away / np.maximum(edge, np.float32(1e-3)), 0.6, 1.0) * np.float32(0.55)
    layer.paint(mix(colour, look.ornament, rim), np.float32(0.88) * cover(inside, body.px))


def _skin(body: _Body, look: Look, *, above: bool) -> Planes:
    """Colours of the body, before eyes and gills."""
    u, v = body.u, body.v
    if above:
        base = mix(look.ground, look.dark, (0.35 + 0.4 * bump(v, 0.0, 0.6)).astype(np.float32))
    else:
        shade = np.float32(look.size("countershading", 0.35, 1.0))
        base = mix(look.ground, look.belly, ramp(v, 0.05, 0.85) * shade)
        base = mix(base, look.dark, ramp(v, -0.45, -1.0) * np.float32(0.5) * shade)
    across = np.abs(body.y) if above else body.y
    marks = marking(look, u, across / np.float32(_BODY), body.px / _BODY)
    marks = marks * ramp(u, 0.06, 0.22) * np.float32(0.9)
    if not above:
        marks = marks * (1 - np.float32(0.75) * ramp(v, 0.45, 0.95))
    base = mix(base, look.marking, marks)
    if look.traits.mask > 0.3 and not above:
        bar = bump(u - np.float32(0.06) * v, 0.13 * look.size("head", 0.85, 1.25), 0.035)
        base = mix(base, look.dark, bar * np.float32(0.85))
    scales = np.sin(62 * u + 9 * v) * np.sin(62 * u - 9 * v)
    visible = 0.05 * min(1.0, max(0.0, 2.0 - 62 * body.px))
    return base * (1 + np.float32(visible) * scales)


def _gleam(body: _Body) -> Field:
    """Roundness: light from above falls off to the sides."""
    roof = np.clip(1 - body.v * body.v, 0, 1)
    return 0.70 + 0.32 * np.sqrt(roof) - 0.06 * body.v


def _eye(layer: Layer, frame: Frame, look: Look, at: tuple[float, float], radius: float) -> None:
    off = np.hypot(frame.x - np.float32(at[0]), frame.y - np.float32(at[1])) / np.float32(radius)
    px = frame.px / radius
    layer.paint(look.dark * np.float32(0.6), np.float32(0.6) * cover(off - np.float32(1.15), px))
    iris = mix(mix(look.ornament, look.belly, 0.4), look.belly, bump(off, 0.9, 0.3))
    layer.paint(iris, cover(off - 1, px))
    layer.paint(np.full(3, 0.04, np.float32), cover(off - np.float32(0.62), px))
    glint = np.hypot(
        frame.x - np.float32(at[0] + 0.25 * radius), frame.y - np.float32(at[1] - 0.3 * radius)
    )
    layer.paint(np.ones(3, np.float32), cover(glint / np.float32(radius) - np.float32(0.2), px))


def _profile(look: Look) -> tuple[Curve, Curve]:
    depth = look.size("depth", 0.062, 0.225) * (0.88 if look.young else 1.0)
    arch = look.size("arch", 0.7, 1.3)
    blunt = look.size("snout", 1.55, 0.55)
    us = [u**1.05 for u in _U]
    shape = _BACK.copy()
    shape[1:4] *= np.array([blunt, 0.5 + 0.5 * blunt, 0.8 + 0.2 * blunt])
    shape[6] *= look.size("tail_length", 1.15, 0.8)
    shape[-1] = 0.033 / depth
    shape[-2] = max(shape[-2], 0.04 / depth)
    back = Curve.through(us, list(shape * depth * arch), smooth=12)
    belly = Curve.through(us, list(shape * depth * (2 - arch)), smooth=12)
    return back, belly


def draw_lateral(layer: Layer, frame: Frame, look: Look, bend: float) -> None:
    """A fish from its right side, `bend` (about -1 to 1) being how far it is curved by swimming."""
    back, belly = _profile(look)
    body = _body(frame, back, belly, 0.02 * bend, 1.0)
    crest = look.size("crest", 0.03, 0.17)
    start = look.size("slant", 0.20, 0.46)
    _tail(layer, body, look)
    _edge_fin(layer, body, look, (0.60, 0.90), 0.75 * crest, above=False)
    _edge_fin(layer, body, look, (0.36, 0.50), look.size("limb_length", 0.05, 0.12), above=False)
    spiny = look.size("edge", 0.0, 0.7)
    _edge_fin(layer, body, look, (start, 0.86), crest, above=True, spiny=spiny)
    skin = _skin(body, look, above=False) * _gleam(body)
    skin = skin + np.float32(0.16) * bump(body.v, -0.45, 0.22) * ramp(body.u, 0.02, 0.2)
    head = look.size("head", 0.22, 0.29) * (1.12 if look.young else 1.0)
    gill = np.abs(
        np.hypot((body.u - np.float32(head - 0.10)) * np.float32(_BODY), body.y) - np.float32(0.075)
    )
    gill_line = (
        bump(gill, 0.0, 0.006 + frame.px * 0.5)
        * (body.u > head - 0.08)
        * ramp(np.abs(body.v), 0.95, 0.6)
    )
    skin = mix(skin, look.dark, gill_line * np.float32(0.65))
    layer.paint(np.clip(skin, 0, 1), cover(body.inside, body.px))
    mouth = rod(
        frame.x, frame.y, (_SNOUT_X - 0.012, 0.006), (_SNOUT_X - 0.055, 0.018), 0.004, 0.002
    )
    layer.paint(look.dark * np.float32(0.6), np.float32(0.8) * cover(mouth, frame.px))
    _spot_on_flank(layer, body, look)
    _pectoral(layer, frame, look, (_SNOUT_X - _BODY * (head + 0.03), 0.025))
    eye = look.size("eye", 0.024, 0.042) * (1.3 if look.young else 1.0)
    at = _SNOUT_X - _BODY * 0.52 * head
    lift = 0.42 * float(back(np.array([0.52 * head], dtype=np.float32))[0])
    _eye(layer, frame, look, (at, -lift), eye)


def _spot_on_flank(layer: Layer, body: _Body, look: Look) -> None:
    if look.traits.eyespots < 0.6:
        return
    radius = look.size("eyespots", 0.02, 0.055)
    place = 0.80 if look.traits.phase > 0 else 0.62
    off = np.hypot((body.u - np.float32(place)) * np.float32(_BODY), body.y + np.float32(0.02))
    colour, share = rings(look, off / np.float32(radius), body.px / radius)
    layer.paint(colour, share * cover(body.inside, body.px))


def _pectoral(layer: Layer, frame: Frame, look: Look, at: tuple[float, float]) -> None:
    """The fin behind the gill, half transparent."""
    length = look.size("limb_length", 0.07, 0.15)
    fin = frame.placed(x=at[0], y=at[1], angle=-0.45)
    x, y = -fin.x / np.float32(length), fin.y / np.float32(0.34 * length)
    inner = np.clip(x, 0, 1)
    width = np.sqrt(inner) * (1.02 - inner) ** np.float32(0.35) * np.float32(1.15)
    inside = np.maximum(
        (np.abs(y) - width) * np.float32(0.3 * length), np.maximum(-x, x - 1) * np.float32(length)
    )
    colour = planes(_fin_colour(look, "pectoral")) * _rays(
        np.arctan2(y, x + 0.3), frame.px * 14, 5.0
    )
    layer.paint(look.dark, np.float32(0.25) * cover(inside - np.float32(0.008), 4 * frame.px))
    layer.paint(colour, np.float32(0.72) * cover(inside, frame.px))


def draw_dorsal(layer: Layer, frame: Frame, look: Look, bend: float) -> None:
    """A fish from above."""
    width = look.size("depth", 0.075, 0.13)
    head = look.size("head", 0.9, 1.2) * (1.1 if look.young else 1.0)
    shape = np.array([0.25, 0.55 * head, 0.86 * head, 1.0, 0.97, 0.82, 0.60, 0.36, 0.17])
    curve = Curve.through(_U, list(shape * width), smooth=16)
    body = _body(frame, curve, curve, 0.05 * bend, 2.2)
    for side in (1.0, -1.0):
        _side_fin(layer, body, look, side)
    q = (body.u - np.float32(0.95)) * np.float32(_BODY / look.size("tail_length", 0.15, 0.25))
    blade = np.maximum(
        np.abs(body.y) - np.float32(0.020) * (1.2 - 0.8 * np.clip(q, 0, 1)),
        (np.abs(q - 0.5) - 0.5) * np.float32(0.18),
    )
    layer.paint(_fin_colour(look, "tail"), cover(blade, body.px))
    skin = _skin(body, look, above=True) * (0.66 + 0.38 * np.sqrt(np.clip(1 - body.v**2, 0, 1)))
    layer.paint(np.clip(skin, 0, 1), cover(body.inside, body.px))
    ridge = np.maximum(
        np.abs(body.y) - np.float32(0.008), np.abs(body.u - np.float32(0.56)) - np.float32(0.26)
    )
    layer.paint(_fin_colour(look, "back"), np.float32(0.85) * cover(ridge, body.px))
    radius = look.size("eye", 0.018, 0.03) * (1.25 if look.young else 1.0)
    place = 0.15
    x = _SNOUT_X - _BODY * place
    wide = float(curve(np.array([place], dtype=np.float32))[0])
    sway = 0.05 * bend * float(np.sin(3.2 * place + 2.2)) * place
    for side in (1, -1):
        _eye(layer, frame, look, (x, sway + side * 0.74 * wide), radius)


def _side_fin(layer: Layer, body: _Body, look: Look, side: float) -> None:
    """A pectoral fin spread to one side, seen from above."""
    length = look.size("limb_length", 0.17, 0.30)
    x = (body.u - np.float32(0.27)) * np.float32(_BODY)
    y = body.y * np.float32(side)
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    lobe = bump(angle, 0.85, 0.5) * np.float32(length)
    inside = (r - lobe) * np.float32(0.8)
    colour = planes(_fin_colour(look, "side")) * _rays(angle, body.px / 0.12, 4.0)
    rim = ramp(r / np.maximum(lobe, np.float32(1e-3)), 0.7, 1.0) * np.float32(0.5)
    layer.paint(mix(colour, look.ornament, rim), np.float32(0.8) * cover(inside, body.px))


def draw(layer: Layer, frame: Frame, look: Look, view: str, bend: float) -> None:
    """Paint a fish in one of its views."""
    if view.startswith("dorsal"):
        draw_dorsal(layer, frame, look, bend)
    else:
        draw_lateral(layer, frame, look, bend)
