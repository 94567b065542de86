"""Several senses of one observation as one vector, and whether a sense helps at all.

    v = normalise(sum over the senses that are there of w_m v_m)

Legend: n observations, c classes, d dimensions, s senses.

The published rule is normalise(e_image + normalise(e_mod)), all weights 1; here it holds for any
senses. A sense that an observation lacks is left out of its sum, so any subset will do; with one
sense the vector is that sense's own, bit by bit. Nothing depends on the order of senses: sums are
taken in the order of their names, in float64.

`learn_weights` fits the weights on a selection split, by the probability that a softmax over the
classes gives to the right one, a proper score, so that a few hundred rows are enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy import optimize, special

from syntype.errors import DataError, UsageError, VectorError
from syntype.evaluation.statistics import Difference, resample

Vectors = Mapping[str, Float[np.ndarray, "n d"]]
Present = Mapping[str, Bool[np.ndarray, "n"]]

_MOST_WEIGHT = 10.0
_LEAST_LENGTH = 1e-6  # of a sum: below it the senses say opposite things


def present_in(vectors: Vectors, present: Present | None = None) -> dict[str, np.ndarray]:
    """Which observations have which sense; without masks, rows of NaN are missing.

    Raises:
        DataError: There is no sense, numbers of rows differ, or an observation has none at all.
    """
    sizes = {name: len(one) for name, one in vectors.items()}
    if len(set(sizes.values())) != 1:
        raise DataError(f"Senses of the same observations are wanted, not {sizes or 'none'} rows.")
    found: dict[str, np.ndarray] = {}
    for name, one in vectors.items():
        known = np.isfinite(one).all(axis=1)
        mask: Any = known
        if present is not None and name in present:
            mask = np.asarray(present[name], dtype=bool)
        if len(mask) != len(one) or (mask & ~known).any():
            raise DataError(
                f"{name}: the mask says that a row is there, and its vector is not finite. Give "
                "vectors and masks of the same rows."
            )
        found[name] = mask
    alone = ~np.logical_or.reduce(list(found.values()))
    if alone.any():
        raise DataError(
            f"{int(alone.sum())} of {len(alone)} observations have none of {', '.join(vectors)}, "
            f"the first in row {int(alone.argmax())}. Leave them out, or add a sense that they "
            "have."
        )
    return found


def fuse(
    vectors: Vectors,
    weights: Mapping[str, float] | None = None,
    present: Present | None = None,
) -> Float32[np.ndarray, "n d"]:
    """One unit vector for each observation.

    Args:
        vectors: Unit vectors of each sense, rows of the same observations.
        weights: Of each sense, 0 or more; None is the published rule, 1 for all.
        present: Which observations have which sense; None takes rows of NaN for missing.

    Raises:
        DataError: An observation has none of the senses, or none with a weight.
        UsageError: A weight is negative, or a sense has none.
        VectorError: The senses of an observation cancel each other.
    """
    there = present_in(vectors, present)
    share = _weights(vectors, weights)
    used = {name: there[name] & (share[name] > 0) for name in sorted(vectors)}
    n_used = np.sum(list(used.values()), axis=0)
    if (n_used == 0).any():
        raise DataError(
            f"{int((n_used == 0).sum())} observations have senses of weight 0 alone, the first in "
            f"row {int((n_used == 0).argmax())}. Leave them out, or give each sense a weight."
        )
    first = next(iter(vectors.values()))
    total = np.zeros(first.shape, np.float64)
    for name, mask in used.items():
        total[mask] += share[name] * vectors[name][mask].astype(np.float64)
    lengths = np.linalg.norm(total, axis=1)
    largest = max(share.values())
    if (lengths < _LEAST_LENGTH * largest).any():
        row = int((lengths < _LEAST_LENGTH * largest).argmax())
        raise VectorError(
            f"The senses of the observation in row {row} cancel each other: their sum is zero. "
            "Fuse fewer senses, or take the product of experts."
        )
    fused = (total / lengths[:, None]).astype(np.float32)
    for name, mask in used.items():
        only = mask & (n_used == 1)
        fused[only] = vectors[name][only]
    return fused


def _weights(vectors: Vectors, weights: Mapping[str, float] | None) -> dict[str, float]:
    if weights is None:
        return dict.fromkeys(sorted(vectors), 1.0)
    missing = sorted(vectors.keys() - weights.keys())
    if missing or any(not 0 <= weights[name] < np.inf for name in vectors):
        raise UsageError(
            f"Each sense needs a weight of 0 or more; {', '.join(missing) or 'one'} has none."
        )
    return {name: float(weights[name]) for name in sorted(vectors)}


@dataclass(frozen=True)
class Learned:
    """Weights that were learned on a selection split.

    Attributes:
        weights: Of each sense; the largest is 1.
        scale: What cosines of fused vectors are multiplied by, which makes them probabilities.
        likelihood: Mean log probability of the right class, with these weights.
        plain: The same with the published rule, at its own best scale.
        n: Observations that it was learned on.
    """

    weights: Mapping[str, float]
    scale: float
    likelihood: float
    plain: float
    n: int


def learn_weights(
    vectors: Vectors,
    classes: Float[np.ndarray, "c d"],
    labels: Int[np.ndarray, "n"],
    present: Present | None = None,
) -> Learned:
    """Weights under which the right class is most probable, on a selection split.

    Args:
        vectors: Unit vectors of each sense.
        classes: Unit vectors of the classes, as a rule of their names.
        labels: The class of each observation.
        present: Which observations have which sense.

    Raises:
        DataError: As `present_in`, or there are fewer than two classes.
    """
    there = present_in(vectors, present)
    if len(classes) < 2:
        raise DataError("Weights are learned by telling classes apart: give at least two.")
    names = sorted(vectors)
    part = np.stack([np.where(there[name][:, None], vectors[name], 0) for name in names])
    part = part.astype(np.float64)
    logits = part @ classes.T.astype(np.float64)  # (s, n, c)
    gram = np.einsum("snd,tnd->nst", part, part)

    def loss(inner: np.ndarray) -> float:
        weights, scale = inner[:-1], np.exp(inner[-1])
        squares = np.einsum("s,nst,t->n", weights, gram, weights)
        fused = np.tensordot(weights, logits, 1) / np.sqrt(np.maximum(squares, 1e-12))[:, None]
        chosen = special.log_softmax(scale * fused, axis=1)[np.arange(len(labels)), labels]
        return -float(chosen.mean())

    bounds = [(0.0, _MOST_WEIGHT)] * len(names) + [(-2.0, np.log(1000.0))]
    ones = [1.0] * len(names)
    starts = [np.array([*ones, np.log(scale)]) for scale in (5.0, 50.0)]
    # A sense that an observation has alone must keep some weight, or its vector would be none.
    alone = np.sum(list(there.values()), axis=0) == 1
    for place, name in enumerate(names):
        if (there[name] & alone).any():
            bounds[place] = (1e-3, _MOST_WEIGHT)
    plain_bounds = [(1.0, 1.0)] * len(names) + bounds[-1:]
    plain = min((_minimum(loss, start, plain_bounds) for start in starts), key=lambda one: one.fun)
    starts = [plain.x, *starts]
    best = min((_minimum(loss, start, bounds) for start in starts), key=lambda one: one.fun)
    if best.x[:-1].max() <= 0 or best.fun >= plain.fun:
        best = plain
    weights = best.x[:-1] / best.x[:-1].max()
    return Learned(
        weights={name: float(one) for name, one in zip(names, weights, strict=True)},
        scale=float(np.exp(best.x[-1])),
        likelihood=-float(best.fun),
        plain=-float(plain.fun),
        n=len(labels),
    )


def _minimum(loss: Any, start: np.ndarray, bounds: Sequence[tuple[float, float]]) -> Any:
    return optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds)


@dataclass(frozen=True)
class Hurt:
    """What a sense adds to others, as a difference of scores.

    Attributes:
        added: The sense.
        to: The senses that it was added to.
        change: Score with it minus score without it, with its interval; negative is a loss.
    """

    added: str
    to: tuple[str, ...]
    change: Difference

    @property
    def surely(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.change.upper is not None and self.change.upper < 0

    def __str__(self) -> str:
        """A warning in words."""
        change = self.change
        interval = (
            "no interval"
            if change.lower is None or change.upper is None
            else f"{change.lower:+.3f} to {change.upper:+.3f}"
        )
        verdict = "hurts" if self.surely else "does not seem to help"
        return (
            f"Adding {self.added} to {' and '.join(self.to)} {verdict}: {change.estimate:+.3f} "
            f"({interval}) on the selection split."
        )


def hurts(
    scores: Mapping[tuple[str, ...], Float[np.ndarray, "n"]],
    units: Sequence[str],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Hurt]:
    """Where adding a sense lowers the score, the largest loss first.

    Args:
        scores: Of each combination of senses a score for each observation of the selection split,
            larger is better; NaN where there is none.
        units: The independent unit of each observation.
        confidence: Of the intervals.
        seed: Of the draws.

    Raises:
        DataError: Numbers of rows differ, or a unit is unknown.
    """
    named = {frozenset(combination): row for combination, row in scores.items()}
    keys = list(named)
    if len(keys) < 2:
        return []
    found = []
    for whole in keys:
        for added in sorted(whole):
            rest = whole - {added}
            if rest not in named:
                continue
            rows = np.stack([named[whole], named[rest]]).astype(np.float64)
            rows[:, np.isnan(rows).any(axis=0)] = np.nan
            drawn = resample(rows, units, confidence=confidence, seed=seed)
            change = drawn.difference(0, 1)
            if change.estimate is not None and change.estimate < 0:
                found.append(Hurt(added, tuple(sorted(rest)), change))
    return sorted(found, key=lambda one: (one.change.estimate or 0.0, one.added, one.to))


def combinations_of(senses: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of senses, the small ones first."""
    return [one for size in range(1, len(senses) + 1) for one in combinations(sorted(senses), size)]
