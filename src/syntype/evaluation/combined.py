"""Zero-shot classification by each modality and by combinations of them: what does one add?

Each combination answers with species, from vectors against the vectors of names, or from
probabilities that were fused elsewhere. What a modality adds is paired: a combination minus the
same without it, on the rows that both can answer. Two baselines say what a gain is owed to:

- a modality **shuffled** among the rows of a split keeps its distribution and loses what it says;
- **place only** names what training points around bear, without any encoder.

Species that share all their words cannot be told apart: the first in the alphabet is answered.

    n rows, k rows that a combination can answer, c classes, d dimensions (e of the names),
    t answers kept of each, m training points, b rows in a block
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from syntype.configs import EvaluateConfig
from syntype.errors import DataError, VectorError
from syntype.evaluation.classification import Classes
from syntype.evaluation.cross_modal import contents
from syntype.evaluation.geography import TrainingPoints, unit_sphere
from syntype.evaluation.ordering import first_columns
from syntype.evaluation.statistics import Difference, Interval, holm, resample
from syntype.provenance import named_seed

_BLOCK_CELLS = 2**22  # scores held at a time


@dataclass(frozen=True)
class Answers:
    """What one combination of modalities answers.

    Attributes:
        modalities: Which, in the order they are named.
        rows: The rows that have all it needs.
        first: Numbers of the classes answered for each of them, the best first.
        baseline: "" or what was done to it, for example "sound shuffled".
    """

    modalities: tuple[str, ...]
    rows: Int[np.ndarray, "k"]
    first: Int[np.ndarray, "k t"]
    baseline: str = ""

    @property
    def name(self) -> str:
        """For example "image + sound"."""
        text = " + ".join(self.modalities)
        return f"{text} ({self.baseline})" if self.baseline else text


def answers_by_vectors(
    vectors: Float[np.ndarray, "k d"], class_vectors: Float[np.ndarray, "c e"], depth: int = 5
) -> Int[np.ndarray, "k t"]:
    """The classes whose unit vectors lie nearest; ties go to the first class.

    Raises:
        VectorError: The dimensions differ, or a vector is not finite.
    """
    if vectors.shape[1] != class_vectors.shape[1]:
        raise VectorError(
            f"The vectors have {vectors.shape[1]} dimensions and those of the names "
            f"{class_vectors.shape[1]}: they are not of one space."
        )
    first, column = contents(class_vectors)
    names = class_vectors[first].astype(np.float32)
    return _in_blocks(
        lambda rows: (vectors[rows].astype(np.float32) @ names.T)[:, column],
        len(vectors),
        len(class_vectors),
        depth,
    )


def answers_by_probabilities(
    probabilities: Float[np.ndarray, "k c"], depth: int = 5
) -> Int[np.ndarray, "k t"]:
    """The likeliest classes; ties go to the first class.

    Raises:
        VectorError: A probability is not finite.
    """
    return _in_blocks(
        lambda rows: probabilities[rows].astype(np.float32),
        len(probabilities),
        probabilities.shape[1],
        depth,
    )


def _in_blocks(score: Any, n: int, n_classes: int, depth: int) -> Int[np.ndarray, "k t"]:
    depth = min(depth, n_classes)
    first = np.empty((n, depth), dtype=np.int64)
    step = max(1, _BLOCK_CELLS // max(n_classes, 1))
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        scores = score(rows)
        broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if len(broken):
            raise VectorError(
                f"The scores of row {start + int(broken[0])} are NaN or infinite. Embed it again."
            )
        first[rows] = first_columns(np.ascontiguousarray(scores), depth)
    return first


def shuffled(
    ids: Sequence[str], splits: Sequence[str], *, modality: str, seed: int = 0
) -> Int[np.ndarray, "n"]:
    """Which row's modality each row is given instead of its own, within its split.

    One random cycle through the rows of a split: each is used once and none keeps its own, but
    for a row that is alone in its split. It depends on ids, splits and seed, not on the order.
    """
    place = np.arange(len(ids))
    of_split = np.asarray(splits, dtype=object)
    for split in sorted(set(splits)):
        rows = sorted(np.flatnonzero(of_split == split).tolist(), key=lambda row: ids[row])
        rng = np.random.default_rng(named_seed(seed, "shuffled modality", modality, split))
        cycle = np.array(rows)[rng.permutation(len(rows))]
        place[cycle] = np.roll(cycle, 1)
    return place


def answers_by_place(
    classes: Classes,
    species: Sequence[str],
    *,
    training_latitude: Float[np.ndarray, "m"],
    training_longitude: Float[np.ndarray, "m"],
    latitude: Float[np.ndarray, "k"],
    longitude: Float[np.ndarray, "k"],
    neighbours: int = 50,
    depth: int = 5,
) -> Int[np.ndarray, "k t"]:
    """The species most often seen among the nearest training points; no encoder is asked.

    Where two are seen as often, the one that is commoner in all of the training is answered.

    Args:
        classes: What can be answered.
        species: Of each training point; those that are no class, and points without a place, are
            left out.
        training_latitude: Of each training point; NaN where unknown.
        training_longitude: Likewise.
        latitude: Of each query.
        longitude: Likewise.
        neighbours: How many training points are asked.
        depth: Answers kept.

    Raises:
        DataError: No training point has a place and a species that can be answered.
    """
    code = classes.codes(species)
    known = (code >= 0) & np.isfinite(training_latitude) & np.isfinite(training_longitude)
    code = code[known]
    if not len(code):
        raise DataError(
            "No training point has a place and a species among the classes, so there is no "
            "baseline of places. Give the training split its coordinates."
        )
    points = TrainingPoints.of(
        latitude=training_latitude[known], longitude=training_longitude[known]
    )
    n_classes, asked = len(classes), min(neighbours, len(code))
    common = np.bincount(code, minlength=n_classes) / (len(code) + 1)
    where = unit_sphere(latitude=latitude, longitude=longitude)

    def score(rows: Int[np.ndarray, "b"]) -> Float[np.ndarray, "b c"]:
        """How often each class is seen around."""
        _, near = points.tree.query(where[rows], k=[*range(1, asked + 1)])
        seen = np.zeros((len(rows), n_classes))
        np.add.at(seen, (np.arange(len(rows))[:, None], code[near]), 1)
        return (seen + common).astype(np.float32)

    return _in_blocks(score, len(where), n_classes, depth)


@dataclass(frozen=True)
class Scored:
    """One combination.

    Attributes:
        metrics: RANKTop@K, with intervals.
        n: Rows that it answers and that have a species among the classes.
        missing: Rows with such a species that lack a modality it needs.
    """

    answers: Answers
    metrics: Mapping[str, Interval]
    n: int
    missing: int

    @property
    def name(self) -> str:
        """For example "image + sound"."""
        return self.answers.name


@dataclass(frozen=True)
class Gain:
    """What a modality adds, or what is left when it is shuffled.

    Attributes:
        added: The modality, or what the baseline is, for example "sound shuffled".
        name: The combination with it.
        without: What it is compared with.
        difference: Of the first metric, paired by row, over rows that both answer.
        p_holm: The difference's p corrected for all gains; None where it has none.
        verdict: `helps` or `hurts` where the interval leaves out 0, else `undecided`.
        against_baseline: Whether it is compared with a baseline of the same modalities.
    """

    added: str
    name: str
    without: str
    difference: Difference
    p_holm: float | None
    verdict: str
    against_baseline: bool = False

    @property
    def warning(self) -> str:
        """What the user should know where adding hurts; else ""."""
        if self.verdict != "hurts" or self.against_baseline:
            return ""
        one = self.difference
        assert one.estimate is not None
        assert one.lower is not None
        assert one.upper is not None
        return (
            f"Adding {self.added} to {self.without} loses {-100 * one.estimate:.1f} points "
            f"({-100 * one.upper:.1f} to {-100 * one.lower:.1f}) on {one.n} rows. Leave it out, or "
            "give it less weight (fusion by learned weights)."
        )


@dataclass(frozen=True)
class Combined:
    """All combinations, and what each modality adds.

    Attributes:
        metric: The metric that gains are of.
        n_unanswerable: Rows without a species, or of one that is not among the classes.
    """

    scored: Sequence[Scored]
    gains: Sequence[Gain]
    metric: str
    n_classes: int
    n_unanswerable: int

    @property
    def warnings(self) -> list[str]:
        """A sentence for each modality that hurts."""
        return [gain.warning for gain in self.gains if gain.warning]

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "metric": self.metric,
            "nClasses": self.n_classes,
            "nUnanswerable": self.n_unanswerable,
            "combinations": [
                {
                    "name": one.name,
                    "modalities": list(one.answers.modalities),
                    "baseline": one.answers.baseline,
                    "n": one.n,
                    "missing": one.missing,
                    "metrics": {name: value.as_json() for name, value in one.metrics.items()},
                }
                for one in self.scored
            ],
            "gains": [
                {
                    "added": one.added,
                    "name": one.name,
                    "without": one.without,
                    "difference": one.difference.as_json(),
                    "pHolm": one.p_holm,
                    "verdict": one.verdict,
                }
                for one in self.gains
            ],
            "warnings": self.warnings,
        }


def combine(
    labels: Mapping[str, Sequence[str]],
    units: Sequence[str],
    classes: Classes,
    answers: Sequence[Answers],
    config: EvaluateConfig,
) -> Combined:
    """Score combinations of modalities on the same rows.

    Args:
        labels: The names of all rows at each rank, "" where unknown; `species` must be there.
        units: The independent unit of each row.
        classes: What was answered among.
        answers: Of each combination; several of one name are refused.
        config: Ranks, depths (`top_at`), and the number, seed and confidence of the resamples.

    Raises:
        DataError: There are no combinations, two have one name, or no row can be answered.
    """
    names = [one.name for one in answers]
    if not names or len(set(names)) < len(names):
        raise DataError(f"Combinations must have names, each once, not {names}.")
    truth = classes.codes(labels["species"]) >= 0
    if not truth.any():
        raise DataError(
            f"None of the {len(truth)} rows has a species among the {len(classes)} classes. Put "
            "the names of these rows among the classes."
        )
    values = {one.name: _hits(one, labels, truth, classes, config) for one in answers}
    metrics = list(values[names[0]])
    drawn = {
        metric: _resampled(np.stack([values[name][metric] for name in names]), units, config)
        for metric in metrics
    }
    scored = []
    for i, one in enumerate(answers):
        n = int(truth[one.rows].sum())
        found = {metric: drawn[metric].interval(i) for metric in metrics}
        scored.append(Scored(one, found, n, int(truth.sum()) - n))
    gains = _gains(answers, {name: one[metrics[0]] for name, one in values.items()}, units, config)
    return Combined(tuple(scored), tuple(gains), metrics[0], len(classes), int((~truth).sum()))


def _hits(
    one: Answers,
    labels: Mapping[str, Sequence[str]],
    truth: np.ndarray,
    classes: Classes,
    config: EvaluateConfig,
) -> dict[str, Float[np.ndarray, "n"]]:
    """RANKTop@K of every row: is the name among those of the first K species answered?"""
    found = {}
    for rank in config.ranks:
        named = classes.species if rank == "species" else classes.names(rank)
        of_class = np.array(list(named), dtype=object)
        own = np.asarray(labels[rank], dtype=object)[one.rows]
        right = of_class[one.first] == own[:, None]
        scored = truth[one.rows] & (own != "")
        for k in config.top_at:
            values = np.full(len(truth), np.nan)
            values[one.rows] = np.where(scored, right[:, :k].any(axis=1), np.nan)
            found[f"{rank}Top@{k}"] = values
    return found


def _resampled(
    values: Float[np.ndarray, "p n"], units: Sequence[str], config: EvaluateConfig
) -> Any:
    return resample(
        values,
        units,
        resamples=config.resamples,
        confidence=config.confidence,
        seed=config.seed,
    )


def _gains(
    answers: Sequence[Answers],
    values: Mapping[str, Float[np.ndarray, "n"]],
    units: Sequence[str],
    config: EvaluateConfig,
) -> list[Gain]:
    """Each combination against the same without one modality, and against its baselines."""
    plain = {frozenset(one.modalities): one for one in answers if not one.baseline}
    pairs = [
        (added, one, plain[rest])
        for one in answers
        if not one.baseline
        for added in one.modalities
        if (rest := frozenset(one.modalities) - {added}) in plain
    ]
    for one in answers:
        whole = plain.get(frozenset(one.modalities))
        if one.baseline and whole is not None:
            pairs.append((one.baseline, whole, one))
    found = []
    for added, one, other in pairs:
        both = np.stack([values[one.name], values[other.name]])
        both[:, np.isnan(both).any(axis=0)] = np.nan
        found.append(
            (added, one.name, other.name, _resampled(both, units, config).difference(0, 1))
        )
    baselines = {one.name for one in answers if one.baseline}
    tested = [difference.p for *_, difference in found if difference.p is not None]
    corrected = iter(holm(tested))
    return [
        Gain(
            added,
            name,
            without,
            difference,
            None if difference.p is None else next(corrected),
            _verdict(difference),
            without in baselines,
        )
        for added, name, without, difference in found
    ]


def _verdict(difference: Difference) -> str:
    if difference.lower is not None and difference.lower > 0:
        return "helps"
    if difference.upper is not None and difference.upper < 0:
        return "hurts"
    return "undecided"
