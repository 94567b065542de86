"""The figures: one drawing function each, in a wide form (paper, desktop) and a narrow one (phone).

A figure exists only if the data have something for it; how it looks is `drawing`'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from syntype.report import formats
from syntype.report.data import OVERALL, Model, ReportData, Role, Split, Value
from syntype.report.drawing import (
    BLUE,
    GREEN,
    INK,
    LOOKS,
    MUTED,
    PAPER,
    STYLE,
    VERMILLION,
    bar,
    grid,
    per_cent,
    settled,
    short,
)
from syntype.report.tables import QUALITY_NAMES

_DASHES = {
    "floor": (0, (1, 1)),
    "base": "-",
    "species": (0, (6, 2)),
    "contrastive": (0, (3, 1, 1, 1)),
}
_BASELINE_MARKERS = "s^vP*hX"
_Make = Callable[[ReportData, bool], Figure]


@dataclass(frozen=True)
class Drawn:
    """One figure of the report: `wide` for paper and desktop, `narrow` for a phone."""

    name: str
    title: str
    caption: str
    alt: str
    wide: Figure
    narrow: Figure


def _models_figure(data: ReportData, narrow: bool) -> Figure:
    rows = data.shown
    scopes = data.scope_names
    height = 0.62 + 0.25 * len(rows)
    figure, axes = grid(len(scopes), narrow, height, sharex=True, sharey=True)
    for ax, scope in zip(axes, scopes, strict=True):
        for y, model in enumerate(rows):
            colour, marker = LOOKS[model.role]
            bar(ax, data.value(model.key, scope), -y, colour, marker)
        ax.set_title(short(scope))
        ax.set_yticks([-y for y in range(len(rows))], [short(model.name) for model in rows])
        ax.set_ylim(-len(rows) + 0.4, 0.6)
        ax.grid(axis="y", visible=False)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.xaxis.set_major_formatter(FuncFormatter(per_cent))
        ax.xaxis.set_major_locator(MaxNLocator(6))
        if data.base is not None:
            base = data.value(data.base, scope).estimate
            if base is not None:
                ax.axvline(base, color=BLUE, lw=0.8, ls=(0, (2, 2)), zorder=0)
        for label, model in zip(ax.get_yticklabels(), rows, strict=False):
            label.set_fontweight("bold" if model == data.best else "normal")
    figure.supxlabel(f"{data.rank} {data.metric}, %", fontsize=8.5)
    return figure


def _dumbbell_rows(data: ReportData, ax: Axes, narrow: bool) -> None:
    best, base = data.best, data.base
    for y, scope in enumerate(data.scope_names):
        before = data.value(base, scope) if base else Value(None)
        after = data.value(best.key, scope) if best else Value(None)
        if before.estimate is not None and after.estimate is not None:
            ax.annotate(
                "",
                (after.estimate, -y),
                (before.estimate, -y),
                arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 3, "alpha": 0.45},
            )
        for number, model in enumerate(data.of_role("baseline")):
            value = data.value(model.key, scope).estimate
            marker = _BASELINE_MARKERS[number % 7]
            if value is not None:
                ax.plot(
                    [value], [-y], marker=marker, ms=6, mfc=PAPER, mec=GREEN, mew=1.3, ls="none"
                )
        ends: tuple[tuple[Value, Role], ...] = ((before, "base"), (after, "clusters"))
        for end, role in ends:
            if end.estimate is not None:
                colour, marker = LOOKS[role]
                ax.plot([end.estimate], [-y], marker=marker, ms=8, color=colour, ls="none")
        answer = data.comparison("base", scope)
        if answer is not None:
            text = formats.signed_with_interval(answer.difference)
            text = formats.signed(answer.difference.estimate) if narrow else text
            ax.annotate(
                text,
                (1.02, -y),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                annotation_clip=False,
            )


def _dumbbell_figure(data: ReportData, narrow: bool) -> Figure:
    scopes = data.scope_names
    figure, (ax,) = grid(1, narrow, 1.25 + 0.42 * len(scopes))
    _dumbbell_rows(data, ax, narrow)
    ax.set_yticks([-y for y in range(len(scopes))], [short(scope, 16) for scope in scopes])
    ax.set_ylim(-len(scopes) + 0.4, 0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.08)
    ax.xaxis.set_major_formatter(FuncFormatter(per_cent))
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set_xlabel(f"{data.rank} {data.metric}, %")
    handles = []
    for model in data.shown:
        if model.role in ("base", "clusters"):
            colour, marker = LOOKS[model.role]
            handles.append(_handle(short(model.name), colour, marker, filled=True))
    for number, model in enumerate(data.of_role("baseline")):
        handles.append(
            _handle(short(model.name), GREEN, _BASELINE_MARKERS[number % 7], filled=False)
        )
    columns = 1 if narrow else 4 if sum(len(str(one.get_label())) for one in handles) < 70 else 2
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, fontsize=8)
    return figure


def _handle(name: str, colour: str, marker: str, filled: bool) -> Line2D:
    face = colour if filled else PAPER
    return Line2D([], [], ls="none", marker=marker, mfc=face, mec=colour, mew=1.3, ms=7, label=name)


def _height(value: Value) -> float:
    return float("nan") if value.estimate is None else value.estimate


def _line(
    data: ReportData, ax: Axes, models: Sequence[Model], scope: str, split: Split, look: Role
) -> None:
    """One curve over k with its band; `look` is the role whose colour it takes."""
    points = [(model.k or 0, data.value(model.key, scope, split=split)) for model in models]
    points = [(k, value) for k, value in points if value.estimate is not None]
    if not points:
        return
    colour, marker = LOOKS[look]
    ks = [k for k, _ in points]
    estimates = [_height(value) for _, value in points]
    if split == "validation":
        ax.plot(ks, estimates, color=colour, lw=1.1, ls=(0, (4, 2)), marker="o", ms=3, mfc=PAPER)
        return
    bounds = [(v.lower, v.upper) for _, v in points if v.lower is not None and v.upper is not None]
    if len(bounds) == len(points) > 1:
        low, high = zip(*bounds, strict=True)
        ax.fill_between(ks, low, high, color=colour, alpha=0.16, lw=0)
    for k, value in points if len(points) == 1 else []:
        if value.lower is not None and value.upper is not None:
            ax.plot([k, k], [value.lower, value.upper], color=colour, lw=1.6)
    ax.plot(ks, estimates, color=colour, marker=marker, ms=4.5)


def _k_axis(data: ReportData, ax: Axes, ks: Sequence[int]) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ticks: list[int] = []
    for k in sorted(set(ks)):
        # Labels closer than this factor would run into each other.
        if not ticks or k / ticks[-1] > 1.45:
            ticks.append(k)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda k, _: formats.count(round(k))))
    marked = [data.n_species] + ([data.n_modes] if data.n_modes else [])
    everything = [*ks, *(k for k in marked if k > 0)]
    ax.set_xlim(min(everything) / 1.3, max(everything) * 1.3)


def _marks(data: ReportData, ax: Axes, words: bool) -> None:
    """Upright lines where one cluster per species, and per true mode, would lie."""
    marks = [(data.n_species, "species"), (data.n_modes or 0, "true modes")]
    marks = [(k, name) for k, name in marks if k > 0]
    close = len(marks) == 2 and marks[1][0] / marks[0][0] < 4
    for number, (k, name) in enumerate(marks):
        ax.axvline(k, color=INK, lw=0.9, ls=(0, (1, 2)))
        if words:
            ax.annotate(
                f"{formats.count(k)} {name}",
                (k, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3 + 10 * number * close),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=7.5,
            )


def _level(data: ReportData, ax: Axes, model: Model, scope: str) -> None:
    value = data.value(model.key, scope).estimate
    if value is not None:
        colour, _ = LOOKS[model.role]
        ax.axhline(value, color=colour, lw=1.2, ls=_DASHES[model.role], zorder=1)


def _curve_panel(data: ReportData, ax: Axes, scope: str, words: bool) -> None:
    clusters = data.of_role("clusters")
    levels = [
        m
        for m in data.of_role("floor", "base", "species", "contrastive")
        if m.key in _level_keys(data)
    ]
    for model in levels:
        _level(data, ax, model, scope)
    _line(data, ax, data.of_role("random"), scope, "test", "random")
    _line(data, ax, clusters, scope, "validation", "clusters")
    _line(data, ax, clusters, scope, "test", "clusters")
    _k_axis(data, ax, [m.k for m in (*clusters, *data.of_role("random")) if m.k])
    _marks(data, ax, words)
    chosen = data.best
    value = data.value(chosen.key, scope).estimate if chosen else None
    if chosen and chosen.k and value is not None:
        ax.plot([chosen.k], [value], marker="o", ms=12, mfc="none", mec=INK, mew=1.3)
    ax.yaxis.set_major_formatter(FuncFormatter(per_cent))
    ax.grid(axis="x", visible=False)


def _level_keys(data: ReportData) -> set[str]:
    drawn = [data.of_role(role)[:1] for role in ("species", "contrastive")]
    return {key for key in (data.floor, data.base, *(one.key for one in sum(drawn, ()))) if key}


def _curve_legend(data: ReportData) -> list[Line2D]:
    clusters, _ = LOOKS["clusters"]
    handles = [
        Line2D([], [], color=clusters, marker="D", ms=4.5, label="clusters, test"),
        Line2D([], [], color=clusters, lw=1.1, ls=(0, (4, 2)), marker="o", ms=3, mfc=PAPER,
               label="clusters, validation"),
        Line2D([], [], ls="none", marker="o", ms=9, mfc="none", mec=INK, label="chosen k"),
    ]  # fmt: skip
    for model in data.of_role("contrastive", "species", "base", "floor"):
        if model.key in _level_keys(data):
            colour, _ = LOOKS[model.role]
            dashes = _DASHES[model.role]
            handles.append(Line2D([], [], color=colour, lw=1.2, ls=dashes, label=short(model.name)))
    if data.of_role("random"):
        colour, marker = LOOKS["random"]
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4.5, label="random labels"))
    return handles


def _curve_figure(data: ReportData, narrow: bool) -> Figure:
    figure, (ax,) = grid(1, narrow, 4.3 if narrow else 3.7)
    _curve_panel(data, ax, OVERALL, words=True)
    ax.set_xlabel("number of clusters k (log scale)")
    ax.set_ylabel(f"{data.rank} {data.metric}, %")
    place = "outside upper left" if narrow else "outside right upper"
    figure.legend(handles=_curve_legend(data), loc=place, ncols=2 if narrow else 1, fontsize=8)
    return figure


def _group_curves_figure(data: ReportData, narrow: bool) -> Figure:
    figure, axes = grid(len(data.groups), narrow, 2.4, columns=3, sharey=True)
    for ax, group in zip(axes, data.groups, strict=True):
        _curve_panel(data, ax, group, words=False)
        ax.set_title(short(group))
    figure.supxlabel("number of clusters k (log scale)", fontsize=8.5)
    figure.supylabel(f"{data.rank} {data.metric}, %", fontsize=8.5)
    columns = 2 if narrow else 4
    figure.legend(handles=_curve_legend(data), loc="outside upper left", ncols=columns, fontsize=8)
    return figure


def _quality_figure(data: ReportData, narrow: bool) -> Figure:
    wanted = ("ami", "ari", "homogeneity", "completeness")
    names = [name for name in wanted if any(name in p.quality for p in data.quality)]
    figure, axes = grid(len(names), narrow, 1.9, sharey=True)
    ks = [point.k for point in data.quality]
    for ax, name in zip(axes, names, strict=True):
        ceiling = [point.ceiling.get(name, np.nan) for point in data.quality]
        reached = [point.quality.get(name, np.nan) for point in data.quality]
        ax.plot(ks, ceiling, color=MUTED, lw=1.2, ls=(0, (4, 2)), marker="_", label="ceiling")
        ax.plot(ks, reached, color=VERMILLION, marker="D", ms=4.5, label="reached")
        ax.set_title(QUALITY_NAMES[name])
        ax.set_ylim(-0.03, 1.05)
        _k_axis(data, ax, ks)
        _marks(data, ax, words=False)
        ax.grid(axis="x", visible=False)
    figure.supxlabel("number of clusters k (log scale)", fontsize=8.5)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8)
    return figure


def _bins_figure(data: ReportData, narrow: bool) -> Figure:
    figure, (ax,) = grid(1, narrow, 3.2)
    bins = list(dict.fromkeys(one.name for one in data.bins))
    models = list(dict.fromkeys(one.model for one in data.bins))
    for number, key in enumerate(models):
        model = data.by_key[key]
        colour, marker = LOOKS[model.role]
        shift = (number - (len(models) - 1) / 2) * 0.16
        drawn = {one.name: one.value for one in data.bins if one.model == key}
        for x, name in enumerate(bins):
            value = drawn[name]
            if value.lower is not None and value.upper is not None:
                ax.plot([x + shift] * 2, [value.lower, value.upper], color=colour, lw=1.6)
        xs = [x + shift for x in range(len(bins))]
        ys = [_height(drawn[name]) for name in bins]
        ax.plot(xs, ys, color=colour, ls="none", marker=marker, ms=6, label=short(model.name))
    species = {one.name: one.n_species for one in data.bins}
    names = [f"{name}\n({species[name]})".replace("-", "–") for name in bins]
    size = 7 if narrow and len(bins) > 6 else 8
    ax.set_xticks(range(len(bins)), names, fontsize=size)
    ax.set_xlim(-0.6, len(bins) - 0.4)
    ax.grid(axis="x", visible=False)
    ax.yaxis.set_major_formatter(FuncFormatter(per_cent))
    ax.set_xlabel("training pictures of the species (number of species)")
    ax.set_ylabel(f"{data.rank} {data.metric}, %")
    figure.legend(loc="outside upper left", ncols=1 if narrow else 3, fontsize=8)
    return figure


def _captions(data: ReportData) -> dict[str, str]:
    weight = "each species counts the same" if data.objective == "macro" else "per picture"
    percent = formats.share(data.confidence, 0)
    best = data.best.name if data.best else ""
    return {
        "models": f"Nearest-neighbour {data.metric} on the test split, {weight}; bars are "
        f"{percent} % intervals, paired bootstrap over units. The dotted line is the base model.",
        "change": f"From the base model to {best}, test split, {weight}. Numbers on the right: "
        "the difference in points with its interval.",
        "curve": f"Solid: test, with {percent} % band. Dashed: validation, on which k is chosen. "
        f"Horizontal lines: the models to compare with; {weight}.",
        "curve-groups": "Lines as in the figure before; the ring marks the k chosen on the whole "
        f"validation split; {weight}.",
        "quality": "Solid: agreement of the clusters with the species. Dashed: what perfect "
        "clusters of the same k would reach. Only the distance between the two is a fault.",
        "training-pictures": f"{data.metric} on the test split by the number of training pictures "
        f"of the species, {weight}; bars are {percent} % intervals.",
    }


def _wanted(data: ReportData) -> list[tuple[str, str, _Make]]:
    """Name, title and drawing of the figures that these data have something for."""
    main = f"{data.metric} of every model"
    curves = data.has_scores and bool(data.of_role("clusters"))
    known = any(set(point.quality) & set(QUALITY_NAMES) for point in data.quality)
    figures: list[tuple[bool, str, str, _Make]] = [
        (data.has_scores, "models", main, _models_figure),
        (
            data.comparison("base") is not None,
            "change",
            "What the clusters change",
            _dumbbell_figure,
        ),
        (curves, "curve", "Score against the number of clusters", _curve_figure),
        (curves and bool(data.groups), "curve-groups", "The same by group", _group_curves_figure),
        (known, "quality", "Cluster quality against its ceiling", _quality_figure),
        (bool(data.bins), "training-pictures", "Rare and common species", _bins_figure),
    ]
    return [(name, title, make) for wanted, name, title, make in figures if wanted]


def _alt(data: ReportData, name: str, caption: str) -> str:
    """The figure in words: its message where one number carries it."""
    if name in ("models", "change", "curve") and data.best is not None:
        parts = [
            f"{model.name} {formats.share(data.value(model.key).estimate)} %"
            for model in data.shown
            if data.value(model.key).estimate is not None
        ]
        return f"{caption} Overall: {', '.join(parts)}."
    return caption


def draw_all(data: ReportData) -> list[Drawn]:
    """Draw every figure that the data have something for, in the order of the page."""
    captions = _captions(data)
    with mpl.rc_context(STYLE):
        return [
            Drawn(
                name,
                title,
                captions[name],
                _alt(data, name, captions[name]),
                wide=settled(make(data, False)),
                narrow=settled(make(data, True)),
            )
            for name, title, make in _wanted(data)
        ]
