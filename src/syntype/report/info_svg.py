"""Charts of `data info` as inline SVG: columns, lines on log scales, dots on ranks.

Drawn by hand as the flow chart is: colours are the page's CSS variables, so that the charts follow
dark mode and print; each mark has a title for the pointer. Wide is for desktop and paper, narrow
for a phone.
"""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

WIDE, NARROW = 740, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 24, 40
LOOKS = (
    ("c-ink", ""),
    ("c-1", ""),
    ("c-2", "7 3"),
    ("c-3", "2 3"),
    ("c-4", "9 3 2 3"),
    ("c-5", "4 4"),
)
"""Class and dashes of each line: nothing hangs on colour alone."""


def svg(width: int | float, height: int | float, alt: str, parts: Sequence[str]) -> str:
    """An SVG element of a size and a description."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(alt)}">{"".join(parts)}</svg>'
    )


def label(
    x: int | float, y: int | float, words: str, anchor: str = "middle", kind: str = "ax"
) -> str:
    """A text."""
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(words)}</text>'


def rule(x1: int | float, y1: int | float, x2: int | float, y2: int | float) -> str:
    """A thin line of the grid."""
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def short_number(n: int | float) -> str:
    """1500000 is 1.5 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if n >= size:
            return f"{n / size:.3g}{unit}"
    return f"{n:g}"


def steps(most: int, n: int = 4) -> list[int]:
    """Whole round numbers from 0 to `most` or beyond, at most `n` steps of them."""
    if most <= 0:
        return [0, 1]
    power = 10 ** math.floor(math.log10(most / n))
    step = next(power * more for more in (1, 2, 5, 10) if most / (power * more) <= n)
    step = max(round(step), 1)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def columns(
    names: Sequence[str],
    counts: Sequence[int],
    *,
    narrow: bool,
    x: str,
    y: str,
    height: int = 230,
    every: int = 0,
) -> str:
    """A chart of columns.

    Args:
        names: Of each column.
        counts: Height of each.
        narrow: For a phone.
        x: What the columns are.
        y: What is counted.
        height: Of the whole.
        every: Which names are written: every so many; those that fit where 0.
    """
    width = NARROW if narrow else WIDE
    ticks = steps(max(counts, default=0))
    bottom, right = height - _BOTTOM, width - _RIGHT
    up = (bottom - _TOP) / ticks[-1]
    parts = [label(0, 10, y, "start")]
    for tick in ticks:
        at = bottom - tick * up
        parts += [rule(_LEFT, at, right, at), label(_LEFT - 7, at + 4, short_number(tick), "end")]
    step = (right - _LEFT) / max(len(names), 1)
    gap = 1 if step < 8 else step * 0.18
    longest = max((len(name) for name in names), default=1)
    every = every or max(1, math.ceil(7.0 * (longest + 1) / step))
    for number, (name, n) in enumerate(zip(names, counts, strict=True)):
        left, high = _LEFT + number * step, n * up
        if n:
            high = max(high, 1)
            parts.append(
                f'<rect class="bar" x="{left + gap / 2:.1f}" y="{bottom - high:.1f}" '
                f'width="{max(step - gap, 0.6):.1f}" height="{high:.1f}">'
                f"<title>{escape(name)}: {n:,}</title></rect>"
            )
        if number % every == 0:
            parts.append(label(left + step / 2, bottom + 16, name))
    parts.append(label((_LEFT + right) / 2, height - 4, x))
    return svg(width, height, f"{y} by {x}", parts)


def rank_frequency(lines: Sequence[tuple[str, np.ndarray]], *, narrow: bool) -> str:
    """Rows of each species, the most frequent first, on two log scales; a line a group.

    Args:
        lines: Name of each group and its counts, the largest first; at most six.
        narrow: For a phone.
    """
    width, height = (NARROW, 330) if narrow else (WIDE, 380)
    n_keys = sum(1 for _ in lines)
    keys_down = 20 * -(-n_keys // (2 if narrow else 4)) + 8 if n_keys > 1 else 0
    height += keys_down
    top, bottom, right = _TOP + keys_down, height - _BOTTOM, width - _RIGHT
    decades_x = max(1, math.ceil(math.log10(max(max(len(c) for _, c in lines), 2)) - 1e-9))
    decades_y = max(1, math.ceil(math.log10(max(max(c[0] for _, c in lines), 2)) - 1e-9))
    over, up = (right - _LEFT) / decades_x, (bottom - top) / decades_y
    parts = [label(0, top - 14, "rows", "start")]
    for decade in range(decades_y + 1):
        at = bottom - decade * up
        parts += [
            rule(_LEFT, at, right, at),
            label(_LEFT - 7, at + 4, short_number(10**decade), "end"),
        ]
    for decade in range(decades_x + 1):
        at = _LEFT + decade * over
        anchor = "end" if decade == decades_x else "middle"
        parts += [
            rule(at, top, at, bottom),
            label(at, bottom + 16, short_number(10**decade), anchor),
        ]
    for number, (name, counts) in reversed([*enumerate(lines)]):
        look, dashes = LOOKS[number]
        places = [
            (rank, _LEFT + math.log10(rank) * over, bottom - math.log10(n) * up, n)
            for rank, n in _sampled(counts)
        ]
        path = "L".join(f"{x:.1f} {y:.1f}" for _, x, y, _ in places)
        parts.append(
            f'<path class="line {look}" d="M{path}" stroke-dasharray="{dashes or "none"}"/>'
        )
        for rank, x, y, n in places[:: max(1, len(places) // 40)]:
            said = f"{name}: species number {rank:,} has {n:,} rows"
            parts.append(
                f'<circle class="dot {look}" cx="{x:.1f}" cy="{y:.1f}" r="2.2">'
                f"<title>{escape(said)}</title></circle>"
            )
    if n_keys > 1:
        parts += _keys([name for name, _ in lines], width, 2 if narrow else 4)
    parts.append(label((_LEFT + right) / 2, height - 4, "species, the most frequent first"))
    alt = "Rows of each species by rank, both on log scales"
    return svg(width, height, alt, parts)


def _sampled(counts: np.ndarray, n: int = 160) -> list[tuple[int, int]]:
    """Ranks spread evenly over the log scale, with their counts; the last one too."""
    last = len(counts)
    ranks = {round(last ** (place / n)) for place in range(n + 1)} | {1, last}
    return [(rank, int(counts[rank - 1])) for rank in sorted(ranks)]


def _keys(names: Sequence[str], width: int, n_columns: int) -> list[str]:
    parts, wide = [], width / n_columns
    for number, name in enumerate(names):
        x, y = number % n_columns * wide, 12 + 20 * (number // n_columns)
        look, dashes = LOOKS[number]
        parts.append(
            f'<path class="line {look}" d="M{x:.0f} {y - 4}h24" '
            f'stroke-dasharray="{dashes or "none"}"/>'
        )
        room = int((wide - 36) / 6.6)
        text = name if len(name) <= room else name[: room - 1] + "…"
        parts.append(label(x + 30, y, text, "start"))
    return parts


def ranks(rows: Sequence[tuple[str, int, float]], *, narrow: bool) -> str:
    """Names at each rank as dots on a log scale, and the share of rows that have one as bars.

    Args:
        rows: Rank, number of names, share of the rows.
        narrow: For a phone.
    """
    width = NARROW if narrow else WIDE
    left, line = 64, 26
    middle, shares = (left + 178, left + 200) if narrow else (left + 400, left + 440)
    height = line * len(rows) + 46
    decades = max(1, math.ceil(math.log10(max(max(n for _, n, _ in rows), 2)) - 1e-9))
    room = 52  # for the number behind the last dot
    over = (middle - left - room) / decades
    parts = [
        label(left, 12, "names (log scale)", "start"),
        label(shares, 12, "rows, %" if narrow else "rows that have one, %", "start"),
    ]
    bottom = 24 + line * len(rows)
    for decade in range(decades + 1):
        at = left + decade * over
        parts.append(rule(at, 22, at, bottom))
        if not narrow or decade % 2 == 0:
            parts.append(label(at, bottom + 16, short_number(10**decade)))
    full = width - _RIGHT - shares - (34 if narrow else 40)
    for number, (rank, n, part) in enumerate(rows):
        y = 24 + line * number + line / 2
        parts.append(label(left - 10, y + 4, rank, "end"))
        if n:
            at = left + math.log10(n) * over
            dot = f'<circle class="dot c-1" cx="{at:.1f}" cy="{y}" r="4.5">'
            parts += [
                f'<line class="line c-1 thin" x1="{left}" x2="{at:.1f}" y1="{y}" y2="{y}"/>',
                f"{dot}<title>{n:,} names</title></circle>",
                label(at + 9, y + 4, short_number(n) if narrow else f"{n:,}", "start"),
            ]
        parts += [
            f'<rect class="track" x="{shares}" y="{y - 6}" width="{full}" height="12"/>',
            f'<rect class="bar" x="{shares}" y="{y - 6}" width="{full * part:.1f}" height="12"/>',
            label(shares + full + 6, y + 4, f"{100 * part:.0f}", "start"),
        ]
    return svg(width, height, "Names at each rank, and rows that have one", parts)
