"""A space of several modalities as one self-contained page: to read, to look at, to listen to.

index.html     everything; needs no network, no script and no other file
report.json    all numbers

Equal numbers give equal bytes, but for the page's footer, which shows the provenance.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2

from syntype import files
from syntype.provenance import plain
from syntype.report import formats, space_media, space_svg, space_words
from syntype.report.data import NOTHING, Value
from syntype.report.page import rows_of_json
from syntype.report.space_data import LevelMatrix, PairCell, SpaceReport

_N_SHADES = 7
_Cell = dict[str, Any]


def write_space_page(report: SpaceReport, folder: Path) -> Path:
    """Write the page and its numbers into `folder`.

    Args:
        report: All that is shown.
        folder: Where; made if absent.

    Returns:
        The path of the page.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    files.write_json(folder / "report.json", numbers(report))
    page = folder / "index.html"
    files.write_text(page, render(report))
    return page


def numbers(report: SpaceReport) -> dict[str, Any]:
    """The report as plain JSON types, without media, maps' pixels and provenance."""
    bare = replace(
        report,
        examples=[
            replace(
                one,
                query=replace(one.query, content=None),
                answers=[
                    replace(found, medium=replace(found.medium, content=None))
                    for found in one.answers
                ],
            )
            for one in report.examples
        ],
        maps=(),
        provenance={},
    )
    content: dict[str, Any] = plain(bare)
    del content["provenance"]
    content["maps"] = [
        {
            "name": one.name,
            "reading": one.reading,
            "box": [one.west, one.south, one.east, one.north],
            "metrics": plain(one.metrics),
            "file": one.file,
            "warning": one.warning,
        }
        for one in report.maps
    ]
    return content


def render(report: SpaceReport) -> str:
    """The page as text."""
    loader = jinja2.PackageLoader("syntype.report")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"count": formats.count, "unbroken": formats.unbroken}
    environment.globals |= {
        "shown": space_media.shown,
        "with_interval": formats.with_interval,
        "signed": formats.signed_with_interval,
        "interval": formats.interval,
        "share": formats.share,
        "plain_number": lambda value: formats.number(value, 2),
        "step_verdict": space_words.step_verdict,
        "curve_sentence": space_words.curve_sentence,
        "NOTHING": NOTHING,
    }
    css, _, _ = loader.get_source(environment, "page.css")
    return environment.get_template("space.html.j2").render(
        report=report,
        css=css,
        answer=space_words.headline(report),
        percent=f"{100 * report.confidence:.3g}",
        numbers=_numbers_row(report),
        matrices=[_matrix(matrix, report) for matrix in report.matrices],
        curves=[_both(space_svg.curves, curve) for curve in report.curves],
        steps=_steps(report),
        combined=_combined(report),
        maps=[
            (space_svg.draw_map(one), space_svg.draw_map(one, truth=True))
            if one.truth is not None
            else (space_svg.draw_map(one), "")
            for one in report.maps
        ],
        audit=[_audit(report, number) for number in range(len(report.audit))],
        reasons=sorted({reason for one in report.presence for reason in one.missing}),
        settings=rows_of_json(plain(report.settings)) if report.settings else [],
        provenance=rows_of_json(plain(report.provenance)) if report.provenance else [],
    )


def _both(draw: Any, *arguments: Any, **options: Any) -> tuple[str, str]:
    """A figure in its wide and its narrow form."""
    wide = draw(*arguments, narrow=False, **options)
    return wide, draw(*arguments, narrow=True, **options)


def _numbers_row(report: SpaceReport) -> list[tuple[str, str]]:
    """The headline numbers."""
    return [
        ("observations", formats.count(report.n)),
        ("units", formats.count(report.n_units)),
        ("species", formats.count(report.n_species)),
        ("modalities", str(len(report.modalities))),
    ]


def _matrix(matrix: LevelMatrix, report: SpaceReport) -> dict[str, Any]:
    """A matrix as the template lays it out: rows of cells, and the long table."""
    by_pair = {(cell.query, cell.gallery): cell for cell in matrix.cells}
    most = max(
        (value.estimate or 0.0 for cell in matrix.cells if (value := _value(cell, report.metric))),
        default=0.0,
    )
    names = list(dict.fromkeys(name for cell in matrix.cells for name in cell.metrics))
    rows = [
        (
            query,
            [
                _heat(by_pair.get((query, other)), report.metric, most)
                for other in report.modalities
            ],
        )
        for query in report.modalities
    ]
    long = [
        [
            f"{cell.query} to {cell.gallery}",
            formats.count(cell.n_queries),
            formats.count(cell.n_gallery),
            *(_metric(cell, name) for name in names),
            formats.share(cell.chance.get(report.metric)),
        ]
        for cell in matrix.cells
    ]
    return {
        "level": matrix.level,
        "title": space_words.level_title(matrix.level),
        "rows": rows,
        "most": formats.share(most),
        "heads": ["pair", "queries", "gallery", *names, f"chance, {report.metric}"],
        "long": long,
    }


def _value(cell: PairCell, metric: str) -> Value | None:
    return cell.metrics.get(metric)


def _metric(cell: PairCell, name: str) -> str:
    value = cell.metrics.get(name, NOTHING)
    if name != "medianRank":
        return formats.with_interval(value)
    if value.estimate is None:
        return formats.NONE
    text = f"{value.estimate:g}"
    if value.lower is not None and value.upper is not None:
        text += f" [{value.lower:g}, {value.upper:g}]"
    return text


def _heat(cell: PairCell | None, metric: str, most: float) -> _Cell:
    """One square of the heat map."""
    value = NOTHING if cell is None else cell.metrics.get(metric, NOTHING)
    if cell is None or value.estimate is None:
        return {"text": formats.NONE, "interval": "", "shade": "", "title": "", "chance": False}
    at = 0 if most <= 0 else min(int(value.estimate / most * _N_SHADES), _N_SHADES - 1)
    told = space_words.above_chance(cell, metric)
    chance = cell.chance.get(metric)
    title = (
        f"{cell.query} to {cell.gallery}: {metric} {formats.with_interval(value)} %"
        f"{'' if chance is None else f', by chance {formats.share(chance)} %'}; "
        f"{formats.count(cell.n_queries)} queries, gallery of {formats.count(cell.n_gallery)}"
    )
    return {
        "text": formats.share(value.estimate),
        "interval": formats.interval(value),
        "shade": f"h{at}",
        "title": title,
        "chance": told is False,
    }


def _steps(report: SpaceReport) -> tuple[str, str] | None:
    if not report.step_rows:
        return None
    rows = [
        (row.task, {step: row.scores[step] for step in report.steps if step in row.scores})
        for row in report.step_rows
    ]
    return _both(space_svg.dots, rows, x="score, %", series=report.steps)


def _combined(report: SpaceReport) -> tuple[str, str] | None:
    if not report.combinations:
        return None
    ordered = sorted(report.combinations, key=lambda row: row.baseline)
    rows: list[tuple[str, Mapping[str, Value]]] = [
        (row.name, {"": row.score}) for row in ordered if row.score.estimate is not None
    ]
    notes = [f"n = {row.n}" for row in ordered if row.score.estimate is not None]
    if not rows:
        return None
    alone = next((row.score.estimate for row in ordered if row.name == "image"), None)
    return _both(space_svg.dots, rows, x=f"{report.zero_shot_metric}, %", line=alone, notes=notes)


def _audit(report: SpaceReport, number: int) -> tuple[str, str]:
    rows: list[tuple[str, Mapping[str, Value]]] = [
        (row.name, {"": row.score}) for row in report.audit[number].rows
    ]
    notes = [f"n = {row.n}" for row in report.audit[number].rows]
    return _both(space_svg.dots, rows, x=f"{report.audit_metric}, %", notes=notes)
