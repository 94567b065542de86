"""How figures look: colours, markers, type, panels, and the files they become.

Colours are those of Okabe and Ito (2008), told apart in all common kinds of colour vision; every
role has a marker of its own as well, so that nothing hangs on colour. Text stays text in the SVG.
No figure carries a date or a random id: equal numbers give equal files.
"""

import io
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from syntype.report.data import Role, Value

INK, MUTED, GRID, PAPER = "#1b1d1f", "#6a6f73", "#dcdedf", "#ffffff"
BLUE, VERMILLION, GREEN, SKY, PURPLE, ORANGE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#56b4e9",
    "#cc79a7",
    "#e69f00",
)
LOOKS: dict[Role, tuple[str, str]] = {
    "floor": (MUTED, "x"),
    "base": (BLUE, "o"),
    "baseline": (GREEN, "s"),
    "clusters": (VERMILLION, "D"),
    "species": (PURPLE, "^"),
    "contrastive": (SKY, "P"),
    "random": (ORANGE, "v"),
}
STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "syntype",
    "pdf.fonttype": 42,
    "savefig.transparent": False,
    "figure.facecolor": PAPER,
}
# A name in a script that the bundled font lacks shows boxes in PNG; the SVG keeps the text.
_NO_GLYPH = "Glyph .* missing from font"
_WIDE, _NARROW = 7.4, 3.7


def short(text: str, length: int = 26) -> str:
    """`text` on one line, its middle cut out where it would not fit: names differ at their ends."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    head = length // 3
    return f"{line[:head].rstrip()}…{line[head + 1 - length :].lstrip()}"


def per_cent(value: float, _: Any = None) -> str:
    """A fraction as an axis label."""
    return f"{100 * value:.0f}"


def grid(
    n_panels: int, narrow: bool, height: float, columns: int = 2, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with `n_panels` axes, in one column where narrow."""
    n_columns = 1 if narrow else min(columns, n_panels)
    n_rows = -(-n_panels // n_columns)
    size = (_NARROW if narrow else _WIDE, height * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(n_rows, n_columns, squeeze=False, **shared)).ravel()
    for unused in axes[n_panels:]:
        unused.remove()
    return figure, list(axes[:n_panels])


def bar(ax: Axes, value: Value, y: int, colour: str, marker: str, size: float = 6.5) -> None:
    """A point with its interval, lying."""
    if value.estimate is None:
        return
    if value.lower is not None and value.upper is not None:
        ax.plot([value.lower, value.upper], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
    ax.plot(
        [value.estimate], [y], marker=marker, ms=size, color=colour, mec=colour, mew=1.4, ls="none"
    )


def settled(figure: Figure) -> Figure:
    """`figure` with its layout computed once, not once again for each file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_NO_GLYPH)
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def file_bytes(figure: Figure, form: str) -> bytes:
    """The figure as a file of `form` svg, png (200 dots an inch) or pdf, without a date."""
    metadata: dict[str, Any] = {
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }[form]
    content = io.BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_NO_GLYPH)
        figure.savefig(content, format=form, dpi=200, metadata=metadata)
    return content.getvalue()
