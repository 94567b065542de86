"""Any number of models on any number of sets: who is best where, and who cannot be told from it.

A column is one metric of one task on one set. Within it all models answer the same queries and
share the draws of `evaluation.statistics.resample`, so that differences are paired; where they
learnt from the same few-shot episodes, those are paired, too. All pairs of
the column are tested and their p-values corrected together (Holm 1979): as the best model is picked
by the same scores, a correction for the comparisons with the best alone would promise too much.
What is tied is what these tests cannot tell from the best of its column.

BioBench (arXiv 2511.16315) reports ties likewise, but draws anew for each model, loses rare classes
in a draw, and takes pictures for independent. Here the draws are paired and over units, the classes
are fixed, and a permutation test that shares no assumption with the bootstrap checks each p-value.

Published numbers cannot get in here: see `published`.

    m models, s draws of the task (few-shot episodes, else 1), n queries, u units, b resamples
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from syntype.configs import EvaluateConfig, Task
from syntype.errors import DataError, UsageError
from syntype.evaluation.scores import RELEVANT, Scores, stack
from syntype.evaluation.statistics import Resampled, holm, resample
from syntype.report.data import Average, Value
from syntype.report.versus_data import Cell, Column, Pair, Standing, Versus
from syntype.report.versus_swaps import swap_p_values

# The metric of each task that is compared unless others are asked for, after its rank's name. Of
# several depths the smallest counts; of several numbers of shots all do.
_MAIN = {
    "retrieval": r"Hit@(\d+)",
    "knn": r"Top@(\d+)",
    "clustering": r"BCubedF(1)",
    "few-shot": r"(\d+)Shot",
    "linear-probe": r"Top@(\d+)",
    "zero-shot": r"Top@(\d+)",
}
_DISTANCES = ("hierarchicalDistance", "mistakeSeverity")
_SIMILARITIES = ("withinSimilarity", "betweenSimilarity")


@dataclass(frozen=True)
class Entry:
    """The scores of one model in one task on one set.

    Attributes:
        model: What the reader sees; the encoder's spec or name for published numbers to be found.
        set: The set of queries.
        task: The task.
        scores: The scores.
    """

    model: str
    set: str
    task: str
    scores: Scores


def contrast(
    entries: Sequence[Entry],
    config: EvaluateConfig,
    *,
    metrics: Sequence[str] = (),
    average: Average = "macro",
) -> Versus:
    """Compare models on all sets and tasks that they were evaluated on.

    Args:
        entries: One per model, set and task, in any order.
        config: Resamples, confidence and seed of the draws.
        metrics: Columns of the scores to compare; none takes the main metric of each task:
            Hit@1 or Top@1 at rank species (or the first rank scored), or every number of shots.
        average: By which ranks, ties and tests go. The other one is shown beside it.

    Raises:
        UsageError: There is no entry, one is there twice, or a metric suits no comparison.
        DataError: Models of one set were not scored on the same queries in the same way.
    """
    _check_metrics(entries, metrics)
    places = _places(entries)
    compared = [
        _compare(set_, task, metric, of_model, config, average)
        for (set_, task), of_model in places.items()
        for metric in _metrics_of(task, of_model, metrics)
    ]
    columns = [column for column, _, _ in compared]
    cells = [one for _, of_column, _ in compared for one in of_column]
    standings = _standings(sorted({one.model for one in entries}), columns, cells)
    order = {one.model: number for number, one in enumerate(standings)}
    place = {one.key: number for number, one in enumerate(columns)}
    return Versus(
        average=average,
        confidence=config.confidence,
        resamples=config.resamples,
        columns=tuple(columns),
        standings=tuple(standings),
        cells=tuple(sorted(cells, key=lambda one: (place[one.column], order[one.model]))),
        pairs=tuple(one for _, _, of_column in compared for one in of_column),
    )


def _check_metrics(entries: Sequence[Entry], metrics: Sequence[str]) -> None:
    """Refuse metrics that no entry has, and those that do not say who is better."""
    had = sorted({metric for one in entries for metric in one.scores.metrics})
    for metric in metrics:
        if metric.startswith(_SIMILARITIES):
            raise UsageError(
                f"{metric} does not say which model is better: vectors may lie closer together or "
                "further apart for all species alike. Compare a hit rate, such as speciesHit@1."
            )
        if metric not in had:
            raise UsageError(
                f"None of the evaluations has the metric {metric!r}. They have: {', '.join(had)}."
            )


def _places(entries: Sequence[Entry]) -> dict[tuple[str, str], dict[str, Scores]]:
    """The scores by (set, task) and model, all in a fixed order."""
    if not entries:
        raise UsageError("There is nothing to compare: name the folders of finished evaluations.")
    tasks = list(get_args(Task))
    found: dict[tuple[str, str], dict[str, Scores]] = {}
    for one in sorted(entries, key=lambda one: (one.set, _place(tasks, one.task), one.model)):
        of_model = found.setdefault((one.set, one.task), {})
        if one.model in of_model:
            raise UsageError(
                f"{one.model!r} is there twice for {one.task} on {one.set!r}. Name each run once, "
                "and give models that differ in their options names of their own."
            )
        of_model[one.model] = one.scores
    return found


def _place(known: Sequence[str], name: str) -> tuple[int, str]:
    return (known.index(name) if name in known else len(known), name)


def _metrics_of(task: str, of_model: Mapping[str, Scores], wanted: Sequence[str]) -> list[str]:
    """The metrics of one task to compare, of those that any model has."""
    had = {metric for scores in of_model.values() for metric in scores.metrics}
    if wanted:
        return [metric for metric in dict.fromkeys(wanted) if metric in had]
    if task not in _MAIN:
        raise UsageError(
            f"No main metric is known for the task {task!r}: name one with --metrics. It has: "
            f"{', '.join(sorted(had))}."
        )
    ranks = {rank for scores in of_model.values() for rank in scores.ranks}
    rank = "species" if "species" in ranks else next(iter(of_model.values())).ranks[0]
    matches = {name: re.fullmatch(rank + _MAIN[task], name) for name in had}
    depths = sorted((int(match[1]), name) for name, match in matches.items() if match)
    if not depths:
        raise DataError(
            f"The scores of {task} hold no main metric ({rank}...): evaluate again, or name one "
            f"with --metrics. They hold: {', '.join(sorted(had))}."
        )
    return [name for _, name in (depths if task == "few-shot" else depths[:1])]


@dataclass(frozen=True)
class _Aligned:
    """One metric of all models with each query in one column, queries by id.

    Attributes:
        models: Their names.
        first: The scores of the first model, for labels and units.
        rows: The metric of each model in each draw of the task.
        values: Its mean over the draws, NaN where a query has none.
        same_draws: Whether all models are known to have seen the same draws.
    """

    models: list[str]
    first: Scores
    rows: list[Float[np.ndarray, "s n"]]
    values: Float[np.ndarray, "m n"]
    same_draws: bool

    @classmethod
    def of(cls, place: str, metric: str, of_model: Mapping[str, Scores]) -> "_Aligned":
        """Bring all models into one order of the queries.

        Raises:
            DataError: Two models, which the message names, cannot be compared.
        """
        by_id = {
            name: Scores(one.table.sort_by("id"), one.summary) for name, one in of_model.items()
        }
        first, *others = by_id
        for other in others:
            _check_pair(place, metric, (other, by_id[other]), (first, by_id[first]))
        draws = {one.summary.get("episodesKey") for one in by_id.values()}
        return cls(
            list(by_id),
            by_id[first],
            [one.rows(metric) for one in by_id.values()],
            stack(list(by_id.values()), metric),
            len(draws) == 1 and None not in draws,
        )

    def resample(self, config: EvaluateConfig, classes: Sequence[str] | None) -> Resampled:
        """The draws that all models share."""
        n_draws = [len(of) for of in self.rows]
        return resample(
            np.concatenate(self.rows).astype(np.float64),
            self.first.column("unit"),
            classes=classes,
            replicates=np.repeat(np.arange(len(self.rows)), n_draws),
            occasions=np.concatenate([np.arange(n) for n in n_draws]) if self.same_draws else None,
            resamples=config.resamples,
            confidence=config.confidence,
            seed=config.seed,
        )


def _check_pair(
    place: str, metric: str, other: tuple[str, Scores], first: tuple[str, Scores]
) -> None:
    """Check that two models, (name, scores by id), answered the same questions."""
    (name, one), (first_name, base) = other, first
    pair = f"{name!r} and {first_name!r} cannot be compared on {place}"
    try:
        stack([base, one], metric)
    except DataError as error:
        raise DataError(
            f"{pair}: they were not scored on the same queries (other ids, labels, units or "
            "ranks). Evaluate both on the same data and split with the same --evaluate.ranks."
        ) from error
    relevant = f"{base.rank_of(metric)}{RELEVANT}"
    if not base.table.column(relevant).equals(one.table.column(relevant)):
        raise DataError(
            f"{pair}: what there is to be found for a query differs ({relevant}). Evaluate both "
            "with the same options, gallery and training pictures."
        )
    if not np.array_equal(np.isnan(base.rows(metric)), np.isnan(one.rows(metric))):
        raise DataError(
            f"{pair}: {metric} is not defined for the same queries and draws of both. Evaluate "
            "both with the same options; mistakeSeverity, which is about each model's own "
            "mistakes, cannot be paired at all: take hierarchicalDistance@1."
        )


def _compare(
    set_: str,
    task: str,
    metric: str,
    of_model: Mapping[str, Scores],
    config: EvaluateConfig,
    average: Average,
) -> tuple[Column, list[Cell], list[Pair]]:
    """One column: what it is, the models that have it by name, and all their pairs."""
    having = {name: one for name, one in of_model.items() if metric in one.metrics}
    aligned = _Aligned.of(f"{set_!r} ({task})", metric, having)
    column = _column(set_, task, metric, aligned, config)
    classes = aligned.first.classes(metric)
    own, other = (classes, None) if average == "macro" else (None, classes)
    values = _values(aligned.resample(config, own))
    others = _values(aligned.resample(config, other))
    ranks = _ranks([one.estimate for one in values], column.better)
    pairs = _pairs(column, aligned, own, ranks, config)
    lowest = min((rank for rank in ranks if rank is not None), default=None)
    best = {
        name
        for name, rank in zip(aligned.models, ranks, strict=True)
        if column.family and rank == lowest
    }
    level = {one.second for one in pairs if one.first in best and not one.shown} - best
    rows = zip(aligned.models, values, others, ranks, strict=True)
    cells = [
        Cell(column.key, name, value, beside, rank, name in best, name in level)
        for name, value, beside, rank in rows
    ]
    return column, cells, pairs


def _column(set_: str, task: str, metric: str, aligned: _Aligned, config: EvaluateConfig) -> Column:
    known = ~np.isnan(aligned.values[0])
    n_models = len(aligned.models)
    family = n_models * (n_models - 1) // 2 if known.any() else 0
    return Column(
        key=f"{set_}/{task}/{metric}",
        set=set_,
        task=task,
        metric=metric,
        rank=aligned.first.rank_of(metric),
        better="lower" if metric.startswith(_DISTANCES) else "higher",
        n_scored=int(known.sum()),
        n_units=_count(aligned.first.column("unit"), known),
        n_classes=_count(aligned.first.classes(metric), known),
        family=family,
        # The smallest p of b resamples is 2 / (b + 1); times the number of pairs it must stay
        # well below 1 - confidence, or nothing could be told apart.
        resamples=max(config.resamples, ceil(5 * family / (1 - config.confidence))),
    )


def _count(labels: Sequence[str], known: Bool[np.ndarray, "n"]) -> int:
    return len(set(np.asarray(labels, dtype=object)[known]))


def _values(drawn: Resampled) -> list[Value]:
    found = [drawn.interval(model) for model in range(len(drawn.influence))]
    return [Value(one.estimate, one.lower, one.upper) for one in found]


def _ranks(
    estimates: Sequence[float | None], better: Literal["higher", "lower"]
) -> list[float | None]:
    """1 for the best; equal ones share the mean of their ranks; None without an estimate."""
    known = [one for one in estimates if one is not None]
    sign = -1 if better == "higher" else 1
    ranks = iter(rankdata([sign * one for one in known]).tolist())
    return [None if one is None else next(ranks) for one in estimates]


def _pairs(
    column: Column,
    aligned: _Aligned,
    classes: Sequence[str] | None,
    ranks: Sequence[float | None],
    config: EvaluateConfig,
) -> list[Pair]:
    """All pairs of a column, the better models first."""
    if column.family == 0:
        return []
    drawn = aligned.resample(replace(config, resamples=column.resamples), classes)
    swapped = swap_p_values(
        aligned.values,
        aligned.first.column("unit"),
        classes=classes,
        resamples=config.resamples,
        seed=config.seed,
    )
    order = sorted(range(len(ranks)), key=lambda model: (ranks[model], aligned.models[model]))
    which = list(combinations(order, 2))
    found = [drawn.difference(first, second) for first, second in which]
    tested = [number for number, one in enumerate(found) if one.p is not None]
    corrected = holm([one.p for one in found if one.p is not None])
    p_holm = dict(zip(tested, corrected, strict=True))
    level = 1 - config.confidence
    pairs = []
    for number, ((first, second), one) in enumerate(zip(which, found, strict=True)):
        p, permuted = p_holm.get(number), float(swapped[first, second])
        pairs.append(
            Pair(
                column=column.key,
                first=aligned.models[first],
                second=aligned.models[second],
                difference=Value(one.estimate, one.lower, one.upper),
                p=one.p,
                p_holm=p,
                shown=p is not None and p < level,
                p_permutation=permuted,
                disagree=one.p is not None and (one.p <= level) != (permuted <= level),
            )
        )
    return pairs


def _standings(
    models: Sequence[str], columns: Sequence[Column], cells: Sequence[Cell]
) -> list[Standing]:
    """The models over all columns, in the order to show."""
    scored = [one for one in columns if one.n_scored]
    one_unit = all(one.better == "higher" for one in scored)
    found = {(one.column, one.model): one for one in cells}
    rows = []
    for model in models:
        own = [found.get((column.key, model)) for column in scored]
        have = [one for one in own if one is not None]
        whole = len(have) == len(scored) > 0
        estimates = [one.value.estimate for one in have if one.value.estimate is not None]
        ranks = [float("inf") if one is None or one.rank is None else one.rank for one in own]
        standing = Standing(
            model=model,
            mean=float(np.mean(estimates)) if whole and one_unit else None,
            mean_rank=float(np.mean(ranks)) if whole else None,
            n_top=sum(one.best or one.tied for one in have),
            missing=tuple(c.key for c, one in zip(scored, own, strict=True) if one is None),
        )
        order = (
            standing.mean is None,
            -(standing.mean or 0.0),
            standing.mean_rank is None,
            standing.mean_rank or 0.0,
            ranks,
            model,
        )
        rows.append((order, standing))
    return [standing for _, standing in sorted(rows, key=lambda row: row[0])]
