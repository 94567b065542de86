"""What `data info` draws with characters: bars, a line of years, a map of the earth.

Everything here is text of at most 100 columns, made of numbers alone.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from syntype.data.census_data import Census
from syntype.data.census_places import COLUMNS, DEGREES, ROWS, Places
from syntype.data.census_tail import class_names, tail_of

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = " ▁▂▃▄▅▆▇█"
_SHADES = " ·░▒▓█"
MAP_COLUMNS, MAP_LINES = 72, 18
_MOST_YEARS = 50
_MARKS = {60: "60°N", 30: "30°N", 0: "0°", -30: "30°S", -60: "60°S"}


def bar(value: int | float, most: int | float, width: int) -> str:
    """A bar of `width` characters at most, in steps of an eighth; never nothing for something."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(1, round(8 * width * value / most))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def bars(rows: Sequence[tuple[str, int]], width: int = 40) -> str:
    """Lines of a name, a number and a bar."""
    names = max((len(name) for name, _ in rows), default=0)
    digits = max((len(f"{n:,}") for _, n in rows), default=0)
    most = max((n for _, n in rows), default=0)
    lines = [f"  {name:>{names}}  {n:>{digits},}  {bar(n, most, width)}" for name, n in rows]
    return "\n".join(line.rstrip() for line in lines)


def spark(counts: Sequence[int]) -> str:
    """One character for each number, higher for more; a blank only for zero."""
    most = max(counts, default=0)
    return "".join(_LEVELS[max(1, round(8 * n / most))] if n else " " for n in counts)


def by_period(years: Mapping[int, int], most: int = _MOST_YEARS) -> tuple[int, int, list[int]]:
    """Years in at most `most` periods of 1, 2, 5, 10 ... years.

    Returns:
        The first year, the years of a period, and the rows of each.
    """
    if not years:
        return 0, 1, []
    first, last = min(years), max(years)
    for step in (1, 2, 5, 10, 20, 50, 100):
        start = first // step * step
        n = (last - start) // step + 1
        if n <= most:
            break
    found = [0] * n
    for year, count in years.items():
        found[(year - start) // step] += count
    return start, step, found


def years_line(years: Mapping[int, int]) -> str:
    """Rows by year as one line, with its first and last year."""
    start, step, counts = by_period(years)
    if not counts:
        return ""
    last = start + step * len(counts) - 1
    said = "year by year" if step == 1 else f"{step} years a sign"
    return f"  {start} {spark(counts)} {last}  ({said}, most {max(counts):,})"


def text_map(places: Places, *, columns: int = MAP_COLUMNS, lines: int = MAP_LINES) -> str:
    """A map of the earth in shades: cylindrical, and each sign stands for the same area."""
    middles = (np.arange(ROWS) + 0.5) * DEGREES - 90
    line = ((1 - np.sin(np.radians(middles))) / 2 * lines).astype(np.int64).clip(0, lines - 1)
    column = np.arange(COLUMNS) * columns // COLUMNS
    cells = np.zeros((lines, columns), dtype=np.int64)
    np.add.at(cells, (line[:, None], column[None, :]), places.grid)
    most = int(cells.max())
    marks = {int((1 - math.sin(math.radians(at))) / 2 * lines): name for at, name in _MARKS.items()}
    edge = "─" * columns
    drawn = [f"       ┌{edge}┐"]
    for number, row in enumerate(cells.tolist()):
        text = "".join(_SHADES[_shade(n, most)] for n in row)
        drawn.append(f"  {marks.get(number, ''):>4} │{text}│")
    drawn.append(f"       └{edge}┘")
    ticks = [" "] * (columns + 8)
    for degrees, name in ((-120, "120°W"), (-60, "60°W"), (0, "0°"), (60, "60°E"), (120, "120°E")):
        at = 8 + round((degrees + 180) / 360 * columns) - len(name) // 2
        ticks[at : at + len(name)] = name
    return "\n".join([*drawn, "".join(ticks).rstrip(), f"  {_legend(most)}"])


def _shade(n: int, most: int) -> int:
    """0 for none, else 1 to 5 by the logarithm."""
    if not n:
        return 0
    return min(5, 1 + int(5 * math.log(n) / math.log(most))) if most > 1 else 5


def _legend(most: int) -> str:
    if most <= 1:
        return "     █ 1 row"
    edges = [math.ceil(most ** (place / 5) - 1e-9) for place in range(5)]
    shades = dict(zip(edges, _SHADES[1:], strict=True))  # of few rows some shades are not used
    return "     " + "  ".join(f"{sign} {edge:,}+" for edge, sign in shades.items()) + " rows"


def info_text(census: Census) -> str:
    """Rows a species, rows by year, and the map, as far as there is something to draw."""
    parts = []
    counts = census.overall.counts
    if len(counts):
        classes = [
            (name, n)
            for name, (_, n, _) in zip(class_names(), tail_of(counts).classes, strict=True)
        ]
        while not classes[-1][1]:
            classes.pop()
        parts.append("Species by their number of rows\n" + bars(classes))
    if census.years:
        parts.append("Rows by year\n" + years_line(census.years))
    if census.places.n:
        parts.append("Places\n" + text_map(census.places))
    return "\n\n".join(parts) + "\n" if parts else ""
