"""The report as a folder: one self-contained page, and every figure, table and number beside it.

index.html            everything; needs no network and no other file
report.json           all numbers
figures/NAME.svg      also .png and .pdf
tables/NAME.csv       also .json and .tex (booktabs)
provenance.json       who, when, where: with the page's footer the only thing that may differ
                      between two reports on equal scores
"""

import base64
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import jinja2
from PIL import Image, ImageOps

from syntype import files
from syntype.provenance import plain
from syntype.report import formats, tables, words
from syntype.report.data import OVERALL, Panel, PanelKind, ReportData, Value
from syntype.report.drawing import GRID, INK, MUTED, PAPER, file_bytes
from syntype.report.figures import Drawn, draw_all
from syntype.report.flow import draw_flow
from syntype.report.tables import Table

Picture = Callable[[str], bytes | None]

_PICTURE_SIDE = 112
_LISTED = 20
_FORMS = ("svg", "png", "pdf")
# The page's own colours take the place of the figures' greys, so that they follow dark mode.
_THEME = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--rule)", PAPER: "var(--paper)"}


def inline_svg(svg: str, prefix: str, alt: str) -> str:
    """An SVG file as an element of the page: ids made unique, colours of the page, an alt text."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for colour, variable in _THEME.items():
        svg = svg.replace(colour, variable)
    svg = svg.replace("'DejaVu Sans'", "var(--sans)")
    label = f' role="img" aria-label="{jinja2.filters.do_forceescape(alt)}"'
    return re.sub(r'<svg\b([^>]*?) width="[^"]*pt"', r"<svg\1", svg, count=1).replace(
        "<svg", "<svg" + label, 1
    )


def data_uri(content: bytes | None) -> str | None:
    """A picture as a small JPEG data URI; None where there is none that can be read."""
    if content is None:
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError):
        return None
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()


def _pictures(panels: tuple[Panel, ...], picture: Picture) -> dict[str, str | None]:
    ids = {panel.id for panel in panels}
    ids |= {one.id for panel in panels for one in (*panel.base, *panel.best)}
    return {id: data_uri(picture(id)) for id in sorted(ids)}


def rows_of_json(
    content: Any, path: str = "", listed: int | None = _LISTED
) -> list[tuple[str, str]]:
    """Nested JSON as (dotted name, value) rows.

    A list of plain values stays on one row.

    Args:
        content: The JSON.
        path: What stands before each name.
        listed: Of longer lists and objects the first so many are shown; None shows all.
    """
    if isinstance(content, Mapping) and content:
        items = [(str(name), value) for name, value in content.items()]
    elif isinstance(content, list) and any(isinstance(item, Mapping | list) for item in content):
        items = [(str(number), value) for number, value in enumerate(content, 1)]
    elif isinstance(content, list):
        shown = ", ".join(_word(item) for item in content[:listed]) or formats.NONE
        more = len(content[listed:]) if listed is not None else 0
        return [(path, f"{shown} and {formats.count(more)} more" if more > 0 else shown)]
    else:
        return [(path, _word(content))]
    before = f"{path}." if path else ""
    rows = []
    for name, value in items[:listed]:
        rows += rows_of_json(value, before + name, listed)
    if listed is not None and len(items) > listed:
        rows.append((f"{before}…", f"and {formats.count(len(items) - listed)} more"))
    return rows


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "" or value == {}:
        return formats.NONE
    return str(value)


def _estimate(cell: tables.Cell, kind: tables.Kind) -> tuple[str, str]:
    """A cell in two parts: the number, and its interval if it has one."""
    if not isinstance(cell, Value):
        return formats.unbroken(tables.shown(cell, kind)), ""
    if kind == "points":
        return formats.signed(cell.estimate), formats.signed_interval(cell)
    return formats.share(cell.estimate), formats.interval(cell)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("syntype.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "count": formats.count,
        "number": formats.number,
        "unbroken": formats.unbroken,
    }
    environment.globals |= {"estimate": _estimate, "rows_of_json": rows_of_json}
    return environment


def _render(
    data: ReportData,
    figures: Mapping[str, Mapping[str, Any]],
    made: Mapping[str, Table],
    pictures: Mapping[str, str | None],
    provenance: Mapping[str, Any],
) -> str:
    environment = _environment()
    source, _, _ = jinja2.PackageLoader("syntype.report").get_source(environment, "page.css")
    return environment.get_template("page.html.j2").render(
        data=data,
        css=source,
        overall=data.scope(OVERALL),
        headline=words.headline(data),
        hypothesis=words.hypothesis(data),
        groups=words.group_answers(data),
        methods=words.methods(data),
        limitations=words.limitations(data),
        cleaned=words.cleaned(data.dataset.get("notes", {})),
        figures=figures,
        tables=made,
        pictures=pictures,
        panels={
            kind: [panel for panel in data.panels if panel.kind == kind]
            for kind in get_args(PanelKind)
        },
        flow=[draw_flow(data.stages, narrow) for narrow in (False, True)] if data.stages else [],
        provenance=provenance,
    )


def _write_figures(drawn: list[Drawn], folder: Path) -> dict[str, dict[str, Any]]:
    """Write every figure in every form; returns what the page embeds."""
    shown = {}
    for number, figure in enumerate(drawn, 1):
        for form in _FORMS:
            files.write_bytes(folder / f"{figure.name}.{form}", file_bytes(figure.wide, form))
        wide = (folder / f"{figure.name}.svg").read_text(encoding="utf-8")
        narrow = file_bytes(figure.narrow, "svg").decode()
        shown[figure.name] = {
            "number": number,
            "title": figure.title,
            "caption": figure.caption,
            "wide": inline_svg(wide, f"f{number}w", figure.alt),
            "narrow": inline_svg(narrow, f"f{number}n", figure.alt),
        }
    return shown


def _write_tables(made: Mapping[str, Table], folder: Path) -> None:
    for name, table in made.items():
        files.write_text(folder / f"{name}.csv", tables.as_csv(table))
        files.write_json(folder / f"{name}.json", tables.as_records(table))
        files.write_text(folder / f"{name}.tex", tables.as_latex(table))


def write_report(
    data: ReportData, folder: Path, *, picture: Picture, provenance: Mapping[str, Any]
) -> Path:
    """Write the report into `folder`.

    Args:
        data: All numbers, from `compare.compare`.
        folder: Where; made if absent.
        picture: The bytes of a picture by its id, None where it cannot be had.
        provenance: Who, when, where: shown in the page's footer, kept in `provenance.json`,
            and nowhere else.

    Returns:
        The path of the page.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    made = tables.all_tables(data)
    figures = _write_figures(draw_all(data), folder / "figures")
    _write_tables(made, folder / "tables")
    files.write_json(folder / "report.json", plain(data))
    files.write_json(folder / "provenance.json", plain(provenance))
    pictures = _pictures(data.panels, picture)
    page = folder / "index.html"
    files.write_text(page, _render(data, figures, made, pictures, plain(provenance)))
    return page
