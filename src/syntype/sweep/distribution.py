"""Place and climate as a map of species: the six regions of the NCEAS benchmark, several models.

Every model learns from presences and background; every choice (strength of a penalty, steps of a
network) is made on blocks of the map held out of these; then it learns from all of them, and only
then are the surveys looked at, which scored nothing before. `run_disdat` gives a row for each
species and model, and means over species for each region and for all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from syntype import files
from syntype.configs.distribution import DistributionConfig, DistributionModel
from syntype.data.disdat import REGIONS, RegionData, Sites, read_region
from syntype.errors import UsageError
from syntype.evaluation.distribution import (
    BOUNDS,
    METRICS,
    block_weights,
    interval,
    mean_of_species,
    measures,
)
from syntype.progress import SILENT, Progress
from syntype.provenance import named_seed
from syntype.sweep.distribution_models import (
    Hinges,
    NetInputs,
    RangeNet,
    Scaling,
    cloglog,
    forest,
    maxent,
    network_scores,
    train_network,
)

Array = NDArray[np.float64]
Scores = Mapping[str, Array]
MODELS: tuple[str, ...] = get_args(DistributionModel)
"""The models that can be compared."""
_LEAST = 3  # presences on each side of the held-out blocks for a species to help choose
_CHOOSERS = 10  # species of a region that help choose maxent's penalty
_THINNED = 3  # of so many background sites one is used for that
_EVERY = 25  # steps of a network between looks at the held-out blocks


@dataclass(frozen=True)
class DistributionTable:
    """What `run_disdat` found.

    Attributes:
        rows: One for each region, species and model: counts, the three measures, each with
            `Lower` and `Upper`.
        means: One for each region and model, and for all regions: means over species, and the
            paired difference to the first model.
        chosen: What was chosen on held-out blocks, by region and model.
        left_out: Species without a measure, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    means: list[dict[str, Any]] = field(default_factory=list)
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            ResourceError: The disk is full or the folder may not be written.
        """
        content = {
            "rows": self.rows,
            "means": self.means,
            "chosen": self.chosen,
            "leftOut": self.left_out,
        }
        files.write_json(path, content)


@dataclass(frozen=True)
class _Work:
    """A region as its models need it.

    Attributes:
        data: The region.
        config: How.
        species: Names in order.
        number: The number of the species of each record.
        scaling: Of the variables.
        held_records: Which records lie in held-out blocks.
        held_background: Which background sites do.
    """

    data: RegionData
    config: DistributionConfig
    species: tuple[str, ...]
    number: NDArray[np.intp]
    scaling: Scaling
    held_records: NDArray[np.bool_]
    held_background: NDArray[np.bool_]

    @classmethod
    def of(cls, data: RegionData, config: DistributionConfig) -> "_Work":
        names, number = np.unique(data.species, return_inverse=True)
        of_records, of_background = data.blocks(data.presences), data.blocks(data.background)
        blocks = np.array(sorted({*of_records, *of_background}))
        seed = named_seed(config.seed, "held-out blocks", data.region.name)
        n_held = max(1, round(config.held_out * len(blocks)))
        held = np.random.default_rng(seed).permutation(blocks)[:n_held]
        return cls(
            data=data,
            config=config,
            species=tuple(names.tolist()),
            number=number,
            scaling=Scaling.of(data.background, data.is_class),
            held_records=np.isin(of_records, held),
            held_background=np.isin(of_background, held),
        )

    def choosers(self) -> list[int]:
        """Numbers of the species with enough presences on both sides of the held-out blocks."""
        inside = np.bincount(self.number[self.held_records], minlength=len(self.species))
        outside = np.bincount(self.number[~self.held_records], minlength=len(self.species))
        return np.flatnonzero((inside >= _LEAST) & (outside >= _LEAST)).tolist()

    def background_of(self, species: str) -> Sites:
        """The background that the config asks for."""
        if self.config.background == "target-group":
            return self.data.target_group(species)
        return self.data.background


def run_disdat(
    folder: Path,
    regions: Sequence[str] = tuple(REGIONS),
    models: Sequence[str] = MODELS,
    config: DistributionConfig | None = None,
    progress: Progress = SILENT,
) -> DistributionTable:
    """Compare models of distribution on regions of the NCEAS benchmark.

    Args:
        folder: Where disdat's tables lie.
        regions: Codes of regions.
        models: Names in `MODELS`; differences are to the first.
        config: How; None takes the defaults.
        progress: Where it says how far it is.

    Raises:
        UsageError: A model or region is unknown.
        DataError: A table is missing or wrong.
    """
    config = config or DistributionConfig()
    unknown = [name for name in models if name not in MODELS]
    if unknown or not models:
        raise UsageError(f"There is no model {unknown}. There are {', '.join(MODELS)}.")
    table = DistributionTable()
    draws: dict[str, list[dict[str, Array]]] = {model: [] for model in models}
    with progress.task("regions", len(regions) * len(models)) as task:
        for name in regions:
            work = _Work.of(read_region(folder, name, config.predictors), config)
            of_region = {}
            for model in models:
                scores, chosen = _SCORERS[model](work, model)
                table.chosen.setdefault(name, {})[model] = chosen
                of_region[model] = _score(work, model, scores, table)
                draws[model] += of_region[model]
                task.advance()
            table.means.extend(_means(name, of_region, config))
    if len(regions) > 1:
        table.means.extend(_means("all", draws, config))
    return table


def _score(
    work: _Work, model: str, scores: Scores, table: DistributionTable
) -> list[dict[str, Array]]:
    """Fill rows of the table; give each species' measures, the estimate first, then the draws."""
    data, config, found = work.data, work.config, []
    weights = {
        group: block_weights(_named_blocks(data, survey.sites), config.resamples, config.seed)
        for group, survey in data.surveys.items()
    }
    for species in work.species:
        group = data.groups[species]
        present = data.surveys[group].present[species]
        drawn = weights[group]
        both = measures(scores[species], present, np.concatenate([np.ones_like(drawn[:1]), drawn]))
        row: dict[str, Any] = {
            "region": data.region.name,
            "species": species,
            "group": group,
            "model": model,
            "nTrain": int((data.species == species).sum()),
            "nTest": len(present),
            "nTestPresent": int(present.sum()),
        }
        for metric in METRICS:
            row |= _with_ends(metric, both[metric], config.confidence, BOUNDS[metric])
            if row[metric] is None:
                reason = _why_none(present, scores[species])
                table.left_out.append(f"{data.region.name} {species} {model} {metric}: {reason}")
        table.rows.append(row)
        found.append(both)
    return found


def _with_ends(
    name: str, values: Array, confidence: float, bounds: tuple[float, float]
) -> dict[str, float | None]:
    """The estimate, which comes first in `values`, and the ends of its interval, by their names."""
    low, high = interval(float(values[0]), values[1:], confidence, bounds)
    estimate = None if np.isnan(values[0]) else float(values[0])
    return {name: estimate, f"{name}Lower": low, f"{name}Upper": high}


def _why_none(present: NDArray[np.bool_], scores: Array) -> str:
    """Why a measure is not defined."""
    if not present.any():
        return "the survey found it nowhere"
    if present.all():
        return "the survey found it everywhere"
    return "all scores are equal" if np.ptp(scores) == 0 else "its ratio never changes"


def _named_blocks(data: RegionData, sites: Sites) -> list[str]:
    """Blocks with the region's name, so that regions are drawn independently."""
    return [f"{data.region.name} {block}" for block in data.blocks(sites)]


def _means(
    name: str, found: Mapping[str, list[dict[str, Array]]], config: DistributionConfig
) -> list[dict[str, Any]]:
    """Means over species of each model, and the paired difference to the first."""
    rows, first = [], next(iter(found))
    for model, species in found.items():
        row: dict[str, Any] = {"region": name, "model": model, "nSpecies": len(species)}
        for metric in METRICS:
            low, high = BOUNDS[metric]
            mean = mean_of_species([one[metric] for one in species])
            row |= _with_ends(metric, mean, config.confidence, (low, high))
            if model != first:
                pairs = zip(species, found[first], strict=True)
                apart = mean_of_species([one[metric] - other[metric] for one, other in pairs])
                span = (low - high, high - low)
                row |= _with_ends(f"{metric}Gain", apart, config.confidence, span)
        rows.append(row)
    return rows


def _run_maxent(work: _Work, model: str) -> tuple[Scores, dict[str, Any]]:
    del model
    data, config = work.data, work.config
    hinges = Hinges.of(data.background, work.scaling, config.knots)
    records = hinges(data.presences)
    given = hinges(data.background)
    strength, trace = _choose_strength(work, records, given)
    surveys = {group: hinges(survey.sites) for group, survey in data.surveys.items()}
    scores = {}
    for number, species in enumerate(work.species):
        background = given
        if config.background == "target-group":
            background = hinges(data.target_group(species))
        beta = maxent(records[work.number == number], background, strength)
        scores[species] = cloglog(beta, background, surveys[data.groups[species]])
    return scores, {"strength": strength, "heldOutAuc": trace}


def _choose_strength(work: _Work, records: Array, given: Array) -> tuple[float, dict[str, float]]:
    """The ridge with the best mean AUC of presences against background on held-out blocks."""
    choosers, strengths = work.choosers(), work.config.strengths
    if len(strengths) == 1 or not choosers:
        return strengths[len(strengths) // 2], {}
    # Spread over the species, so that rare and common ones both have a say.
    places = np.unique(np.linspace(0, len(choosers) - 1, _CHOOSERS).round().astype(int))
    held = given[work.held_background]
    learn = given[~work.held_background][::_THINNED]
    values: dict[float, list[float]] = {strength: [] for strength in strengths}
    for number in (choosers[place] for place in places):
        own, beta = work.number == number, None
        for strength in sorted(strengths, reverse=True):
            beta = maxent(records[own & ~work.held_records], learn, strength, beta)
            found = records[own & work.held_records] @ beta
            values[strength].append(_auc(found, held @ beta))
    means = {strength: float(np.mean(found)) for strength, found in values.items()}
    best = max(strengths, key=lambda strength: means[strength])
    return best, {f"{strength:g}": mean for strength, mean in means.items()}


def _auc(presences: Array, background: Array) -> float:
    present = np.repeat([True, False], [len(presences), len(background)])
    return float(measures(np.concatenate([presences, background]), present)["auc"][0])


def _run_forest(work: _Work, model: str) -> tuple[Scores, dict[str, Any]]:
    del model
    data, config = work.data, work.config
    surveys = {group: work.scaling.all(survey.sites) for group, survey in data.surveys.items()}
    records, scores = work.scaling.all(data.presences), {}
    given = work.scaling.all(data.background)
    for number, species in enumerate(work.species):
        background = given
        if config.background == "target-group":
            background = work.scaling.all(data.target_group(species))
        scores[species] = forest(
            records[work.number == number],
            background,
            surveys[data.groups[species]],
            n_trees=config.trees,
            seed=named_seed(config.seed, "forest", species),
        )
    return scores, {}


def _run_network(work: _Work, model: str) -> tuple[Scores, dict[str, Any]]:
    data, config = work.data, work.config
    number = torch.from_numpy(work.number)
    records = NetInputs.of(data, work.scaling, data.presences)
    background = NetInputs.of(data, work.scaling, data.background)
    steps, trace = _choose_steps(work, model, records, background, number)
    network = train_network(
        model, records, number, background, len(work.species), config, steps=steps
    )
    scores = {}
    for group, survey in data.surveys.items():
        chances = network_scores(network, NetInputs.of(data, work.scaling, survey.sites))
        for place, species in enumerate(work.species):
            if data.groups[species] == group:
                scores[species] = chances[:, place]
    return scores, {"steps": steps, "heldOutAuc": trace}


def _choose_steps(
    work: _Work, model: str, records: NetInputs, background: NetInputs, number: torch.Tensor
) -> tuple[int, dict[str, float]]:
    """The steps after which the mean AUC on held-out blocks was best."""
    config, choosers = work.config, work.choosers()
    if config.steps < _EVERY or not choosers:
        return config.steps, {}
    held, held_background = (
        torch.from_numpy(np.flatnonzero(mask)) for mask in (work.held_records, work.held_background)
    )
    learn, learn_background = (
        torch.from_numpy(np.flatnonzero(~mask))
        for mask in (work.held_records, work.held_background)
    )
    there, elsewhere = (
        NetInputs(*records.take(held)),
        NetInputs(*background.take(held_background)),
    )
    species, trace = work.number[work.held_records], {}

    def look(step: int, network: RangeNet) -> None:
        found, other = network_scores(network, there), network_scores(network, elsewhere)
        values = [_auc(found[species == one, one], other[:, one]) for one in choosers]
        trace[str(step)] = float(np.mean(values))

    train_network(
        model,
        NetInputs(*records.take(learn)),
        number[learn],
        NetInputs(*background.take(learn_background)),
        len(work.species),
        config,
        steps=config.steps,
        look=look,
        every=_EVERY,
    )
    return int(max(trace, key=lambda step: trace[step])), trace


_SCORERS: Mapping[str, Callable[[_Work, str], tuple[Scores, dict[str, Any]]]] = {
    "maxent": _run_maxent,
    "forest": _run_forest,
    "place": _run_network,
    "climate": _run_network,
    "place+climate": _run_network,
}
