"""The picture of a comparison: one panel per column, one row per model, a point with its interval.

Further right is better in every panel: the axis of a distance runs backwards. Best, tied and worse
differ in colour (Okabe and Ito) and in marker.
"""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from syntype.report import formats
from syntype.report.drawing import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    STYLE,
    VERMILLION,
    bar,
    grid,
    settled,
    short,
)
from syntype.report.figures import Drawn
from syntype.report.versus_data import Cell, Column, Versus
from syntype.report.versus_tables import estimate, head, metric_words

_BEST, _TIED, _WORSE = (VERMILLION, "D"), (BLUE, "o"), (MUTED, "s")
_FEW_PANELS = 4  # up to here two in a row, else three


def _look(cell: Cell, column: Column) -> tuple[str, str]:
    if cell.best:
        return _BEST
    return _TIED if cell.tied or column.family == 0 else _WORSE


def _panel(versus: Versus, column: Column, ax: Axes, length: int, name_length: int) -> None:
    for y, model in enumerate(versus.models):
        cell = versus.cell(column, model)
        if cell is not None and cell.value.estimate is not None:
            bar(ax, cell.value, -y, *_look(cell, column), size=5.0)
        else:
            place = ax.get_yaxis_transform()
            text = "not evaluated" if cell is None else "nothing to score"
            box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
            ax.text(0.02, -y, text, transform=place, fontsize=7, color=MUTED, va="center", bbox=box)
    ax.set_title(f"{short(column.set, length)}\n{short(column.task, length)}")
    names = [short(model, name_length) for model in versus.models]
    ax.set_yticks([-y for y in range(len(names))], names)
    ax.set_ylim(-len(names) + 0.4, 0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    words = metric_words(column.metric, column.rank)
    if column.better == "higher":
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 2):g}"))
        ax.set_xlabel(f"{words}, %")
    else:
        ax.invert_xaxis()
        ax.set_xlabel(f"{words}, ranks (backwards)")


def _figure(versus: Versus, narrow: bool) -> Figure:
    columns = versus.columns
    in_row = 2 if len(columns) <= _FEW_PANELS else 3
    height = 0.95 + 0.17 * len(versus.models)
    figure, axes = grid(len(columns), narrow, height, columns=in_row, sharey=True)
    for column, ax in zip(columns, axes, strict=True):
        _panel(versus, column, ax, 34 if in_row == 2 and not narrow else 20, 20 if narrow else 28)
    looks = [(_BEST, "best"), (_TIED, "not told apart from it"), (_WORSE, "shown to be worse")]
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=5, lw=1.8, label=name)
        for (colour, marker), name in looks
    ]
    if len(versus.models) > 1:
        figure.set_figheight(figure.get_figheight() + (0.75 if narrow else 0.4))  # the legend's
        figure.legend(
            handles=handles,
            loc="outside upper left",
            ncols=1 if narrow else 3,
            fontsize=8,
            title="Further right is better",
            title_fontproperties={"weight": "bold", "size": 9.5},
            alignment="left",
            labelcolor=INK,
        )
    return figure


def _alt(versus: Versus, caption: str) -> str:
    """The picture in words: the best of every column."""
    parts = []
    for column in versus.contested:
        best = versus.top(column)[0][0]
        cell = versus.cell(column, best)
        assert cell is not None
        unit = " %" if column.better == "higher" else ""
        parts.append(f"{head(column)}: {best}, {estimate(cell.value, column)}{unit}")
    return f"{caption} The best: {'; '.join(parts)}." if parts else caption


def draw(versus: Versus) -> Drawn:
    """Every model in every column, as a point with its interval."""
    percent = formats.share(versus.confidence, 0)
    weight = "each class counts the same" if versus.average == "macro" else "per picture"
    caption = (
        f"Bars are {percent} % intervals of each model by itself ({weight}). Whether two models "
        "are told apart is a matter of their paired difference: intervals that overlap do not mean "
        "a tie."
    )
    with mpl.rc_context(STYLE):
        return Drawn(
            "comparison",
            "Every model on every set; further right is better",
            caption,
            _alt(versus, caption),
            wide=settled(_figure(versus, False)),
            narrow=settled(_figure(versus, True)),
        )
