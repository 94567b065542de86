"""Senses as experts: a probability of each class by each, multiplied; and how unsure they are.

    p(c | x) ~ product over the senses that are there of p_m(c | x_m) ^ (k ^ -dependence)
    p_m = softmax(scale_m * cosines)

Legend: n observations, c classes, d dimensions, k senses that an observation has.

Hinton's product of experts (2002), for classes that are equally likely beforehand. Each scale is
fitted on a selection split by the probability of the right class (temperature scaling, Guo et al.
2017). Experts that saw the same organism are not independent: `dependence`, fitted likewise, is 0
where they are (a plain product) and 1 where they say the same (the geometric mean). With one sense
the product is that sense's own probability, whatever it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, special

from syntype.binding.fusion import Present, Vectors, present_in
from syntype.errors import DataError, UsageError

_SCALES = (np.log(0.1), np.log(1000.0))


def fit_scale(cosines: Float[np.ndarray, "n c"], labels: Int[np.ndarray, "n"]) -> float:
    """The scale under which the right classes are most probable, 0.1 to 1000.

    Args:
        cosines: Of observations and classes, on a selection split.
        labels: The class of each observation.

    Raises:
        DataError: There are no observations.
    """
    if len(labels) == 0:
        raise DataError("A scale is fitted on observations, and there are none.")
    rows = np.arange(len(labels))
    cosines = cosines.astype(np.float64)

    def loss(log_scale: float) -> float:
        return -float(special.log_softmax(np.exp(log_scale) * cosines, axis=1)[rows, labels].mean())

    found = optimize.minimize_scalar(loss, bounds=_SCALES, method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Experts:
    """Calibrated senses.

    Attributes:
        scales: What each sense's cosines are multiplied by.
        dependence: 0 (independent) to 1 (the same).
    """

    scales: Mapping[str, float]
    dependence: float

    def log_probabilities(
        self,
        vectors: Vectors,
        classes: Float[np.ndarray, "c d"],
        present: Present | None = None,
    ) -> Float[np.ndarray, "n c"]:
        """The logarithm of each class's probability, float64.

        Args:
            vectors: Unit vectors of any of the senses.
            classes: Unit vectors of the classes.
            present: Which observations have which sense; None takes rows of NaN for missing.

        Raises:
            DataError: As `present_in`.
            UsageError: A sense was not calibrated.
        """
        there = present_in(vectors, present)
        unknown = sorted(vectors.keys() - self.scales.keys())
        if unknown:
            raise UsageError(f"{', '.join(unknown)}: not calibrated. Fit the experts with it.")
        total = np.zeros((len(next(iter(there.values()))), len(classes)))
        for name in sorted(vectors):
            mask = there[name]
            cosines = vectors[name][mask].astype(np.float64) @ classes.T.astype(np.float64)
            total[mask] += special.log_softmax(self.scales[name] * cosines, axis=1)
        n_there = np.sum(list(there.values()), axis=0)
        power = n_there.astype(np.float64) ** -self.dependence
        return special.log_softmax(power[:, None] * total, axis=1)


def fit_experts(
    vectors: Vectors,
    classes: Float[np.ndarray, "c d"],
    labels: Int[np.ndarray, "n"],
    present: Present | None = None,
) -> Experts:
    """Calibrate senses on a selection split.

    Args:
        vectors: Unit vectors of each sense.
        classes: Unit vectors of the classes.
        labels: The class of each observation.
        present: Which observations have which sense.

    Raises:
        DataError: As `present_in`, or a sense has no observation.
    """
    there = present_in(vectors, present)
    scales = {
        name: fit_scale(vectors[name][mask] @ classes.T, labels[mask])
        for name, mask in there.items()
    }
    rows = np.arange(len(labels))

    def loss(dependence: float) -> float:
        experts = Experts(scales, dependence)
        return -float(experts.log_probabilities(vectors, classes, there)[rows, labels].mean())

    if all(np.sum(list(there.values()), axis=0) == 1):
        return Experts(scales, 0.0)
    found = optimize.minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded")
    best = min((0.0, float(found.x), 1.0), key=loss)
    return Experts(scales, best)


def entropy(log_probabilities: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n"]:
    """How unsure each answer is: entropy divided by that of equal classes, 0 to 1."""
    n_classes = log_probabilities.shape[1]
    if n_classes < 2:
        return np.zeros(len(log_probabilities))
    # 0 log 0 is 0.
    terms = special.entr(np.exp(log_probabilities)).sum(axis=1)
    return np.clip(terms / np.log(n_classes), 0.0, 1.0)
