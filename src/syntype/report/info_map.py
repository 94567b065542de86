"""The map of `data info`: cells of equal area, coloured by the logarithm of their rows.

The earth is drawn in the projection Equal Earth (Savric, Patterson and Jenny 2018), which keeps
areas; what lies in one part of it only, in a plain one of that part. There is a graticule and no
coast: nothing is fetched, and no map of others is copied.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from syntype.data.census_places import Cell, Places, cells, extent
from syntype.report.info_svg import NARROW, WIDE, label, svg

_A = (1.340264, -0.081106, 0.000893, 0.003796)
_HALF_WIDTH, _HALF_HEIGHT = 2.706630, 1.317363
_REGION = (40.0, 60.0)  # degrees north to south and west to east below which a region is drawn
N_CLASSES = 6
Project = Callable[[int | float, int | float], tuple[float, float]]


def equal_earth(latitude: int | float, longitude: int | float) -> tuple[float, float]:
    """A place on the plane: x within 2.7066, y within 1.3174 of the middle, y to the north.

    Args:
        latitude: Degrees.
        longitude: Degrees.
    """
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    a1, a2, a3, a4 = _A
    slope = 9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / (3 * slope)
    return x, a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta


def class_edges(most: int) -> list[int]:
    """The least rows of each class of colour, on a log scale up to `most`."""
    edges = {math.ceil(most ** (place / N_CLASSES) - 1e-9) for place in range(N_CLASSES)}
    return sorted(edges | {1})


def is_region(places: Places) -> bool:
    """Whether all rows lie in one part of the earth."""
    found = extent(places)
    if found is None:
        return False
    south, north, west, east = found
    return north - south < _REGION[0] and east - west < _REGION[1]


def draw_map(places: Places, *, narrow: bool) -> str:
    """The map as an SVG element."""
    return _region(places, narrow) if is_region(places) else _world(places, narrow)


def _world(places: Places, narrow: bool) -> str:
    width = NARROW if narrow else WIDE
    margin = 8 if narrow else 38
    scale = (width - 2 * margin) / (2 * _HALF_WIDTH)
    middle, top = width / 2, 6
    high = 2 * _HALF_HEIGHT * scale

    def place(latitude: int | float, longitude: int | float) -> tuple[float, float]:
        x, y = equal_earth(latitude, longitude)
        return middle + x * scale, top + high / 2 - y * scale

    outline = [place(lat, -180) for lat in range(-90, 91, 3)]
    outline += [place(lat, 180) for lat in range(90, -91, -3)]
    parts = [f'<path class="sea" d="{_path(outline)}z"/>']
    for lon in range(-150, 180, 30):
        line = _path([place(lat, lon) for lat in range(-90, 91, 3)])
        parts.append(f'<path class="grid" fill="none" d="{line}"/>')
    for lat in range(-60, 90, 30):
        parts.append(
            f'<path class="grid" fill="none" d="{_path([place(lat, -180), place(lat, 180)])}"/>'
        )
        if not narrow:
            x, y = place(lat, -180)
            parts.append(label(x - 5, y + 4, degrees_words(lat, "N", "S"), "end"))
    for lon in (-90, 0, 90) if narrow else (-120, -60, 0, 60, 120):
        x, _ = place(-90, lon)
        parts.append(label(x, top + high + 14, degrees_words(lon, "E", "W")))
    drawn = cells(places, 2.5)
    parts += _cells(drawn, place, narrow)
    if narrow:
        for lat in (-60, -30, 30, 60):
            x, y = place(lat, -180)
            parts.append(label(x + 3, y - 3, degrees_words(lat, "N", "S"), "start"))
    return _finished(parts, drawn, width, top + high + 22)


def map_words(places: Places) -> str:
    """What the map's caption says."""
    if not is_region(places):
        return (
            "Cells of about 280 by 280 km in the projection Equal Earth, which keeps areas. No "
            "coasts are drawn."
        )
    km = 111 * _sizes(places)[0]
    return (
        f"Cells of about {km:.0f} by {km:.0f} km. Only the part of the earth that has rows is "
        "drawn, without coasts."
    )


def _sizes(places: Places) -> tuple[float, float]:
    """Degrees of a region's cells, and between the lines of its graticule."""
    south, north, west, east = extent(places) or (0.0, 0.0, 0.0, 0.0)
    side = max(north - south, (east - west) * math.cos(math.radians((south + north) / 2)), 1.0)
    size = next(one for one in (0.25, 0.5, 1.0, 2.5) if side / one <= 48 or one == 2.5)
    grid = next(one for one in (0.5, 1.0, 2.0, 5.0, 10.0) if side / one <= 6 or one == 10)
    return size, grid


def _region(places: Places, narrow: bool) -> str:
    size, grid = _sizes(places)
    drawn = cells(places, size)
    south, north = min(c.south for c in drawn) - size, max(c.north for c in drawn) + size
    west, east = min(c.west for c in drawn) - size, max(c.east for c in drawn) + size
    across = math.cos(math.radians((south + north) / 2))
    width, left, top = NARROW if narrow else WIDE, 48.0, 6
    scale = (width - left - 10) / ((east - west) * across)
    scale = min(scale, 480 / (north - south))
    left = max(left, (width - (east - west) * across * scale) / 2)
    right, high = left + (east - west) * across * scale, (north - south) * scale

    def place(latitude: int | float, longitude: int | float) -> tuple[float, float]:
        return left + (longitude - west) * across * scale, top + (north - latitude) * scale

    frame = f'x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{high:.1f}"'
    parts = [f'<rect class="sea" {frame}/>']
    for number in range(math.ceil(south / grid), math.floor(north / grid) + 1):
        _, y = place(number * grid, west)
        parts.append(f'<path class="grid" fill="none" d="M{left:.1f} {y:.1f}H{right:.1f}"/>')
        parts.append(label(left - 5, y + 4, degrees_words(number * grid, "N", "S"), "end"))
    last = -math.inf
    for number in range(math.ceil(west / grid), math.floor(east / grid) + 1):
        x, _ = place(south, number * grid)
        parts.append(f'<path class="grid" fill="none" d="M{x:.1f} {top}v{high:.1f}"/>')
        if x - last > 48:
            parts.append(label(x, top + high + 14, degrees_words(number * grid, "E", "W")))
            last = x
    parts += _cells(drawn, place, narrow)
    return _finished(parts, drawn, width, top + high + 22)


def _cells(drawn: Sequence[Cell], place: Project, narrow: bool) -> list[str]:
    """The cells; on a phone, which has no pointer, those of a shade together and without titles."""
    edges = class_edges(max((cell.n for cell in drawn), default=1))
    parts, shades = [], defaultdict[int, list[str]](list)
    for cell in drawn:
        south, north, west, east = cell.south, cell.north, cell.west, cell.east
        corners = [(south, west), (north, west), (north, east), (south, east)]
        path = _path([place(*corner) for corner in corners]) + "z"
        shade = _shade(sum(cell.n >= edge for edge in edges), len(edges))
        shades[shade].append(path)
        latitude = degrees_words((south + north) / 2, "N", "S")
        longitude = degrees_words((west + east) / 2, "E", "W")
        rows = "1 row" if cell.n == 1 else f"{cell.n:,} rows"
        title = f"<title>{latitude} {longitude}: {rows}</title>"
        parts.append(f'<path class="m{shade}" d="{path}">{title}</path>')
    if narrow:
        return [f'<path class="m{n}" d="{"".join(paths)}"/>' for n, paths in sorted(shades.items())]
    return parts


def _shade(number: int, n: int) -> int:
    """Class 1 to n as one of the shades 1 to `N_CLASSES`; the highest is always the strongest."""
    return N_CLASSES - n + number


def _finished(parts: list[str], drawn: Sequence[Cell], width: int, top: int | float) -> str:
    """The map with its legend below."""
    most = max((cell.n for cell in drawn), default=1)
    edges = class_edges(most)
    step = min(96, (width - 10) / len(edges))
    x = (width - step * len(edges)) / 2
    for number, edge in enumerate(edges, 1):
        parts.append(
            f'<rect class="m{_shade(number, len(edges))}" x="{x:.1f}" y="{top + 10:.1f}" '
            f'width="{step:.1f}" height="9"/>'
        )
        parts.append(label(x, top + 33, f"{edge:,}", "start"))
        x += step
    n = "1 cell" if len(drawn) == 1 else f"{len(drawn):,} cells"
    alt = f"Map of the places: {n}, at most {most:,} rows in one"
    return svg(
        width, top + 54, alt, [*parts, label(width / 2, top + 50, "rows in a cell, or more")]
    )


def degrees_words(value: int | float, positive: str, negative: str) -> str:
    """Degrees with their direction: 30.5°S."""
    text = f"{abs(value):.2f}".rstrip("0").rstrip(".")
    return f"{text}°{'' if text == '0' else positive if value > 0 else negative}"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
