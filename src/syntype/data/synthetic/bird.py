"""Birds, perched and in flight.

Perched, the frame has the length from beak to tail as its unit, the beak to the right, up is
y < 0. In flight, seen from above, the wing span is the unit and the head points up.
"""

import numpy as np

from syntype.data.synthetic.canvas import (
    Curve,
    Field,
    Frame,
    Layer,
    Planes,
    bump,
    cover,
    ellipse,
    join,
    mix,
    planes,
    ramp,
    rod,
)
from syntype.data.synthetic.look import Look
from syntype.data.synthetic.patterns import marking

FEET = 0.33  # how far below the frame's origin a perched bird's feet are
_BLACK = np.array([0.05, 0.05, 0.055], dtype=np.float32)


def _beak(layer: Layer, head: Frame, look: Look, radius: float) -> None:
    length = look.size("snout", 0.045, 0.24)
    thick = look.size("limb_breadth", 0.020, 0.042)
    droop = look.size("phase", -0.015, 0.05) * length / 0.15
    root = (0.82 * radius, 0.01)
    tip = (0.82 * radius + length, 0.015 + droop)
    middle = (0.5 * (root[0] + tip[0]), 0.01)
    shape = np.minimum(
        rod(head.x, head.y, root, middle, thick, 0.62 * thick),
        rod(head.x, head.y, middle, tip, 0.62 * thick, 0.004),
    )
    colour = mix(look.ornament, _BLACK, 0.75 if look.traits.mask > 0 else 0.15)
    tone = 1.1 - (head.y - np.float32(0.01)) * np.float32(9)
    layer.paint(np.clip(planes(colour) * tone, 0, 1), cover(shape, head.px))
    gape = rod(head.x, head.y, root, (tip[0] - 0.02, tip[1] - 0.003), 0.003, 0.002)
    layer.paint(_BLACK, np.float32(0.5) * cover(gape, head.px))


def _eye(layer: Layer, head: Frame, look: Look, at: tuple[float, float], radius: float) -> None:
    off = np.hypot(head.x - np.float32(at[0]), head.y - np.float32(at[1])) / np.float32(radius)
    px = head.px / radius
    layer.paint(
        mix(look.ornament, look.belly, 0.5), np.float32(0.9) * cover(off - np.float32(1.35), px)
    )
    layer.paint(_BLACK, cover(off - np.float32(1.0), px))
    glint = np.hypot(
        head.x - np.float32(at[0] + 0.3 * radius), head.y - np.float32(at[1] - 0.35 * radius)
    )
    layer.paint(np.ones(3, np.float32), cover(glint / np.float32(radius) - np.float32(0.28), px))


def _plumage(look: Look, u: Field, v: Field, head: Frame, radius: float, px: float) -> Planes:
    """Colours of body and head: `u` 0 breast to 1 rump, `v` -1 back to 1 belly."""
    shade = np.float32(look.size("countershading", 0.55, 1.0))
    base = mix(look.ground, look.belly, ramp(v, -0.1, 0.55) * shade)
    warm = bump(u, 0.15, 0.30) * ramp(v, -0.2, 0.4) * np.float32(look.size("crest", 0.0, 0.85))
    base = mix(base, look.ornament, warm)
    marks = marking(look, u * np.float32(0.8), v * np.float32(0.28), px * 2.2)
    zone = ramp(v, -0.3, 0.3) if look.traits.phase > -0.4 else np.float32(0.8)
    base = mix(base, look.marking, marks * zone * np.float32(0.8))
    near = ramp(np.hypot(head.x, head.y), 1.25 * radius, 0.95 * radius)
    face = mix(look.ground, look.dark, 0.25)
    base = mix(base, face, near * np.float32(0.75))
    if look.traits.margin > -0.2:
        cap = ramp(head.y + np.float32(0.25) * head.x, -0.1 * radius, -0.45 * radius) * near
        base = mix(base, mix(look.ornament, look.marking, 0.3), cap * np.float32(0.95))
    if look.traits.mask > -0.1:
        line = bump(head.y + np.float32(0.1 * radius), 0.0, 0.24 * radius) * near
        base = mix(base, mix(look.dark, _BLACK, 0.7), line * np.float32(0.9))
    if look.traits.eyespots > 0.3:
        bib = ramp(head.y - np.float32(0.4) * head.x, 0.1 * radius, 0.5 * radius) * ramp(
            np.hypot(head.x - np.float32(0.4 * radius), head.y - radius), 1.2 * radius, 0.9 * radius
        )
        base = mix(base, look.marking, bib * np.float32(0.9))
    return base


def _folded_wing(layer: Layer, body: Frame, look: Look, length: float, depth: float) -> None:
    """The wing at rest over the flank: covert rows, wing bars, dark quills."""
    wing = body.placed(x=0.10 * length / 0.3, y=-0.10 * depth, angle=-0.10)
    long = look.size("limb_length", 1.35, 1.9) * length
    t = -wing.x / np.float32(long)
    inner = np.clip(t + np.float32(0.12), 0, 1.12)
    half = (
        np.float32(1.35 * depth) * np.sqrt(inner) * np.maximum(1.12 - inner, 0) ** np.float32(0.7)
    )
    drop = np.float32(0.12 * depth) + np.float32(-0.10 * depth) * t
    inside = np.maximum(
        (np.abs(wing.y - drop) - half) * np.float32(0.8),
        np.maximum(-t - np.float32(0.12), t - 1) * np.float32(long),
    )
    base = mix(mix(look.ground, look.dark, 0.30), look.dark, ramp(t, 0.35, 0.85))
    marks = marking(look, t * np.float32(0.5), wing.y / np.float32(0.8), 2.2 * body.px)
    base = mix(base, look.marking, marks * ramp(t, 0.55, 0.2) * np.float32(0.5))
    bars = bump(t, 0.24, 0.035) + bump(t, 0.42, 0.035)
    base = mix(base, look.belly, np.clip(bars, 0, 1) * np.float32(look.size("margin", 0.0, 0.95)))
    quills = np.sin((wing.y - drop) * np.float32(150) + t * 6) * ramp(t, 0.3, 0.6)
    base = base * (1 + np.float32(0.12 * min(1.0, 0.012 / body.px)) * quills)
    layer.shade(1 - np.float32(0.22) * np.clip(1 - inside / np.float32(0.035), 0, 1) * (inside > 0))
    light = 1.05 - (wing.y - drop) * np.float32(1.3)
    layer.paint(np.clip(base * light, 0, 1), cover(inside, body.px))


def _rest_tail(layer: Layer, body: Frame, look: Look, length: float) -> None:
    """The tail at rest, with its fork and its band."""
    long = look.size("tail_length", 0.20, 0.46)
    tail = body.placed(x=-0.80 * length, y=-0.01, angle=0.18)
    t = -tail.x / np.float32(long)
    half = np.float32(0.030) + np.float32(look.size("limb_breadth", 0.012, 0.04)) * np.clip(t, 0, 1)
    notch = np.float32(look.size("tail_fork", -0.10, 0.25))
    end = 1 - notch * (1 - np.abs(tail.y) / half)
    inside = np.maximum(np.abs(tail.y) - half, np.maximum(t - end, -t) * np.float32(long))
    colour = mix(
        mix(look.ground, look.dark, 0.7),
        look.marking,
        ramp(t, 0.72, 0.85) * np.float32(look.size("edge", 0.0, 0.9)),
    )
    quills = 1 + np.float32(0.10) * np.sin(tail.y * np.float32(200))
    layer.paint(np.clip(colour * quills, 0, 1), cover(inside, body.px))


def draw_perched(layer: Layer, frame: Frame, look: Look, bend: float) -> None:
    """A bird at rest, from its right side; `bend` (-1 to 1) is how upright it sits."""
    length = 0.265 * (0.92 if look.young else 1.0)
    depth = look.size("depth", 0.115, 0.19) * (1.08 if look.young else 1.0)
    tilt = -look.size("slant", 0.35, 0.85) - 0.12 * bend
    body = frame.placed(x=0.02, y=0.06, angle=tilt)
    radius = look.size("head", 0.082, 0.128) * (1.12 if look.young else 1.0)
    reach = look.size("arch", 0.80, 1.30) * length
    at = (
        0.02 + reach * float(np.cos(tilt)) + 0.015,
        0.06 + reach * float(np.sin(tilt)) - 0.055,
    )
    head = frame.placed(x=at[0], y=at[1], angle=0.10 * bend)
    for side in (0.0, 0.06):
        x = 0.0 + side
        leg = rod(frame.x, frame.y, (x, 0.14), (x + 0.01, FEET), 0.011, 0.008)
        toes = rod(frame.x, frame.y, (x - 0.025, FEET), (x + 0.045, FEET), 0.009, 0.007)
        tone = mix(look.ornament, _BLACK, 0.55 + 3 * side)
        layer.paint(tone, cover(np.minimum(leg, toes), frame.px))
    _rest_tail(layer, body, look, length)
    _crest(layer, head, look, radius)
    _beak(layer, head, look, radius)
    trunk = ellipse(body.x, body.y, length, depth)
    rump = rod(body.x, body.y, (-0.4 * length, -0.01), (-1.02 * length, -0.01), 0.55 * depth, 0.035)
    skull = np.hypot(head.x, head.y) - np.float32(radius)
    neck = rod(
        frame.x,
        frame.y,
        (0.02 + 0.10 * np.cos(tilt), 0.06 + 0.10 * np.sin(tilt)),
        at,
        0.45 * depth,
        0.5 * radius,
    )
    whole = join(join(join(trunk, rump, 0.06), neck, 0.05), skull, 0.07)
    u = (np.float32(length) - body.x) / np.float32(2 * length)
    v = np.clip(body.y / np.float32(depth), -1.3, 1.3)
    skin = _plumage(look, u, v, head, radius, frame.px)
    # Rounded by its own distance field: darker towards the outline, lighter above.
    core = np.clip(-whole / np.float32(0.10), 0, 1)
    light = 0.72 + 0.30 * np.sqrt(core) - 0.25 * (frame.y - np.float32(at[1]) - 0.1)
    down = np.sin(frame.x * 190 + 3 * np.sin(frame.y * 60)) * np.sin(frame.y * 170 + frame.x * 40)
    light = light + np.float32(0.03 * min(1.0, 0.010 / frame.px)) * down
    layer.paint(np.clip(skin * light, 0, 1), cover(whole, frame.px))
    _folded_wing(layer, body, look, length, depth)
    eye = look.size("eye", 0.017, 0.028) * (1.2 if look.young else 1.0)
    _eye(layer, head, look, (0.35 * radius, -0.14 * radius), eye)


def _crest(layer: Layer, head: Frame, look: Look, radius: float) -> None:
    height = look.size("crest", -0.12, 0.17)
    if height < 0.02:
        return
    plumes = [
        rod(
            head.x,
            head.y,
            (-0.1 * radius, -0.6 * radius),
            (-0.5 * radius - k * height, -radius - height * (1 - 0.45 * k)),
            0.45 * radius,
            0.004,
        )
        for k in (0.3, 0.8, 1.3)
    ]
    colour = mix(look.ornament, look.marking, 0.3)
    layer.paint(colour, cover(np.minimum.reduce(plumes), head.px))


def draw_flight(layer: Layer, frame: Frame, look: Look, bend: float) -> None:
    """A bird on spread wings from above; `bend` (-1 to 1) is how far it banks and beats."""
    tilt = np.where(frame.x > 0, np.float32(1 + 0.12 * bend), np.float32(1 - 0.12 * bend))
    x = np.abs(frame.x) * tilt
    _flight_tail(layer, frame, look)
    _spread_wing(layer, x, frame, look, bend)
    width = look.size("depth", 0.055, 0.085)
    trunk = ellipse(frame.x, frame.y - np.float32(0.02), width, 0.19)
    radius = look.size("head", 0.045, 0.062) * (1.12 if look.young else 1.0)
    head = Frame(frame.y + np.float32(0.20), frame.x, frame.px)
    _flight_beak(layer, frame, look, radius)
    skull = np.hypot(head.x, head.y) - np.float32(radius)
    whole = join(trunk, skull, 0.06)
    u = (frame.y + np.float32(0.2)) / np.float32(0.4)
    across = np.abs(frame.x) / np.float32(width)
    marks = marking(look, u * np.float32(0.6), across * np.float32(0.12), 2.2 * frame.px)
    skin = mix(look.ground, look.marking, marks * np.float32(0.7) * ramp(u, 0.1, 0.3))
    near = ramp(np.hypot(head.x, head.y), 1.2 * radius, 0.9 * radius)
    crown = mix(look.ornament, look.marking, 0.3) if look.traits.margin > -0.2 else look.dark
    skin = mix(skin, crown, near * np.float32(0.9))
    if look.traits.mask > -0.1:
        eyeline = bump(np.abs(frame.x), 0.8 * radius, 0.3 * radius) * near
        skin = mix(skin, mix(look.dark, _BLACK, 0.7), eyeline)
    light = 0.74 + 0.30 * np.sqrt(np.clip(-whole / np.float32(0.05), 0, 1))
    layer.paint(np.clip(skin * light, 0, 1), cover(whole, frame.px))


def _flight_beak(layer: Layer, frame: Frame, look: Look, radius: float) -> None:
    long = 0.5 * look.size("snout", 0.06, 0.20)
    beak = rod(
        frame.x,
        frame.y,
        (0.0, -0.2 - 0.7 * radius),
        (0.0, -0.21 - radius - long),
        0.4 * radius,
        0.003,
    )
    colour = mix(look.ornament, _BLACK, 0.75 if look.traits.mask > 0 else 0.15)
    layer.paint(colour, cover(beak, frame.px))


def _flight_tail(layer: Layer, frame: Frame, look: Look) -> None:
    long = 0.75 * look.size("tail_length", 0.20, 0.46)
    t = (frame.y - np.float32(0.14)) / np.float32(long)
    fan = np.float32(0.035) + np.float32(look.size("limb_breadth", 0.03, 0.10)) * np.clip(t, 0, 1)
    notch = np.float32(look.size("tail_fork", -0.18, 0.40))
    side = np.abs(frame.x) / fan
    inside = np.maximum(
        np.abs(frame.x) - fan, np.maximum(t - (1 - notch * (1 - side)), -t) * np.float32(long)
    )
    base = mix(look.ground, look.dark, 0.6)
    base = mix(base, look.marking, ramp(t, 0.70, 0.82) * np.float32(look.size("edge", 0.0, 0.9)))
    quills = 1 + np.float32(0.12) * np.sin(frame.x / fan * 11)
    layer.paint(np.clip(base * quills, 0, 1), cover(inside, frame.px))


def _spread_wing(layer: Layer, x: Field, frame: Frame, look: Look, bend: float) -> None:
    span = look.size("limb_length", 0.44, 0.50)
    chord = look.size("limb_breadth", 0.13, 0.24)
    sweep = look.size("slant", 0.02, 0.16) + 0.04 * bend
    t = x / np.float32(span)
    lead = Curve.through(
        [0.0, 0.2, 0.42, 0.75, 1.0],
        [-0.07, -0.10, -0.13, -0.13 + 0.5 * sweep, -0.11 + 1.3 * sweep],
        smooth=16,
    )
    wide = Curve.through(
        [0.0, 0.3, 0.55, 0.85, 1.0], [chord * k for k in (1.05, 1.0, 0.92, 0.66, 0.12)], smooth=14
    )
    front, depth = lead(t), np.maximum(wide(t), 1e-3)
    c = (frame.y - front) / depth
    fingers = np.float32(0.07) * np.abs(np.sin(t * 24)) * ramp(t, 0.15, 0.8)
    off = np.abs(c - np.float32(0.5)) - np.float32(0.5) + fingers * (c > 0.5)
    steep = lead.slope(t) / np.float32(span)
    inside = np.maximum(off * depth / np.sqrt(1 + steep * steep), (t - 1) * np.float32(span))
    base = mix(look.ground, look.dark, ramp(c, 0.42, 0.60) * np.float32(0.75))
    marks = marking(look, c * np.float32(0.45), x, 2.2 * frame.px)
    base = mix(base, look.marking, marks * ramp(c, 0.62, 0.4) * np.float32(0.7))
    bar = bump(c, 0.55, 0.07) * np.float32(look.size("margin", 0.0, 0.95))
    base = mix(base, look.belly, bar)
    base = mix(base, look.dark, ramp(t, 0.7, 0.95) * np.float32(0.7))
    fine = (
        np.float32(0.14 * min(1.0, 0.012 / frame.px)) * np.sin(t * 48 + c * 4) * ramp(c, 0.35, 0.7)
    )
    light = 1.02 - 0.12 * c + 0.05 * np.sin(t * 3)
    layer.paint(np.clip(base * (light + fine), 0, 1), cover(inside, frame.px))


def draw(layer: Layer, frame: Frame, look: Look, view: str, bend: float) -> None:
    """Paint a bird in one of its views."""
    if view == "in flight":
        draw_flight(layer, frame, look, bend)
    else:
        draw_perched(layer, frame, look, bend)
