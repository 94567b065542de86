"""A comparison of any models on any sets as a folder.

index.html            everything on one page; needs no network and no other file
comparison.json       all numbers: `measured`, and apart from them `published`
comparison.csv        a row per model; pairs.csv: a row per pair of models and column
comparison.tex        booktabs
comparison.svg .png   the picture

Equal numbers give equal bytes, but for the page's footer, which shows the provenance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from syntype import files
from syntype.provenance import plain
from syntype.report import formats, tables, versus_tables, versus_words
from syntype.report.data import Value
from syntype.report.drawing import file_bytes
from syntype.report.figures import Drawn
from syntype.report.page import inline_svg, rows_of_json
from syntype.report.published import PublishedColumn
from syntype.report.versus_data import Cell, Column, Pair, Versus
from syntype.report.versus_figure import draw
from syntype.report.versus_words import listed

_UNDECIDED = 50  # disagreements shown on the page


@dataclass(frozen=True)
class _Cell:
    """A cell as the page writes it; `below` is small and stands under `text`."""

    text: str
    below: str = ""
    best: bool = False
    tied: bool = False


@dataclass(frozen=True)
class _Table:
    """A table as the page writes it."""

    caption: str
    heads: list[str]
    rows: list[list[_Cell]]
    title: str = ""
    notes: tuple[str, ...] = ()


def write_versus(
    versus: Versus,
    folder: Path,
    *,
    title: str,
    beside: Sequence[PublishedColumn] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write the comparison into `folder`.

    Args:
        versus: All measured numbers, from `versus.contrast`.
        folder: Where; made if absent.
        title: Title of the page, and caption of the LaTeX table.
        beside: Published numbers to show, from `published.columns_beside`.
        provenance: Who, when, where: shown in the page's footer and nowhere else.

    Returns:
        The path of the page.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    drawn = draw(versus)
    files.write_json(
        folder / "comparison.json", {"measured": plain(versus), "published": plain(list(beside))}
    )
    files.write_text(folder / "comparison.csv", tables.as_csv(versus_tables.wide(versus, beside)))
    files.write_text(folder / "pairs.csv", tables.as_csv(versus_tables.long(versus)))
    caption = f"{title}{'' if title.endswith(('.', '?', '!')) else '.'} {_caption(versus)}"
    files.write_text(folder / "comparison.tex", versus_tables.latex(versus, beside, caption))
    svg = file_bytes(drawn.wide, "svg")
    files.write_bytes(folder / "comparison.svg", svg)
    files.write_bytes(folder / "comparison.png", file_bytes(drawn.wide, "png"))
    page = folder / "index.html"
    files.write_text(page, _render(versus, beside, title, drawn, svg, provenance or {}))
    return page


def _render(
    versus: Versus,
    beside: Sequence[PublishedColumn],
    title: str,
    drawn: Drawn,
    svg: bytes,
    provenance: Mapping[str, Any],
) -> str:
    loader = jinja2.PackageLoader("syntype.report")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"count": formats.count, "unbroken": formats.unbroken}
    css, _, _ = loader.get_source(environment, "page.css")
    narrow = file_bytes(drawn.narrow, "svg").decode()
    return environment.get_template("versus.html.j2").render(
        title=title,
        css=css,
        answer=versus_words.answer(versus),
        percent=f"{100 * versus.confidence:.3g}",
        figure={
            "title": drawn.title,
            "caption": drawn.caption,
            "wide": inline_svg(svg.decode(), "f1w", drawn.alt),
            "narrow": inline_svg(narrow, "f1n", drawn.alt),
        },
        measured=_measured(versus),
        other=_other(versus),
        gaps=versus_words.gaps(versus),
        pairs=_pairs(versus),
        n_pairs=len(versus.pairs),
        check=versus_words.check(versus),
        undecided=_undecided(versus),
        published=_published(versus, beside),
        methods=versus_words.methods(versus),
        provenance=rows_of_json(plain(provenance)) if provenance else [],
    )


def _caption(versus: Versus) -> str:
    weight = "class-balanced" if versus.average == "macro" else "averaged per query"
    return (
        f"Every model on every set, {weight}, with {100 * versus.confidence:.3g} % intervals. Bold "
        "is the best of a column, a dagger marks what cannot be told from it."
    )


def _measured(versus: Versus) -> _Table:
    more = len(versus.scored) > 1
    heads = ["Model", *map(versus_tables.head, versus.columns)]
    rows = []
    for standing in versus.standings:
        row = [_Cell(standing.model)]
        row += [_cell(versus.cell(column, standing.model), column) for column in versus.columns]
        if more:
            row += [_Cell(formats.share(standing.mean))]
            row += [_Cell(formats.number(standing.mean_rank, 1))]
            row += [_Cell(f"{standing.n_top} of {len(versus.contested)}")]
        rows.append(row)
    heads += ["Mean", "Mean rank", "Best or tied"] if more else []
    return _Table(f"{_caption(versus)} Small: the interval and the rank.", heads, rows)


def _cell(cell: Cell | None, column: Column) -> _Cell:
    if cell is None:
        return _Cell(formats.NONE)
    rank = "" if cell.rank is None else f"rank {versus_tables.rank_words(cell.rank)}"
    within = versus_tables.interval(cell.value, column)
    return _Cell(
        versus_tables.estimate(cell.value, column),
        " ".join(part for part in (within, rank) if part),
        cell.best,
        cell.tied,
    )


def _other(versus: Versus) -> _Table:
    """The average that nothing is decided by."""
    name = "micro" if versus.average == "macro" else "macro"
    words = "each query" if name == "micro" else "each class"
    rows = []
    for model in versus.models:
        cells = [versus.cell(column, model) for column in versus.columns]
        values = [Value(None) if cell is None else cell.other for cell in cells]
        row = [
            _Cell(versus_tables.estimate(value, column), versus_tables.interval(value, column))
            for value, column in zip(values, versus.columns, strict=True)
        ]
        rows.append([_Cell(model), *row])
    return _Table(
        f"Averages in which {words} counts the same, for the record: ranks, ties and tests go by "
        "the table above.",
        ["Model", *map(versus_tables.head, versus.columns)],
        rows,
        title=name,
    )


def _pairs(versus: Versus) -> list[_Table]:
    """For each column, all others against its best."""
    found = []
    for column in versus.contested:
        best = versus.top(column)[0][0]
        pairs = [one for one in versus.pairs if (one.column, one.first) == (column.key, best)]
        found.append(
            _Table(
                f"{best} minus each other model in {versus_tables.head(column)}, in "
                f"{'points' if column.better == 'higher' else 'ranks'}; p corrected for "
                f"{formats.count(column.family)} pairs, in bold where the two are told apart.",
                ["Model", "Difference", "p, corrected", "p", "p, permutation"],
                [[_Cell(one.second), *_tests(one, column)] for one in pairs],
                title=versus_tables.head(column),
            )
        )
    return found


def _tests(pair: Pair, column: Column) -> list[_Cell]:
    return [
        _Cell(versus_tables.difference(pair.difference, column)),
        _Cell(formats.p_value(pair.p_holm), best=pair.shown),
        _Cell(formats.p_value(pair.p)),
        _Cell(formats.p_value(pair.p_permutation) + (" (disagrees)" if pair.disagree else "")),
    ]


def _undecided(versus: Versus) -> _Table | None:
    columns = {one.key: one for one in versus.columns}
    pairs = versus_words.disagreements(versus)
    if not pairs:
        return None
    shown = pairs[:_UNDECIDED]
    return _Table(
        f"{formats.count(len(shown))} of {formats.count(len(pairs))} pairs for which bootstrap and "
        f"permutation test lie on different sides of {1 - versus.confidence:.3g}.",
        ["Pair", "Column", "Difference", "p, corrected", "p", "p, permutation"],
        [
            [
                _Cell(f"{one.first} − {one.second}"),
                _Cell(versus_tables.head(columns[one.column])),
                *_tests(one, columns[one.column]),
            ]
            for one in shown
        ],
    )


def _published(versus: Versus, beside: Sequence[PublishedColumn]) -> _Table | None:
    if not beside:
        return None
    heads = [
        f"{one.benchmark}, {one.task}: {versus_tables.metric_words(one.metric)} ({number})"
        for number, one in enumerate(beside, 1)
    ]
    rows = [
        [
            _Cell(model),
            *(_Cell(versus_tables.published_words(one.values.get(model))) for one in beside),
        ]
        for model in versus.models
        if any(model in one.values for one in beside)
    ]
    silent = [model for model in versus.models if not any(model in one.values for one in beside)]
    caption = "Published numbers, in per cent; sources below."
    if silent:
        caption += f" None is known of {listed(silent)}."
    notes = tuple(
        f"{one.source}{' (recalled, only partly checked)' if one.recalled else ''}. {one.remark}"
        for one in beside
    )
    return _Table(caption, ["Model", *heads], rows, notes=notes)
