"""Compare models: what validation chooses, what test shows, and with what certainty.

The rule of the whole report: k, and the baseline that counts as the best, are chosen on the
validation split; every number that is claimed comes from the test split. All models are scored on
the same pictures and resampled with the same draws of units, so differences are paired; p-values
are corrected for the number of comparisons (Holm 1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, log
from typing import Any

import numpy as np

from syntype.configs import EvaluateConfig
from syntype.data.strata import TRAINING_BINS, training_bin
from syntype.errors import UsageError
from syntype.evaluation.scores import Scores
from syntype.evaluation.statistics import holm
from syntype.provenance import plain
from syntype.report.data import (
    OVERALL,
    ROLES,
    Average,
    Bin,
    Choice,
    Comparison,
    Gap,
    Model,
    QualityPoint,
    ReportData,
    Role,
    Scope,
    Score,
    Split,
    Stage,
    Value,
)
from syntype.report.measures import (
    Aligned,
    Stratum,
    align,
    averages,
    metric_columns,
    resample_strata,
)
from syntype.report.panels import draw_panels

# "One cluster per species" is a k within this factor of the number of species.
_NEAR = 1.5
_AVERAGES: tuple[Average, ...] = ("macro", "micro")


@dataclass(frozen=True)
class Evaluated:
    """The scores of one model with one seed.

    Attributes:
        name: What the reader sees; equal for all seeds of a model.
        role: What it is compared as.
        k: Number of classes it was trained on (roles clusters, random, species), else None.
        seed: Its seed.
        validation: Its scores on the validation split.
        test: Its scores on the test split.
    """

    name: str
    role: Role
    k: int | None
    seed: int
    validation: Scores
    test: Scores


@dataclass(frozen=True)
class ClusterQuality:
    """How well the clusters of one k and seed agree with the species, and the ceiling of that."""

    k: int
    seed: int
    quality: Mapping[str, Any]
    ceiling: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the report says beside the scores.

    Attributes:
        title: Title of the page.
        n_species: Species in the training split.
        dataset: What `describe.describe_dataset` returns.
        n_modes: True number of modes of the training pictures, where it is known.
        stages: The stages that really ran, in order.
        settings: Settings of every part, plain JSON.
        failures: (what failed, message), for what is missing in this report.
        objective: The average by which models are chosen.
    """

    title: str
    n_species: int
    dataset: Mapping[str, Any] = field(default_factory=dict)
    n_modes: int | None = None
    stages: Sequence[Stage] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    failures: Sequence[tuple[str, str]] = ()
    objective: Average = "macro"


def _identity(one: Evaluated) -> tuple[int, int, str]:
    return ROLES.index(one.role), -1 if one.k is None else one.k, one.name


def _models(evaluated: Sequence[Evaluated]) -> list[Model]:
    """The models in the order of the page: by role, k and name.

    Raises:
        UsageError: Two entries are the same model with the same seed.
    """
    seeds: dict[tuple[int, int, str], list[int]] = {}
    for one in evaluated:
        seeds.setdefault(_identity(one), []).append(one.seed)
    models = []
    for role_index, k, name in sorted(seeds):
        found = sorted(seeds[role_index, k, name])
        if len(set(found)) < len(found):
            raise UsageError(
                f"{name!r} is there twice with the same seed: give each model a name of its own."
            )
        role, classes = ROLES[role_index], None if k < 0 else k
        shown = name if classes is None or str(k) in name else f"{name}, k = {k:,}"
        key = f"{role}:{name}" if classes is None else f"{role}:{k}:{name}"
        models.append(Model(key, shown, role, classes, tuple(found)))
    return models


def _mask(aligned: Aligned, scope: str) -> np.ndarray:
    if scope == OVERALL:
        return np.ones(len(aligned.ids), dtype=bool)
    return aligned.groups == scope


def _scope_names(aligned: Aligned) -> list[str]:
    """Overall, and the taxon groups where there are several."""
    groups = sorted(set(aligned.groups))
    return [OVERALL, *groups] if len(groups) > 1 else [OVERALL]


def _count(aligned: Aligned, name: str, split: Split, rank: str, column: str) -> Scope:
    mask = _mask(aligned, name)
    scored = mask & aligned.scored(column)
    known = aligned.labels[rank] != ""
    return Scope(
        name=name,
        split=split,
        n_images=int(mask.sum()),
        n_scored=int(scored.sum()),
        n_species=len(set(aligned.labels[rank][scored])),
        n_units=len(set(aligned.units[scored])),
        n_singletons=int((mask & ~scored & known).sum()),
        n_unknown=int((mask & ~known).sum()),
    )


def _resampling(
    known: Sequence[Model], names: Sequence[str], config: EvaluateConfig
) -> EvaluateConfig:
    """The config with as many resamples as Holm's correction needs to be able to find anything.

    The smallest p of b resamples is 2 / (b + 1); multiplied by the number of comparisons it must
    stay well below 1 - confidence.
    """
    questions = len({model.role for model in known} - {"clusters", "floor"}) + 1
    needed = ceil(10 * questions * len(names) / (1 - config.confidence))
    return replace(config, resamples=max(config.resamples, needed))


def _collect(
    aligned: Aligned,
    split: Split,
    known: Sequence[Model],
    ranks: Sequence[str],
    names: Sequence[str],
    config: EvaluateConfig,
) -> tuple[list[Score], dict[tuple[str, Average], Stratum]]:
    """All scores of one split; the strata of the main metric by scope and average.

    The main metric has intervals everywhere, its like at other ranks for the whole test split.
    """
    scores: list[Score] = []
    strata: dict[tuple[str, Average], Stratum] = {}
    for rank in ranks:
        for position, (metric, column) in enumerate(metric_columns(rank, config).items()):
            main = (rank, position) == (config.ranks[0], 0)
            exact = list(names) if main else []
            if position == 0 and split == "test" and not main:
                exact = [OVERALL]
            for average in _AVERAGES:
                masks = [_mask(aligned, scope) for scope in exact]
                drawn = resample_strata(aligned, rank, column, masks, average, config)
                found = dict(zip(exact, drawn, strict=True))
                if main:
                    strata |= {(scope, average): one for scope, one in found.items()}
                for scope in names:
                    values = (
                        [found[scope].value(index) for index in range(len(known))]
                        if scope in found
                        else averages(aligned, rank, column, _mask(aligned, scope), average)
                    )
                    scores += [
                        Score(model.key, scope, split, rank, metric, average, value)
                        for model, value in zip(known, values, strict=True)
                    ]
    return scores, strata


def _choose(
    scores: Sequence[Score], known: Sequence[Model], names: Sequence[str], context: Context
) -> list[Choice]:
    """The best clusters and baseline of each scope by their validation scores; ties to the first.

    `scores` are those of the validation split; the first of them are of the main metric.
    """
    main = (scores[0].rank, scores[0].metric, context.objective) if scores else None
    found = {
        (one.model, one.scope): one.value.estimate
        for one in scores
        if (one.rank, one.metric, one.average) == main
    }

    def best(role: Role, scope: str) -> str | None:
        keys = [model.key for model in known if model.role == role]
        # A group without a single scored validation picture takes the choice of the whole set.
        for where in (scope, OVERALL):
            values = {key: value for key in keys if (value := found.get((key, where))) is not None}
            if values:
                return max(values, key=lambda key: values[key])
        return keys[0] if len(keys) == 1 else None

    return [Choice(scope, best("clusters", scope), best("baseline", scope)) for scope in names]


def _nearest(models: Sequence[Model], n_species: int) -> str | None:
    near = [
        (abs(log(model.k / n_species)), model.key)
        for model in models
        if model.role == "clusters" and model.k and n_species > 0
    ]
    distance, key = min(near, default=(float("inf"), None))
    return key if distance <= log(_NEAR) else None


def _opponents(data: ReportData, scope: str) -> list[tuple[str, str | None]]:
    best = data.best
    random = data.random_for(best.k if best else None)
    species, contrastive = data.of_role("species"), data.of_role("contrastive")
    return [
        ("base", data.base),
        ("baseline", data.choice(scope).baseline),
        ("count", data.nearest),
        ("species", species[0].key if species else None),
        ("contrastive", contrastive[0].key if contrastive else None),
        ("random", random.key if random else None),
    ]


def _compare_pairs(
    data: ReportData, strata: Mapping[tuple[str, Average], Stratum]
) -> list[Comparison]:
    """The best clusters against each opponent in each scope, Holm-corrected in families."""
    return [
        one
        for average in _AVERAGES
        for family in ((OVERALL,), data.groups)
        for one in _family(data, strata, average, family)
    ]


def _family(
    data: ReportData,
    strata: Mapping[tuple[str, Average], Stratum],
    average: Average,
    scopes: Sequence[str],
) -> list[Comparison]:
    """The comparisons that are corrected together."""
    best = data.best
    if best is None:
        return []
    index = {model.key: position for position, model in enumerate(data.models)}
    rows = []
    for scope in scopes:
        stratum = strata.get((scope, average), Stratum(None, 0))
        for question, other in _opponents(data, scope):
            if other is None or other == best.key:
                continue
            one = stratum.difference(index[best.key], index[other])
            if one is not None:
                rows.append((question, scope, other, one))
    tested = [number for number, row in enumerate(rows) if row[-1].p is not None]
    corrected = holm([row[-1].p for row in rows if row[-1].p is not None])
    p_holm = dict(zip(tested, corrected, strict=True))
    return [
        Comparison(
            question,
            scope,
            average,
            best.key,
            other,
            Value(one.estimate, one.lower, one.upper),
            one.p,
            p_holm.get(number),
            len(tested),
        )
        for number, (question, scope, other, one) in enumerate(rows)
    ]


def _bins(data: ReportData, test: Aligned, config: EvaluateConfig) -> list[Bin]:
    """Score by number of training pictures of the species: base, best baseline, best clusters."""
    column = metric_columns(data.rank, config)[data.metric]
    wanted = [data.base, data.choice(OVERALL).baseline, data.best.key if data.best else None]
    keys = [model.key for model in data.models]
    rows = [keys.index(key) for key in wanted if key is not None]
    if not rows:
        return []
    few = test.of_models(rows)
    scored = few.scored(column)
    bin_of = np.asarray(training_bin(few.n_train), dtype=object)
    masks = {name: scored & (bin_of == name) for name in TRAINING_BINS}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    drawn = resample_strata(few, data.rank, column, [*masks.values()], data.objective, config)
    return [
        Bin(
            keys[row],
            name,
            int(mask.sum()),
            len(set(few.labels[data.rank][mask])),
            stratum.value(position),
        )
        for (name, mask), stratum in zip(masks.items(), drawn, strict=True)
        for position, row in enumerate(rows)
    ]


def _gaps(data: ReportData, test: Aligned) -> list[Gap]:
    """Mean cosine within and between species, per model and scope."""
    found = []
    for position, model in enumerate(data.models):
        rows = test.model_of == position
        for scope in data.scope_names:
            mask = _mask(test, scope)
            means: list[float | None] = []
            for column in ("withinSimilarity", "betweenSimilarity"):
                values = test.values[column][rows][:, mask]
                known = values[np.isfinite(values)]
                means.append(float(known.mean()) if known.size else None)
            found.append(Gap(model.key, scope, means[0], means[1]))
    return found


def _numbers(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of every finite number over the records that have it."""
    gathered: dict[str, list[float]] = {}
    for record in records:
        for name, value in record.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and np.isfinite(value):
                gathered.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in sorted(gathered.items())}


def _quality(clusters: Sequence[ClusterQuality]) -> list[QualityPoint]:
    by_k: dict[int, list[ClusterQuality]] = {}
    for one in sorted(clusters, key=lambda one: (one.k, one.seed)):
        by_k.setdefault(one.k, []).append(one)
    return [
        QualityPoint(
            k,
            len(found),
            _numbers([one.quality for one in found]),
            _numbers([one.ceiling for one in found]),
        )
        for k, found in by_k.items()
    ]


def compare(
    models: Sequence[Evaluated],
    clusters: Sequence[ClusterQuality],
    context: Context,
    config: EvaluateConfig,
) -> ReportData:
    """All numbers of the report.

    Args:
        models: Every model with every seed, scored on the same pictures.
        clusters: The quality of the clusters of each k and seed, in any order.
        context: Title, data, settings, stages, failures.
        config: How the scores were made and how they are resampled.

    Returns:
        Plain numbers; the same for the same arguments, whatever their order.

    Raises:
        UsageError: There is no model, or one is there twice.
        DataError: The models were not scored on the same pictures.
    """
    if not models:
        raise UsageError("No model was finished, so there is nothing to report: see the log.")
    known = _models(models)
    ordered = sorted(models, key=lambda one: (_identity(one), one.seed))
    identities = sorted({_identity(one) for one in ordered})
    model_of = [identities.index(_identity(one)) for one in ordered]
    test = align([(one.name, one.test.table) for one in ordered], model_of, config)
    validation = align([(one.name, one.validation.table) for one in ordered], model_of, config)
    data, strata = _scored(known, validation, test, context, config)
    first_seed = {known[i].key: one for i, one in reversed([*zip(model_of, ordered, strict=True)])}
    tables = {key: one.test.table for key, one in first_seed.items()}
    return replace(
        data,
        comparisons=tuple(_compare_pairs(data, strata)),
        bins=tuple(_bins(data, test, config)),
        gaps=tuple(_gaps(data, test)),
        quality=tuple(_quality(clusters)),
        panels=tuple(draw_panels(data, tables, config.seed)),
    )


def _scored(
    known: Sequence[Model],
    validation: Aligned,
    test: Aligned,
    context: Context,
    config: EvaluateConfig,
) -> tuple[ReportData, dict[tuple[str, Average], Stratum]]:
    """The report without what needs the choices, and the resamples of the main metric."""
    main = config.ranks[0]
    columns = metric_columns(main, config)
    metrics = tuple(columns)
    names = _scope_names(test)
    scorable = [
        rank for rank in config.ranks if test.scored(metric_columns(rank, config)[metrics[0]]).any()
    ]
    enough = _resampling(known, names, config)
    scores, strata = _collect(test, "test", known, scorable, names, enough)
    on_validation, _ = _collect(validation, "validation", known, scorable, names, config)
    first = {role: next((m.key for m in known if m.role == role), None) for role in ROLES}
    data = ReportData(
        title=context.title,
        rank=main,
        metric=metrics[0],
        objective=context.objective,
        confidence=config.confidence,
        resamples=enough.resamples,
        protocol=config.protocol,
        ranks=tuple(scorable),
        missing_ranks=tuple(rank for rank in config.ranks if rank not in scorable),
        metrics=metrics,
        n_species=context.n_species,
        n_modes=context.n_modes,
        models=tuple(known),
        base=first["base"],
        floor=first["floor"],
        scopes=(
            *(_count(test, name, "test", main, columns[metrics[0]]) for name in names),
            *(_count(validation, name, "validation", main, columns[metrics[0]]) for name in names),
        ),
        choices=tuple(_choose(on_validation, known, names, context)),
        nearest=_nearest(known, context.n_species),
        scores=(*on_validation, *scores),
        stages=tuple(context.stages),
        dataset=plain(context.dataset),
        settings=plain(context.settings),
        failures=tuple((str(name), str(message)) for name, message in context.failures),
    )
    return data, strata
