"""Intervals, paired differences and tests over independent units.

Pictures of one track, specimen or observation are not independent, so units are what is drawn,
never pictures; all models share the draws, so differences are paired; and the list of classes is
held fixed, so that a class-balanced mean never loses a rare class in a resample. The draw is the
Bayesian bootstrap (Rubin, "The Bayesian Bootstrap", Annals of Statistics 9, 1981): one Exp(1)
weight w_u per unit. Three things differ from the plain one, each because the plain one covers too
little where classes have few units (measured in `docs/reference/evaluation.md`):

- linearised: a draw is estimate + sum over u of (w_u - 1) psi_u, where psi_u is the unit's
  influence on the mean. A weighted mean of two units is pulled towards the middle and biased
  where large units score otherwise than small ones; this is neither. It is one matrix product.
- leverage-corrected: a residual is smaller than the error it stands for, the more so the larger
  the unit's share of its class; it is scaled up to the variance it should have if pictures of one
  unit agree with an intraclass correlation of 0.15 (the bias reduction of Bell and McCaffrey,
  "Bias reduction in standard errors", Survey Methodology 28, 2002, unit by unit).
- expanded by t/z with Satterthwaite's degrees of freedom (Hesterberg, "What teachers should know
  about the bootstrap", American Statistician 69, 2015: expanded percentile interval).

A class with one unit shows no spread of its own: its residual is taken from the mean of all
classes, which is the conservative choice of survey sampling for a lonely primary unit.

    m rows (models or metrics), g models after seeds are averaged, o occasions, n queries, u units,
    b resamples
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import floor
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from syntype.errors import DataError, UsageError
from syntype.evaluation.influence import Cells, Influence, average
from syntype.provenance import named_seed

_CHUNK_CELLS = 2**22  # weights drawn at a time: 32 MiB
_NO_SPREAD = 1e-12  # a standard error below this is rounding


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval.

    Attributes:
        estimate: The mean over all queries with a value; None where none has one.
        lower: Lower end; None where no interval can be had, which `reason` explains.
        upper: Upper end, likewise.
        n: Queries with a value.
        n_units: Independent units among them.
        reason: "" or why there is no interval: "no values", "one unit", "no spread" (every unit
            has the same value, so that resampling would claim a certainty it cannot know).
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    n: int
    n_units: int
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types, in the words of the saved summary."""
        content = asdict(self)
        content["nUnits"] = content.pop("n_units")
        return content


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference, its interval, and the two-sided p of no difference.

    Attributes:
        p: At most 1 - confidence exactly where the interval leaves out 0; never below
            2 / (resamples + 1); 1 where the estimate is 0; 2^(1 - units) where every unit shows
            the same other difference; None where `reason` is "no values" or "one unit".
    """

    p: float | None = None


@dataclass(frozen=True)
class Resampled:
    """Estimates of several models and the draws that they share; made by `resample`.

    Attributes:
        draws: Deviations of each resample from the estimate, before the expansion.
        seeds: What each occasion (see `resample`) adds to a model's estimate, so that the sum of
            their squares is the variance due to them; 0 for a single seed.
        saw: Which occasions each model saw.
        known: Which queries have a value.
        bounds: The range of each row's values where it is [0, 1], else (-inf, inf).
    """

    influence: Sequence[Influence]
    draws: Float[np.ndarray, "b g"]
    seeds: Float[np.ndarray, "o g"]
    saw: Bool[np.ndarray, "o g"]
    known: Bool[np.ndarray, "g n"]
    bounds: Sequence[tuple[float, float]]
    confidence: float

    @cached_property
    def estimate(self) -> Float[np.ndarray, "g"]:
        """The mean of each model, NaN where no query has a value."""
        return np.array([one.estimate for one in self.influence])

    @cached_property
    def seed_variance(self) -> Float[np.ndarray, "g"]:
        """Variance of each model's estimate due to its seeds."""
        return (self.seeds**2).sum(axis=0)

    def interval(self, i: int) -> Interval:
        """The estimate of model `i` with its interval."""
        one = self.influence[i]
        expansion = self._expansion([one.variance, self._of_seeds(i)])
        ends = _ends(one, self.draws[:, i] * expansion, self.confidence, self.bounds[i])
        return Interval(**ends)

    def difference(self, i: int, j: int) -> Difference:
        """Model `i` minus model `j`, query by query.

        Raises:
            UsageError: The two were not scored on the same queries.
        """
        if not np.array_equal(self.known[i], self.known[j]):
            raise UsageError(
                f"Rows {i} and {j} do not have values for the same queries, so they cannot be "
                "paired. Compare one metric at a time, scored on the same data."
            )
        one, other = self.influence[i], self.influence[j]
        both = Influence(
            one.estimate - other.estimate, one.psi - other.psi, one.freedom, one.n, one.n_units
        )
        parts = [both.variance, *self._of_both_seeds(i, j)]
        drawn = (self.draws[:, i] - self.draws[:, j]) * self._expansion(parts)
        if i == j or sum(variance for variance, _ in parts) <= _NO_SPREAD**2:
            drawn = np.zeros_like(drawn)
        (low, high), (low_j, high_j) = self.bounds[i], self.bounds[j]
        ends = _ends(both, drawn, self.confidence, (low - high_j, high - low_j))
        return Difference(**ends, p=_p_value(both, drawn))

    def _of_seeds(self, i: int) -> tuple[float, float]:
        """The variance of model `i` due to its seeds, and its degrees of freedom."""
        return float(self.seed_variance[i]), float(self.saw[:, i].sum() - 1)

    def _of_both_seeds(self, i: int, j: int) -> list[tuple[float, float]]:
        """Likewise of the difference: what both saw cancels as far as they agree on it."""
        if not np.array_equal(self.saw[:, i], self.saw[:, j]):
            return [self._of_seeds(i), self._of_seeds(j)]
        apart = self.seeds[:, i] - self.seeds[:, j]
        return [(float(apart @ apart), self._of_seeds(i)[1])]

    def _expansion(self, parts: Iterable[tuple[float, float]]) -> float:
        """t/z at Satterthwaite's degrees of freedom of the units' and the seeds' variances."""
        parts = [(variance, df) for variance, df in parts if variance > _NO_SPREAD**2]
        if not parts:
            return 1.0
        total = sum(variance for variance, _ in parts)
        df = total**2 / sum(variance**2 / df for variance, df in parts)
        level = (1 + self.confidence) / 2
        return float(stats.t.ppf(level, df) / stats.norm.ppf(level))


def resample(
    values: Float[np.ndarray, "m n"],
    units: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    replicates: Sequence[int] | Int[np.ndarray, "m"] | None = None,
    occasions: Sequence[int] | Int[np.ndarray, "m"] | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Resampled:
    """Draw the paired bootstrap over units.

    Args:
        values: A row per model (or metric), a column per query; NaN where a query has no value.
        units: The independent unit of each query.
        classes: The class of each query, for class-balanced means; None takes the plain mean.
        replicates: Which model each row is a seed of, numbered from 0 without gaps; None takes
            each row for a model of its own. Seeds are averaged, and their spread is part of the
            interval, so that it covers the noise of training too.
        occasions: What each row saw, numbered from 0: rows of several models with one number saw
            the same draw of the task (a few-shot episode), whose luck they share, so that it is
            paired like the units. None takes each row for an occasion of its own.
        resamples: Number of draws.
        confidence: Confidence of the intervals, at least 0.5.
        seed: Seed of the draws. They depend on it and on the sorted list of units only.

    Memory beyond the inputs: 8 bytes times (u m + b g) and 64 MiB.

    Raises:
        DataError: Lengths differ, there are no queries, values are infinite, or a unit is unknown.
        UsageError: Too few resamples for the confidence, `replicates` are not numbered so, or a
            model saw an occasion twice.
    """
    groups = _checked(values, units, classes, replicates, resamples, confidence)
    names, unit = np.unique(np.asarray(units, dtype=object), return_inverse=True)
    of_class = np.zeros(len(unit), dtype=np.int64)
    if classes is not None:
        of_class = np.unique(np.asarray(classes, dtype=object), return_inverse=True)[1]
    cells = Cells.of(of_class, unit, len(names))
    rows = [cells.influence(row) for row in np.asarray(values, dtype=np.float64)]
    members = [np.flatnonzero(groups == model) for model in range(groups.max() + 1)]
    merged = [average([rows[i] for i in of]) for of in members]
    psi = np.stack([one.psi for one in merged], axis=1)
    place = _places(groups, occasions)
    seeds, saw = _seed_deviations(rows, members, place)
    known = ~np.isnan(values)
    return Resampled(
        influence=merged,
        draws=_draw(psi, seeds, resamples, seed),
        seeds=seeds,
        saw=saw,
        known=np.stack([known[of].all(axis=0) for of in members]),
        bounds=[_range(values[of]) for of in members],
        confidence=confidence,
    )


def paired_permutation(
    a: Float[np.ndarray, "n"],
    b: Float[np.ndarray, "n"],
    units: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> float | None:
    """The two-sided p of "which model made which answers is chance", by swapping whole units.

    In each draw the two models' answers are swapped, or not, unit by unit. All 2^u swaps are
    taken where they are no more than `resamples`. It shares no assumption with the bootstrap, so
    that one checks the other. Queries that only one model has a value for are left out.

    Returns:
        p, at least 1 / (resamples + 1); None where no query has two values.

    Raises:
        DataError: Lengths differ, there are no queries, or a unit is unknown.
    """
    both = np.stack([a, b])
    _checked(both, units, classes, None, resamples, 0.5)
    names, unit = np.unique(np.asarray(units, dtype=object), return_inverse=True)
    difference = (both[0] - both[1]).astype(np.float64)
    known = ~np.isnan(difference)
    if not known.any():
        return None
    of_class = np.asarray([""] * len(unit) if classes is None else classes, dtype=object)[known]
    _, code, size = np.unique(of_class, return_inverse=True, return_counts=True)
    share = difference[known] / size[code] / len(size)
    by_unit = np.bincount(unit[known], share, minlength=len(names))
    by_unit = by_unit[by_unit != 0]
    limit = abs(by_unit.sum()) - 1e-12
    if len(by_unit) < resamples.bit_length():  # 2^u <= resamples
        swaps = np.arange(2 ** len(by_unit))[:, None] >> np.arange(len(by_unit)) & 1
        return float(np.mean(np.abs((1 - 2 * swaps) @ by_unit) >= limit))
    rng = np.random.default_rng(named_seed(seed, "permutation"))
    extreme = 0
    for size_now in _chunks(resamples, len(by_unit)):
        signs = 1.0 - 2.0 * rng.integers(0, 2, (size_now, len(by_unit)), dtype=np.int8)
        extreme += int((np.abs(signs @ by_unit) >= limit).sum())
    return (1 + extreme) / (1 + resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given (Scandinavian J. of Statistics 6, 1979).

    Raises:
        UsageError: A p-value lies outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise UsageError(f"Every p-value must lie in [0, 1], not {list(p_values)}.")
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1)
    return adjusted.tolist()


def _places(
    groups: Int[np.ndarray, "m"], occasions: Sequence[int] | Int[np.ndarray, "m"] | None
) -> Int[np.ndarray, "m"]:
    """The occasion of each row, once no model has one twice."""
    place = np.arange(len(groups)) if occasions is None else np.asarray(occasions)
    if len(place) != len(groups) or len(set(zip(groups, place, strict=True))) < len(groups):
        raise UsageError(
            f"occasions must number what each of the {len(groups)} rows saw, each once a model."
        )
    return place


def _seed_deviations(
    rows: Sequence[Influence],
    members: Sequence[Int[np.ndarray, "..."]],
    place: Int[np.ndarray, "m"],
) -> tuple[Float[np.ndarray, "o g"], Bool[np.ndarray, "o g"]]:
    """What each occasion, as a seed, adds to a model's mean; scaled to the unbiased variance.

    Returns:
        That, and which occasions each model saw.
    """
    deviations = np.zeros((place.max() + 1, len(members)))
    saw = np.zeros(deviations.shape, dtype=bool)
    for model, of in enumerate(members):
        saw[place[of], model] = True
        if len(of) > 1:
            estimates = np.array([rows[i].estimate for i in of])
            scale = 1 / np.sqrt(len(of) * (len(of) - 1))
            apart = np.nan_to_num(estimates - estimates.mean()) * scale
            deviations[place[of], model] = apart
    return deviations, saw


def _draw(
    psi: Float[np.ndarray, "u g"], seeds: Float[np.ndarray, "o g"], resamples: int, seed: int
) -> Float[np.ndarray, "b g"]:
    """Sums of centred Exp(1) weights times influences, all models under the same weights."""
    rng = np.random.default_rng(named_seed(seed, "bootstrap of units"))
    draws = np.empty((resamples, psi.shape[1]))
    start = 0
    for size in _chunks(resamples, len(psi)):
        draws[start : start + size] = (rng.standard_exponential((size, len(psi))) - 1) @ psi
        start += size
    if seeds.any():
        rng = np.random.default_rng(named_seed(seed, "bootstrap of seeds"))
        draws += (rng.standard_exponential((resamples, len(seeds))) - 1) @ seeds
    return draws


def _chunks(total: int, width: int) -> Iterable[int]:
    """Sizes of blocks of rows of `width` that bound the memory; they sum to `total`."""
    step = max(1, _CHUNK_CELLS // width)
    return [min(step, total - start) for start in range(0, total, step)]


def _ends(
    one: Influence,
    drawn: Float[np.ndarray, "b"],
    confidence: float,
    bounds: tuple[float, float],
) -> dict[str, Any]:
    """The fields of an `Interval`: order statistics of the draws, so that p and ends agree."""
    fields: dict[str, Any] = {"n": one.n, "n_units": one.n_units, "lower": None, "upper": None}
    if one.n_units == 0:
        return fields | {"estimate": None, "reason": "no values"}
    fields["estimate"] = one.estimate
    if one.n_units == 1:
        return fields | {"reason": "one unit"}
    if np.abs(drawn).max() < _NO_SPREAD:
        return fields | {"reason": "no spread"}
    tail = _tail(len(drawn), confidence)
    ends = one.estimate + np.sort(drawn)[[tail - 1, -tail]]
    low, high = bounds
    # The draws' mean is 0 and their density log-concave, so that the ends enclose the estimate
    # but for the luck of a small number of draws; rounding aside, the clip below is that luck's.
    fields["lower"] = float(max(min(ends[0], one.estimate), low))
    fields["upper"] = float(min(max(ends[1], one.estimate), high))
    return fields


def _tail(resamples: int, confidence: float) -> int:
    """How many draws, counted from either side, the interval's end is."""
    return floor((1 - confidence) / 2 * (resamples + 1) + 1e-9)


def _p_value(one: Influence, drawn: Float[np.ndarray, "b"]) -> float | None:
    if one.n_units < 2:
        return None
    if one.estimate == 0:
        return 1.0
    if np.abs(drawn).max() < _NO_SPREAD:
        # Every unit shows the same difference: as likely as all coins falling on one side.
        return 2.0 ** (1 - one.n_units)
    moved = one.estimate + drawn
    beyond = min(int((moved <= 0).sum()), int((moved >= 0).sum()))
    return min(1.0, 2 * (1 + beyond) / (1 + len(drawn)))


def _range(values: Float[np.ndarray, "s n"]) -> tuple[float, float]:
    """[0, 1] for values that all lie there, as all scores but similarities do; else no bounds."""
    known = values[~np.isnan(values)]
    if len(known) and known.min() >= 0 and known.max() <= 1:
        return 0.0, 1.0
    return -np.inf, np.inf


def _checked(
    values: Float[np.ndarray, "m n"],
    units: Sequence[str],
    classes: Sequence[str] | None,
    replicates: Sequence[int] | Int[np.ndarray, "m"] | None,
    resamples: int,
    confidence: float,
) -> Int[np.ndarray, "m"]:
    """The model of each row, once everything is known to fit together."""
    m, n = values.shape
    if m == 0 or n == 0:
        raise DataError("There is nothing to resample: no model or no query.")
    if len(units) != n or (classes is not None and len(classes) != n):
        n_classes = "none" if classes is None else len(classes)
        raise DataError(f"{n} queries, but {len(units)} units and {n_classes} classes.")
    if np.isinf(values).any():
        raise DataError("Some values are infinite; a query without a value must be NaN.")
    if any(unit == "" for unit in units):
        raise DataError('Some units are "" (unknown). Give such queries units of their own.')
    if _tail(resamples, confidence) < 1 or confidence < 0.5:
        raise UsageError(
            f"{resamples} resamples cannot show an interval of confidence {confidence}: use "
            "--evaluate.resamples 2000 or more, and a --evaluate.confidence of at least 0.5."
        )
    groups = np.arange(m) if replicates is None else np.asarray(replicates)
    if len(groups) != m or set(groups.tolist()) != set(range(groups.max() + 1)):
        raise UsageError(f"replicates must number the models of the {m} rows from 0, without gaps.")
    return groups
