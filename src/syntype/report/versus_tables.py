"""A comparison of any models on any sets as tables: CSV, LaTeX, and rows for the terminal.

The best of a column is set in bold (in the terminal: an asterisk); what is tied with it bears a
dagger. Published numbers stand behind all measured ones, in columns, or a table, of their own.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from syntype.report import formats
from syntype.report.data import Value
from syntype.report.published import PublishedColumn
from syntype.report.tables import Cell as Written
from syntype.report.tables import Column as Head
from syntype.report.tables import Table, latex_text
from syntype.report.versus_data import Cell, Column, Versus

DAGGER = "†"
_WORDS = (
    (r"Hit@(\d+)", r"Recall@\1"),
    (r"Top@(\d+)", r"top-\1 accuracy"),
    (r"(\d+)Shot", r"\1-shot accuracy"),
    (r"PrecisionAtR", "R-precision"),
    (r"AveragePrecisionAtR", "mAP@R"),
    (r"BCubed(\w+)", r"BCubed \1"),
    (r"hierarchicalDistance@(\d+)", r"hierarchical distance@\1"),
)


def metric_words(metric: str, rank: str = "species") -> str:
    """A metric of the scores in words: `speciesHit@1` is "species Recall@1"."""
    own = metric.startswith(rank)
    name = metric.removeprefix(rank)
    for pattern, words in _WORDS:
        if re.fullmatch(pattern, name):
            return (f"{rank} " if own else "") + re.sub(pattern, words, name)
    return metric


def head(column: Column) -> str:
    """A column in words."""
    return f"{column.set}, {column.task}: {metric_words(column.metric, column.rank)}"


def estimate(value: Value, column: Column) -> str:
    """A value without its interval: per cent, or a distance in ranks."""
    if column.better == "higher":
        return formats.share(value.estimate)
    return formats.number(value.estimate, 2)


def interval(value: Value, column: Column) -> str:
    """Its interval alone, "" where there is none."""
    if column.better == "higher" or value.lower is None or value.upper is None:
        return formats.interval(value)
    return f"[{formats.number(value.lower, 2)},\u00a0{formats.number(value.upper, 2)}]"


def difference(value: Value, column: Column) -> str:
    """A difference with its interval: points, or ranks with their sign."""
    if column.better == "higher":
        return formats.signed_with_interval(value)
    return f"{formats.number(value.estimate, 2)} {interval(value, column)}".strip()


def rank_words(rank: float | None) -> str:
    """A rank, with its half where two models share it."""
    return formats.NONE if rank is None else f"{rank:g}"


def wide(versus: Versus, beside: Sequence[PublishedColumn]) -> Table:
    """A row per model; published numbers last, as fractions like all others."""
    heads = [Head("model", "Model")]
    for column in versus.columns:
        heads += [
            Head(column.key, head(column), "share"),
            Head(f"{column.key}_rank", "Rank", "number"),
            Head(f"{column.key}_mark", "Mark"),
            Head(f"{column.key}_{_other(versus)}", f"{head(column)}, {_other(versus)}", "share"),
        ]
    heads += [Head("mean", "Mean", "share"), Head("mean_rank", "Mean rank", "number")]
    heads += [Head("n_top", "Columns where best or tied", "count")]
    heads += [Head(one.key, f"Published: {one.benchmark}", "share") for one in beside]
    rows = []
    for standing in versus.standings:
        row: list[Written] = [standing.model]
        for column in versus.columns:
            cell = versus.cell(column, standing.model)
            row += _written(cell)
        row += [standing.mean, standing.mean_rank, standing.n_top]
        row += [_fraction(one.values.get(standing.model)) for one in beside]
        rows.append(tuple(row))
    return Table("comparison", "", tuple(heads), tuple(rows))


def _other(versus: Versus) -> str:
    return "micro" if versus.average == "macro" else "macro"


def _written(cell: Cell | None) -> list[Written]:
    if cell is None:
        return [Value(None), None, None, Value(None)]
    mark = "best" if cell.best else "tied" if cell.tied else ""
    return [cell.value, cell.rank, mark, cell.other]


def _fraction(per_cent: float | None) -> float | None:
    return None if per_cent is None else round(per_cent / 100, 6)


def long(versus: Versus) -> Table:
    """A row per pair of models and column."""
    columns = {one.key: one for one in versus.columns}
    heads = (
        Head("set", "Set"),
        Head("task", "Task"),
        Head("metric", "Metric"),
        Head("first", "Better"),
        Head("second", "Worse"),
        Head("difference", "Difference", "points"),
        Head("p", "p", "p"),
        Head("p_holm", "p, corrected", "p"),
        Head("shown", "Shown"),
        Head("p_permutation", "p, permutation", "p"),
        Head("disagree", "Tests disagree"),
    )
    rows = tuple(
        (
            columns[one.column].set,
            columns[one.column].task,
            columns[one.column].metric,
            one.first,
            one.second,
            one.difference,
            one.p,
            one.p_holm,
            _yes(one.shown),
            one.p_permutation,
            _yes(one.disagree),
        )
        for one in versus.pairs
    )
    return Table("pairs", "", heads, rows)


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def terminal_rows(versus: Versus) -> tuple[list[str], list[list[str]]]:
    """Header and rows for a terminal: per cent, * the best, † tied with it, the rank."""
    heads = ["model", *(head(column) for column in versus.columns)]
    more = len(versus.scored) > 1
    heads += ["mean", "mean rank"] if more else []
    rows = []
    for standing in versus.standings:
        row = [standing.model]
        for column in versus.columns:
            cell = versus.cell(column, standing.model)
            row.append(formats.NONE if cell is None else _terminal_cell(cell, column))
        if more:
            row += [formats.share(standing.mean), formats.number(standing.mean_rank, 1)]
        rows.append(row)
    return heads, rows


def _terminal_cell(cell: Cell, column: Column) -> str:
    mark = "*" if cell.best else DAGGER if cell.tied else ""
    parts = [estimate(cell.value, column) + mark, interval(cell.value, column)]
    if cell.rank is not None:
        parts.append(f"({rank_words(cell.rank)})")
    return " ".join(part for part in parts if part)


def latex(versus: Versus, beside: Sequence[PublishedColumn], caption: str) -> str:
    """The measured table, and one of published numbers where there are any.

    The document loads booktabs, and fontenc with T1.
    """
    lines = ["% \\usepackage{booktabs} \\usepackage[T1]{fontenc}", *_measured(versus, caption)]
    if beside:
        lines += ["", *_published(versus, beside)]
    return "\n".join([*lines, ""])


def _measured(versus: Versus, caption: str) -> list[str]:
    columns = versus.columns
    more = len(versus.scored) > 1
    extra = ["Mean", "Mean rank"] if more else []
    sets = [(name, len(list(group))) for name, group in groupby(one.set for one in columns)]
    over = [rf"\multicolumn{{{n}}}{{c}}{{{latex_text(name)}}}" for name, n in sets]
    starts = [2 + sum(n for _, n in sets[:number]) for number in range(len(sets))]
    rules = [
        rf"\cmidrule(lr){{{start}-{start + n - 1}}}"
        for start, (_, n) in zip(starts, sets, strict=True)
    ]
    tasks = [latex_text(one.task) for one in columns]
    metrics = [latex_text(metric_words(one.metric, one.rank)) for one in columns]
    body = []
    for standing in versus.standings:
        cells = [versus.cell(column, standing.model) for column in columns]
        row = [_guarded(latex_text(standing.model))]
        row += [_latex_cell(cell, one) for cell, one in zip(cells, columns, strict=True)]
        if more:
            row += [formats.share(standing.mean), formats.number(standing.mean_rank, 1)]
            row[-2:] = [latex_text(text) for text in row[-2:]]
        body.append(_line(row))
    heads = [
        _line(["", *over, *("" for _ in extra)]),
        " ".join(rules),
        _line(["", *tasks, *("" for _ in extra)]),
        _line(["Model", *metrics, *extra]),
    ]
    return _tabular("comparison", caption, 1 + len(columns) + len(extra), heads, body)


def _published(versus: Versus, beside: Sequence[PublishedColumn]) -> list[str]:
    notes = " ".join(
        f"({number}) {one.source}{' (recalled, only partly checked)' if one.recalled else ''}. "
        f"{one.remark}"
        for number, one in enumerate(beside, 1)
    )
    caption = (
        "Numbers that others published, in per cent. Their protocols differ from ours; no rank, "
        f"mean or test above uses them. {notes}"
    )
    heads = [
        _line(["", *(latex_text(one.benchmark) for one in beside)]),
        _line(["", *(latex_text(metric_words(one.metric)) for one in beside)]),
        _line(["Model", *(f"({number})" for number in range(1, len(beside) + 1))]),
    ]
    body = [
        _line(
            [
                _guarded(latex_text(model)),
                *(latex_text(published_words(one.values.get(model))) for one in beside),
            ]
        )
        for model in versus.models
        if any(model in one.values for one in beside)
    ]
    return _tabular("published", caption, 1 + len(beside), heads, body)


def published_words(per_cent: float | None) -> str:
    """A published number as it was printed: with its own number of decimals."""
    return formats.NONE if per_cent is None else str(per_cent)


def _tabular(
    name: str, caption: str, n_columns: int, heads: Sequence[str], body: Sequence[str]
) -> list[str]:
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{l{'r' * (n_columns - 1)}}}",
        r"\toprule",
        *heads,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _guarded(text: str) -> str:
    r"""A row's first cell: after `\\`, a bracket or an asterisk would be read as its argument."""
    return "{}" + text if text.startswith(("[", "*")) else text


def _latex_cell(cell: Cell | None, column: Column) -> str:
    if cell is None:
        return latex_text(formats.NONE)
    text = latex_text(estimate(cell.value, column))
    text = rf"\textbf{{{text}}}" if cell.best else text + (r"$^\dagger$" if cell.tied else "")
    within = latex_text(interval(cell.value, column))
    return rf"{text} {{\scriptsize {within}}}" if within else text
