"""The flow chart of the stages that really ran, as inline SVG without any library.

Colours come from the page's CSS classes; the wide form reads in lines like text, the narrow one
from top to bottom.
"""

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from syntype.report.data import Stage

_GAP, _PAD, _LINE = 34, 14, 17


def _lines(stage: Stage, characters: int) -> list[str]:
    return wrap(stage.detail, characters, max_lines=6, placeholder=" …")


def _box(number: int, stage: Stage, x: int, y: int, width: int, lines: list[str]) -> str:
    height = _height(lines)
    cached = (
        f'<text class="flow-cached" x="{x + width - _PAD}" y="{y + 24}" text-anchor="end">kept'
        "</text>"
        if stage.cached
        else ""
    )
    text = "".join(
        f'<text class="flow-detail" x="{x + _PAD}" y="{y + 46 + _LINE * row}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    name = wrap(stage.name, 26, max_lines=1, placeholder=" …")
    return (
        f'<rect class="flow-box" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
        f'<text class="flow-name" x="{x + _PAD}" y="{y + 24}">{number}. '
        f"{escape(name[0] if name else '')}</text>{cached}{text}"
    )


def _height(lines: list[str]) -> int:
    return 38 + _LINE * len(lines) + (8 if lines else 0)


def _arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
    head = [(x2, y2), (x2 - 7 * dx - 4 * dy, y2 - 7 * dy - 4 * dx)]
    head.append((x2 - 7 * dx + 4 * dy, y2 - 7 * dy + 4 * dx))
    points = " ".join(f"{x},{y}" for x, y in head)
    return (
        f'<line class="flow-line" x1="{x1}" y1="{y1}" x2="{x2 - 6 * dx}" y2="{y2 - 6 * dy}"'
        f'/><polygon class="flow-head" points="{points}"/>'
    )


def draw_flow(stages: Sequence[Stage], narrow: bool) -> str:
    """The chart as an SVG element; rows alternate in direction, so that every arrow is short."""
    columns, width = (1, 340) if narrow else (3, 236)
    characters = 44 if narrow else 29
    texts = [_lines(stage, characters) for stage in stages]
    total = columns * width + (columns - 1) * _GAP
    parts: list[str] = []
    y = 1
    previous: tuple[int, int, int] | None = None
    for start in range(0, len(stages), columns):
        row = range(start, min(start + columns, len(stages)))
        height = max(_height(texts[index]) for index in row)
        backwards = (start // columns) % 2 == 1
        for place, index in enumerate(row):
            column = columns - 1 - place if backwards else place
            x = 1 + column * (width + _GAP)
            parts.append(_box(index + 1, stages[index], x, y, width, texts[index]))
            if previous is not None:
                old_x, old_y, old_height = previous
                if place == 0:
                    middle = x + width // 2
                    parts.append(_arrow(middle, old_y + old_height, middle, y))
                elif backwards:
                    parts.append(_arrow(old_x, y + 20, x + width, y + 20))
                else:
                    parts.append(_arrow(old_x + width, y + 20, x, y + 20))
            previous = (x, y, _height(texts[index]))
        y += height + _GAP
    names = ", then ".join(stage.name for stage in stages)
    size = f'viewBox="0 0 {total + 2} {max(y - _GAP + 1, 1)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
        f'aria-label="Flow chart: {escape(names)}">{"".join(parts)}</svg>'
    )
