"""The tables of the report, each one also as CSV, JSON and LaTeX (booktabs).

A table is typed columns and rows of raw values; the page, CSV and LaTeX write the same cells, the
page and LaTeX rounded with intervals, CSV and JSON in full with the interval in columns of its own.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from syntype.report import formats
from syntype.report.data import OVERALL, Average, Model, ReportData, Value, rows_of

Kind = Literal["text", "count", "share", "points", "p", "number"]
Cell = str | int | float | Value | None

QUESTIONS = {
    "base": "base model",
    "baseline": "best baseline",
    "count": "about one per species",
    "species": "control",
    "contrastive": "pictures against words",
    "random": "control",
}


@dataclass(frozen=True)
class Column:
    """One column: its key in files, its head on paper, what its cells are."""

    key: str
    head: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """A named table; `emphasis` holds the numbers of the rows that matter most."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    emphasis: frozenset[int] = frozenset()

    @property
    def repeats(self) -> bool:
        """Whether rows come in parts that share their first cell."""
        return len({row[0] for row in self.rows}) < len(self.rows)


def shown(cell: Cell, kind: Kind) -> str:
    """A cell as the reader sees it."""
    if isinstance(cell, Value):
        if kind == "points":
            return formats.signed_with_interval(cell)
        return formats.with_interval(cell)
    if cell is None:
        return formats.NONE
    if kind == "text" or isinstance(cell, str):
        return str(cell)
    if kind == "count":
        return formats.count(int(cell))
    writers: Mapping[str, Callable[[float], str]] = {
        "share": formats.share,
        "points": formats.signed,
        "p": formats.p_value,
        "number": formats.number,
    }
    return writers[kind](cell)


def _flat(table: Table) -> tuple[list[str], list[list[Any]]]:
    """Heads and rows with every interval in columns of its own."""
    wide = {
        index
        for index in range(len(table.columns))
        if any(isinstance(row[index], Value) for row in table.rows)
    }
    heads: list[str] = []
    for index, column in enumerate(table.columns):
        heads.append(column.key)
        if index in wide:
            heads += [f"{column.key}_lower", f"{column.key}_upper"]
    rows = []
    for row in table.rows:
        flat: list[Any] = []
        for index, cell in enumerate(row):
            if isinstance(cell, Value):
                flat += [cell.estimate, cell.lower, cell.upper]
            else:
                flat += [cell, None, None] if index in wide else [cell]
        rows.append(flat)
    return heads, rows


def as_records(table: Table) -> list[dict[str, Any]]:
    """The rows as JSON objects, numbers in full."""
    heads, rows = _flat(table)
    return [dict(zip(heads, row, strict=True)) for row in rows]


def as_csv(table: Table) -> str:
    """The rows as CSV, numbers in full, empty where there is no number."""
    heads, rows = _flat(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return text.getvalue()


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": r"$-$",
    "–": "--",
    "×": r"$\times$",
    "\u202f": r"\,",
    "\u00a0": "~",
    "\n": " ",
    "\r": " ",
}


def latex_text(text: str) -> str:
    """`text` so that LaTeX prints it as it is."""
    return "".join(_LATEX.get(character, character) for character in text)


def as_latex(table: Table) -> str:
    """The table with booktabs' rules; its document loads the package of that name."""
    align = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(latex_text(column.head) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(table.rows):
        cells = [
            latex_text(shown(cell, column.kind))
            for cell, column in zip(row, table.columns, strict=True)
        ]
        if number in table.emphasis:
            cells = [rf"\textbf{{{cell}}}" for cell in cells]
        # A cell that starts with a bracket would be read as the optional argument of \\.
        first, *rest = cells
        lines.append(" & ".join(["{}" + first if first.startswith("[") else first, *rest]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _average_words(average: Average) -> str:
    return "class-balanced" if average == "macro" else "per picture"


def comparisons(data: ReportData) -> Table:
    """The best clusters against each opponent, per scope."""
    rows: list[tuple[Cell, ...]] = []
    for scope in data.scope_names:
        for question, words in QUESTIONS.items():
            macro = data.comparison(question, scope, "macro")
            micro = data.comparison(question, scope, "micro")
            if macro is None or micro is None:
                continue
            name = data.by_key[macro.second].name
            rows.append(
                (scope, f"{name} ({words})", macro.difference, macro.p_holm, micro.difference,
                 micro.p_holm)
            )  # fmt: skip
    best = data.best.name if data.best else "the best clusters"
    percent = formats.share(data.confidence, 0)
    return Table(
        "comparisons",
        f"{data.metric} of {best} minus that of its opponents on the test split, in points, with "
        f"{percent} % intervals and Holm-corrected p-values.",
        (
            Column("scope", "Group"),
            Column("opponent", "Compared with"),
            Column("macro", "Class-balanced", "points"),
            Column("macro_p_holm", "p", "p"),
            Column("micro", "Per picture", "points"),
            Column("micro_p_holm", "p", "p"),
        ),
        tuple(rows),
    )


def models(data: ReportData) -> Table:
    """Every model: the main metric per scope, both averages overall."""
    best = data.best
    rows = tuple(
        (
            model.name,
            model.k,
            len(model.seeds),
            data.value(model.key, split="validation"),
            data.value(model.key, average="macro"),
            data.value(model.key, average="micro"),
            *(data.value(model.key, group) for group in data.groups),
        )
        for model in data.models
    )
    emphasis = {row for row, model in enumerate(data.models) if model == best}
    return Table(
        "models",
        f"{data.rank.capitalize()} {data.metric} of every model in per cent. The groups are "
        f"{_average_words(data.objective)}, test split; the chosen clusters are set in bold.",
        (
            Column("model", "Model"),
            Column("classes", "Classes", "count"),
            Column("seeds", "Seeds", "count"),
            Column("validation", "Validation", "share"),
            Column("macro", "Test, class-balanced", "share"),
            Column("micro", "Test, per picture", "share"),
            *(Column(group, group, "share") for group in data.groups),
        ),
        rows,
        frozenset(emphasis),
    )


def choices(data: ReportData) -> Table:
    """The k that each group would have chosen for itself."""
    rows = []
    for choice in data.choices:
        model = data.by_key.get(choice.clusters or "")
        baseline = data.by_key.get(choice.baseline or "")
        rows.append(
            (
                choice.scope,
                model.k if model else None,
                data.value(model.key, choice.scope, split="validation") if model else None,
                data.value(model.key, choice.scope) if model else None,
                data.value(data.best.key, choice.scope) if data.best else None,
                baseline.name if baseline else None,
            )
        )
    return Table(
        "choices",
        "What the validation split would choose for each group by itself, beside the one k that "
        "it chose for the whole set.",
        (
            Column("scope", "Group"),
            Column("k", "Own best k", "count"),
            Column("validation", "Its validation score", "share"),
            Column("test", "Its test score", "share"),
            Column("test_of_overall_k", "Test score of the overall k", "share"),
            Column("baseline", "Best baseline"),
        ),
        tuple(rows),
    )


def _gap(data: ReportData, model: Model) -> tuple[float | None, float | None, float | None]:
    found = rows_of(data.gaps, model=model.key, scope=OVERALL)
    if not found:
        return None, None, None
    within, between = found[0].within, found[0].between
    gap = None if within is None or between is None else within - between
    return within, between, gap


def ranks(data: ReportData) -> Table:
    """All metrics at each rank for the models of the figures."""
    rows: list[tuple[Cell, ...]] = []
    emphasis = set()
    for rank in data.ranks:
        for model in data.shown:
            if model == data.best:
                emphasis.add(len(rows))
            rows.append(
                (
                    rank,
                    model.name,
                    *(
                        data.value(model.key, rank=rank, metric=metric, average="macro").estimate
                        for metric in data.metrics
                    ),
                    data.value(model.key, rank=rank, average="micro").estimate,
                )
            )
    return Table(
        "ranks",
        "All metrics on the test split in per cent, class-balanced: each taxon of the rank counts "
        "the same; the last column counts each picture the same.",
        (
            Column("rank", "Rank"),
            Column("model", "Model"),
            *(Column(metric, metric, "share") for metric in data.metrics),
            Column("micro", f"{data.metric}, per picture", "share"),
        ),
        tuple(rows),
        frozenset(emphasis),
    )


def similarities(data: ReportData) -> Table:
    """How much closer pictures are to their own species than to the others."""
    return Table(
        "similarities",
        "Mean cosine similarity of each test picture to its own species and to all others.",
        (
            Column("model", "Model"),
            Column("within", "Within species", "number"),
            Column("between", "Between species", "number"),
            Column("gap", "Gap", "number"),
        ),
        tuple((model.name, *_gap(data, model)) for model in data.shown),
        frozenset(row for row, model in enumerate(data.shown) if model == data.best),
    )


def curve(data: ReportData) -> Table:
    """Score of the clusters and of their random-label control at every k."""
    rows = tuple(
        (
            scope,
            model.role if model.role == "random" else "clusters",
            model.k,
            len(model.seeds),
            data.value(model.key, scope, split="validation"),
            data.value(model.key, scope),
        )
        for scope in data.scope_names
        for model in data.of_role("clusters", "random")
    )
    return Table(
        "curve",
        f"{data.rank.capitalize()} {data.metric} against the number of clusters, per cent, "
        f"{_average_words(data.objective)}.",
        (
            Column("scope", "Group"),
            Column("labels", "Labels"),
            Column("k", "k", "count"),
            Column("seeds", "Seeds", "count"),
            Column("validation", "Validation", "share"),
            Column("test", "Test", "share"),
        ),
        rows,
    )


QUALITY_NAMES = {
    "ami": "AMI",
    "ari": "ARI",
    "homogeneity": "Homogeneity",
    "completeness": "Completeness",
}


def quality(data: ReportData) -> Table:
    """Cluster quality beside its ceiling."""
    names = [name for name in QUALITY_NAMES if any(name in p.quality for p in data.quality)]
    columns = [Column("k", "k", "count"), Column("seeds", "Seeds", "count")]
    for name in names:
        columns.append(Column(name, QUALITY_NAMES[name], "number"))
        columns.append(Column(f"{name}_ceiling", "Ceiling", "number"))
    rows = tuple(
        (
            point.k,
            point.seeds,
            *(
                part.get(name)
                for name in names
                for part in (point.quality, point.ceiling)
            ),
        )
        for point in data.quality
    )  # fmt: skip
    return Table(
        "quality",
        "Agreement of the clusters with the species on the training pictures, and the ceiling: "
        "what perfect clusters of the same k would reach.",
        tuple(columns),
        rows,
    )


def training_pictures(data: ReportData) -> Table:
    """Score by the number of training pictures of the species; the singletons apart."""
    keys = list(dict.fromkeys(one.model for one in data.bins))
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys(one.name for one in data.bins):
        found = {one.model: one for one in data.bins if one.name == name}
        first = found[keys[0]]
        values = (found[key].value for key in keys)
        rows.append((name.replace("-", "–"), first.n_species, first.n_images, *values))
    n_singletons = data.scope(OVERALL).n_singletons
    if n_singletons:
        rows.append(("singletons", None, n_singletons, *(None for _ in keys)))
    return Table(
        "training-pictures",
        f"{data.metric} on the test split by number of training pictures of the species, per "
        f"cent, {_average_words(data.objective)}. Singletons have no other picture to be found "
        "and cannot be scored.",
        (
            Column("training_pictures", "Training pictures"),
            Column("species", "Species", "count"),
            Column("images", "Test pictures", "count"),
            *(Column(data.by_key[key].name, data.by_key[key].name, "share") for key in keys),
        ),
        tuple(rows),
    )


def dataset(data: ReportData) -> Table:
    """Pictures, species, units and singletons of each group and split."""
    names = ("images", "species", "units", "singletons")
    groups: Mapping[str, Any] = data.dataset.get("groups", {})
    rows = tuple(
        (group, split, *(counts.get(name) for name in names))
        for group, splits in sorted(groups.items())
        for split, counts in sorted(splits.items(), key=lambda item: _split_order(item[0]))
    )
    return Table(
        "dataset",
        "The data after cleaning. A unit (track, specimen) is never cut by a split; a singleton "
        "is a species with a single picture in its split.",
        (
            Column("group", "Group"),
            Column("split", "Split"),
            *(Column(name, name.capitalize(), "count") for name in names),
        ),
        rows,
    )


def _split_order(split: str) -> tuple[int, str]:
    known = ("train", "val", "test")
    return (known.index(split) if split in known else len(known), split)


def all_tables(data: ReportData) -> dict[str, Table]:
    """Every table that has rows, by name."""
    makers: Sequence[Callable[[ReportData], Table]] = (
        comparisons,
        models,
        choices,
        ranks,
        similarities,
        curve,
        quality,
        training_pictures,
        dataset,
    )
    tables = [make(data) for make in makers]
    return {table.name: table for table in tables if table.rows}
