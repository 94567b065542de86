"""Write the coast that the search page draws: Natural Earth's, in one line of text.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python docs/coast.py package/land-110m.json

The data are Natural Earth's land at 1:110 million, which is in the public domain; the package
world-atlas (Mike Bostock, ISC) delivers it as TopoJSON. A ring is a word; a character is one of 91
numbers, from -45 to 45. The first four say where the ring begins, and each further two how far it
is to the next point, east and south, in tenths of a degree.
"""

import json
import sys
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "src" / "syntype" / "serve" / "page" / "coast.js"
# Neither a quote nor a backslash, so that the text stands in JavaScript as it is.
CHARACTERS = [chr(code) for code in range(35, 127) if chr(code) != "\\"]
MOST = 45
HEAD = """// Coasts of the world: Natural Earth's land at 1:110 million, public domain, as the npm
// package world-atlas 2.0.2 delivers it. Written by docs/coast.py, which explains the code.
export const COAST =
"""
Point = tuple[int, int]


def rings(atlas: dict[str, Any]) -> Iterator[list[Point]]:
    """The outlines of an atlas's land: tenths of a degree east of -180 and south of 90."""
    (sx, sy), (tx, ty) = atlas["transform"]["scale"], atlas["transform"]["translate"]

    def points(number: int) -> list[Point]:
        steps = atlas["arcs"][~number if number < 0 else number]
        xs, ys = (list(accumulate(axis)) for axis in zip(*steps, strict=True))
        places = [
            (round((x * sx + tx + 180) * 10), round((90 - y * sy - ty) * 10))
            for x, y in zip(xs, ys, strict=True)
        ]
        return places[::-1] if number < 0 else places

    for geometry in atlas["objects"]["land"]["geometries"]:
        for polygon in geometry["arcs"]:
            for arcs in polygon:
                ring: list[Point] = []
                for number in arcs:
                    ring += points(number)[1 if ring else 0 :]
                yield unrolled(ring)


def unrolled(ring: list[Point]) -> list[Point]:
    """A ring that goes on where it crosses 180 degrees; one around the pole is closed there."""
    places = [ring[0]]
    for x, y in ring[1:]:
        turns = round((places[-1][0] - x) / 3600)
        places.append((x + 3600 * turns, y))
    (begin, _), (end, _) = places[0], places[-1]
    if begin == end:
        return places
    return [*places, (end, 1800), (begin, 1800), places[0]]


def word(ring: list[Point]) -> str:
    """A ring in characters; steps that are too long for one are taken in several."""
    (x, y), numbers = ring[0], list[int]()
    for value in (x, y):
        numbers += [value // 91 - MOST, value % 91 - MOST]
    for (x1, y1), (x2, y2) in pairwise(ring[:-1]):
        n = -(-max(abs(x2 - x1), abs(y2 - y1)) // MOST)
        at = [
            (x1 + round((x2 - x1) * k / n), y1 + round((y2 - y1) * k / n))
            for k in range(n + 1 if n else 0)
        ]
        for (ax, ay), (bx, by) in pairwise(at):
            numbers += [bx - ax, by - ay]
    return "".join(CHARACTERS[number + MOST] for number in numbers)


def main(path: Path) -> None:
    """Write the page's coast from a file of world-atlas."""
    atlas = json.loads(path.read_text())
    words = " ".join(word(ring) for ring in rings(atlas))
    FILE.write_text(f'{HEAD}  "{words}";\n')
    sys.stdout.write(f"{FILE}: {FILE.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
