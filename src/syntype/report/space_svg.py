"""Charts of a space's report as inline SVG: patching curves, dots with intervals, maps.

Colours are the page's CSS variables; each mark has a shape or a dash of its own as well. Wide is
for desktop and paper, narrow for a phone.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from syntype.report import formats
from syntype.report.data import Value
from syntype.report.drawing import short
from syntype.report.info_map import degrees_words
from syntype.report.info_svg import NARROW, WIDE, label, rule, svg
from syntype.report.space_data import MapView, PatchCurve

_MARKS = ("circle", "square", "diamond", "triangle")
_SHADES = ((255, 255, 217), (199, 233, 180), (65, 182, 196), (34, 94, 168), (8, 29, 88))
_MAP_PIXELS = 720


def curves(curve: PatchCurve, *, narrow: bool) -> str:
    """A small panel for each task: score against alpha, the chosen alpha, the budget's floor."""
    tasks = [curve.patching_task] if curve.patching_task else []
    tasks += [name for name in _tasks(curve) if name not in tasks]
    n_columns = 1 if narrow else min(3, max(len(tasks), 1))
    width = NARROW if narrow else WIDE
    wide, high = width / n_columns, 178
    parts = []
    for number, task in enumerate(tasks):
        x, y = number % n_columns * wide, number // n_columns * high
        parts += _panel(curve, task, x, y, wide - 14, high - 18)
    height = -(-len(tasks) // n_columns) * high + 14
    parts.append(label(width / 2, height - 2, "alpha: 0 is before, 1 is after unlocked tuning"))
    alt = f"{curve.name}: scores of {len(tasks)} tasks against alpha; chosen {curve.chosen:g}"
    return svg(width, height, alt, parts)


def _tasks(curve: PatchCurve) -> list[str]:
    return list(dict.fromkeys(name for point in curve.points for name in point.scores))


def _panel(
    curve: PatchCurve,
    task: str,
    x: int | float,
    y: int | float,
    width: int | float,
    height: int | float,
) -> list[str]:
    points = [(p.alpha, p.scores[task]) for p in curve.points if task in p.scores]
    points = [(alpha, value) for alpha, value in points if value.estimate is not None]
    floor = curve.floors.get(task)
    ends = [end for _, v in points for end in (v.estimate, v.lower, v.upper) if end is not None]
    ends += [floor] if floor is not None else []
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    if high - low < 0.01:  # a flat line lies in the middle
        low, high = low - 0.01, high + 0.01
    ticks = _ticks(low, high)
    left, right, top, bottom = x + 34, x + width, y + 34, y + height - 18
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def at(alpha: int | float, score: int | float) -> tuple[int | float, int | float]:
        return left + alpha * (right - left), bottom - (score - low) / (high - low) * (bottom - top)

    parts = [label(x, y + 16, short(task, int(width / 6.4)), "start", "ax strong")]
    for tick in ticks:
        _, level = at(0, tick)
        parts += [rule(left, level, right, level), label(left - 5, level + 4, _share(tick), "end")]
    parts += [label(at(a, low)[0], bottom + 14, f"{a:g}") for a in (0, 0.5, 1)]
    banded = [(a, v.lower, v.upper) for a, v in points]
    known = [(a, lo, up) for a, lo, up in banded if lo is not None and up is not None]
    if len(known) > 1:
        edge = [at(a, up) for a, _, up in known] + [at(a, lo) for a, lo, _ in reversed(known)]
        parts.append(f'<path class="band" d="{_path(edge)}z"/>')
    if floor is not None:
        _, level = at(0, floor)
        parts.append(f'<path class="floor" d="M{left:.1f} {level:.1f}H{right:.1f}"/>')
    chosen, _ = at(curve.chosen, low)
    parts.append(f'<path class="chosen" d="M{chosen:.1f} {top:.1f}V{bottom:.1f}"/>')
    places = [(alpha, v, *at(alpha, v.estimate or 0)) for alpha, v in points]
    parts.append(f'<path class="line c-1" d="{_path([(px, py) for *_, px, py in places])}"/>')
    for alpha, value, px, py in places:
        taken = math.isclose(alpha, curve.chosen, abs_tol=1e-9)
        title = f"{task} at alpha {alpha:g}: {formats.with_interval(value)}"
        parts.append(
            f'<circle class="{"taken" if taken else "dot c-1"}" cx="{px:.1f}" cy="{py:.1f}" '
            f'r="{4.5 if taken else 2.2}"><title>{escape(title)}</title></circle>'
        )
    return parts


def _ticks(low: int | float, high: int | float) -> list[int | float]:
    """Three to five round fractions around a range."""
    span = max(high - low, 0.01)
    power = 10 ** math.floor(math.log10(span / 3))
    step = next(power * more for more in (1, 2, 5, 10) if span / (power * more) <= 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * number for number in range(first, max(last, first + 1) + 1)]


def _share(value: int | float) -> str:
    text = f"{100 * value:.1f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def dots(
    rows: Sequence[tuple[str, Mapping[str, Value]]],
    *,
    narrow: bool,
    x: str,
    line: int | float | None = None,
    notes: Sequence[str] = (),
    series: Sequence[str] = (),
) -> str:
    """Points with intervals, a row for each name and a mark for each series.

    Args:
        rows: Name, and the values of each series in order; at most four series.
        narrow: For a phone.
        x: What the values are.
        line: Where an upright line stands, for comparison.
        notes: A word at the end of each row.
        series: Their order; what is not named comes behind, as it stands in the rows.
    """
    known = dict.fromkeys(name for _, values in rows for name in values)
    series = [*(name for name in series if name in known), *(n for n in known if n not in series)]
    width = NARROW if narrow else WIDE
    left = 14 if narrow else 218
    right = width - (12 if not notes else 64)
    each = 13 if len(series) > 1 else 18
    step = each * max(len(series), 1) + (26 if narrow else 12)
    top = 30 if len(series) > 1 else 10
    bottom = top + step * len(rows)
    ends = [
        end
        for _, values in rows
        for v in values.values()
        for end in (v.estimate, v.lower, v.upper)
        if end is not None
    ]
    ends += [line] if line is not None else []
    ends = ends or [0.0, 1.0]
    ticks = _ticks(min([0.0, *ends]) if min(ends, default=0) < 0.35 else min(ends), max(ends))
    low, high = ticks[0], ticks[-1]

    def at(value: int | float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = _keys(series, left if not narrow else 2) if len(series) > 1 else []
    for tick in ticks:
        parts.append(rule(at(tick), top, at(tick), bottom))
        parts.append(label(at(tick), bottom + 16, _share(tick)))
    if line is not None:
        parts.append(f'<path class="floor" d="M{at(line):.1f} {top}V{bottom}"/>')
    for number, (name, values) in enumerate(rows):
        y = top + number * step
        said = label(2, y + 12, short(name, 52), "start")
        parts.append(said if narrow else label(left - 10, y + step / 2 + 4, short(name, 34), "end"))
        y += 20 if narrow else 6
        for place, one in enumerate(series):
            if one in values:
                at_y = y + each * (place + 0.5)
                parts += _bar(values[one], place, at_y, at, f"{name}, {one}".strip(", "))
        if notes:
            middle = y + each * len(series) / 2 + 4
            parts.append(label(width - 2, middle, notes[number], "end", "ax quiet"))
    parts.append(label((left + right) / 2, bottom + 34, x))
    return svg(width, bottom + 40, f"{x}: {len(rows)} rows", parts)


def _bar(value: Value, place: int, y: int | float, at: object, title: str) -> list[str]:
    assert callable(at)
    if value.estimate is None:
        return []
    x, parts = at(value.estimate), []
    if value.lower is not None and value.upper is not None:
        ends = f"M{at(value.lower):.1f} {y:.1f}H{at(value.upper):.1f}"
        parts.append(f'<path class="line c-{place + 1}" d="{ends}"/>')
    said = escape(f"{title}: {formats.with_interval(value)}")
    parts.append(f'<g class="dot c-{place + 1}">{_mark(place, x, y)}<title>{said}</title></g>')
    return parts


def _mark(place: int, x: int | float, y: int | float) -> str:
    kind = _MARKS[place % len(_MARKS)]
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    if kind == "square":
        return f'<rect x="{x - 3.6:.1f}" y="{y - 3.6:.1f}" width="7.2" height="7.2"/>'
    if kind == "diamond":
        return f'<path d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"/>'
    return f'<path d="M{x:.1f} {y - 4.6:.1f}l4.8 8.4h-9.6z"/>'


def _keys(series: Sequence[str], x: int | float) -> list[str]:
    parts = []
    for place, name in enumerate(series):
        parts.append(f'<g class="dot c-{place + 1}">{_mark(place, x + 5, 12)}</g>')
        parts.append(label(x + 15, 16, name, "start"))
        x += 34 + 6.7 * len(name)
    return parts


def _path(points: Sequence[tuple[int | float, int | float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def draw_map(view: MapView, *, truth: bool = False) -> str:
    """A map as a picture with a graticule, presences, and a scale of shades.

    Args:
        view: The map.
        truth: Draw where the species is instead of the scores.
    """
    width, left, top = NARROW, 34.0, 6.0
    across = math.cos(math.radians(max(min((view.south + view.north) / 2, 75), -75)))
    ratio = (view.north - view.south) / ((view.east - view.west) * max(across, 0.3))
    wide = width - left - 6
    high = min(wide * ratio, 330.0)
    wide = high / ratio

    def place(latitude: int | float, longitude: int | float) -> tuple[int | float, int | float]:
        x = left + (longitude - view.west) / (view.east - view.west) * wide
        return x, top + (view.north - latitude) / (view.north - view.south) * high

    assert not truth or view.truth is not None
    shown = view.truth.astype(float) if truth and view.truth is not None else view.score
    hidden = np.isnan(view.score)
    frame = f'x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}"'
    looks = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
    picture = f'<image {frame} {looks} href="{_png(shown, hidden)}"/>'
    parts = [f'<rect class="sea" {frame}/>', picture]
    step = _graticule(max(view.north - view.south, view.east - view.west))
    for number in range(math.ceil(view.south / step), math.floor(view.north / step) + 1):
        _, y = place(number * step, view.west)
        parts.append(f'<path class="mesh" d="M{left:.1f} {y:.1f}h{wide:.1f}"/>')
        parts.append(label(left - 4, y + 4, degrees_words(number * step, "N", "S"), "end"))
    for number in range(math.ceil(view.west / step), math.floor(view.east / step) + 1):
        x, _ = place(view.north, number * step)
        longitude = (number * step + 180) % 360 - 180
        parts.append(f'<path class="mesh" d="M{x:.1f} {top:.1f}v{high:.1f}"/>')
        parts.append(label(x, top + high + 15, degrees_words(longitude, "E", "W")))
    for latitude, longitude in view.presences:
        x, y = place(latitude, longitude)
        parts.append(f'<circle class="seen" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>')
    what = "true range" if truth else view.reading
    if not truth:
        parts += _scale(left, top + high + 26, min(wide, 220))
    return svg(width, top + high + (58 if not truth else 22), f"{view.name}: {what}", parts)


def _graticule(span: int | float) -> int | float:
    return next((one for one in (0.5, 1, 2, 5, 10, 20, 30) if span / one <= 6), 60)


def _scale(x: int | float, y: int | float, width: int | float) -> list[str]:
    each = width / 12
    parts = []
    for number in range(12):
        colour = "#{:02x}{:02x}{:02x}".format(*shade(np.array([number / 11]))[0].tolist())
        parts.append(
            f'<rect x="{x + number * each:.1f}" y="{y:.1f}" width="{each + 0.3:.1f}" height="9" '
            f'fill="{colour}"/>'
        )
    ends = ((0, "0", "start"), (0.5, "0.5", "middle"), (1, "1", "end"))
    return parts + [label(x + at * width, y + 22, word, anchor) for at, word, anchor in ends]


def shade(values: Float[np.ndarray, "*n"]) -> np.ndarray:
    """Colours of 0 to 1: light yellow to dark blue, of even steps in lightness (uint8, RGB)."""
    edges = np.linspace(0, 1, len(_SHADES))
    clipped = np.clip(values, 0, 1)
    channels = [np.interp(clipped, edges, [c[i] for c in _SHADES]) for i in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _png(values: Float[np.ndarray, "h w"], hidden: Bool[np.ndarray, "h w"]) -> str:
    colours = shade(np.where(hidden, 0, values))
    alpha = np.where(hidden, 0, 255).astype(np.uint8)[..., None]
    picture = Image.fromarray(np.concatenate([colours, alpha], axis=-1))
    longest = max(picture.size)
    if longest > _MAP_PIXELS:
        h, w = picture.height * _MAP_PIXELS // longest, picture.width * _MAP_PIXELS // longest
        picture = picture.resize((max(w, 1), max(h, 1)), Image.Resampling.BOX)
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
