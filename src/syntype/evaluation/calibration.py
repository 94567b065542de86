"""How far a classifier's probabilities can be believed.

A bin of answers is calibrated if their mean probability (confidence) is the share of them that is
right (accuracy). The expected calibration error is the mean gap between the two over the bins,
weighted by their answers: over bins of equal width (Guo et al., "On Calibration of Modern Neural
Networks", ICML 2017, equation 3), and over bins of equal numbers of answers (Nixon et al.,
"Measuring Calibration in Deep Learning", 2019), which does not hang on a few sparse bins.

n answers, s bins
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from syntype.errors import UsageError


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: a point of the reliability diagram.

    Attributes:
        lower: Where the bin begins; it holds confidences above that (and 0).
        upper: Where it ends, included.
        n: Answers in it; without any, the next two are None.
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
    """

    lower: float
    upper: float
    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Gaps between confidence and accuracy; numbers are None without any answer.

    Attributes:
        n: Answers.
        ece: Expected calibration error over bins of equal width, 0 to 1.
        adaptive_ece: The same over bins of equal numbers of answers.
        mce: The largest gap of a bin of equal width.
        brier: Mean squared difference of confidence and right (1) or wrong (0).
        bins: The bins of equal width.
    """

    n: int
    ece: float | None
    adaptive_ece: float | None
    mce: float | None
    brier: float | None
    bins: Sequence[Bin]

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)


def calibration(
    confidence: Float[np.ndarray, "n"], right: Bool[np.ndarray, "n"], bins: int = 15
) -> Calibration:
    """Compare the probability of each first answer with whether it is right.

    Args:
        confidence: Probabilities, 0 to 1.
        right: Which answers are right.
        bins: Number of bins.

    Raises:
        UsageError: A probability lies outside of [0, 1], or there is no bin.
    """
    if bins < 1:
        raise UsageError(f"Calibration needs at least 1 bin, not {bins}.")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise UsageError(
            "Some confidences lie outside of [0, 1], so they are no probabilities and cannot be "
            "calibrated. Give softmax outputs, not logits or cosines."
        )
    edges = np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    n, mean, accuracy = _means(place, confidence, right, bins)
    points = [
        Bin(low, high, int(size), *((float(c), float(a)) if size else (None, None)))
        for low, high, size, c, a in zip(
            edges[:-1].tolist(), edges[1:].tolist(), n, mean, accuracy, strict=True
        )
    ]
    if not len(confidence):
        return Calibration(0, None, None, None, None, points)
    gap = np.abs(mean - accuracy)
    return Calibration(
        n=len(confidence),
        ece=float((n * gap).sum() / n.sum()),
        adaptive_ece=_adaptive(confidence, right, bins),
        mce=float(gap[n > 0].max()),
        brier=float(np.mean((confidence - right) ** 2)),
        bins=points,
    )


def _adaptive(confidence: Float[np.ndarray, "n"], right: Bool[np.ndarray, "n"], bins: int) -> float:
    """The error over bins of equal numbers; equal confidences stay in one bin."""
    # The bin of a value is that of the middle of its run in the sorted order, so that no order of
    # equal answers shows.
    _, code, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    place = np.minimum((middle * bins / len(confidence)).astype(np.int64), bins - 1)
    n, mean, accuracy = _means(place[code], confidence, right, bins)
    return float((n * np.abs(mean - accuracy)).sum() / n.sum())


def _means(
    place: Int[np.ndarray, "n"],
    confidence: Float[np.ndarray, "n"],
    right: Bool[np.ndarray, "n"],
    bins: int,
) -> tuple[Int[np.ndarray, "s"], Float[np.ndarray, "s"], Float[np.ndarray, "s"]]:
    """Answers, mean confidence and accuracy of each bin; 0 where it is empty."""
    n = np.bincount(place, minlength=bins)
    size = np.maximum(n, 1)
    return (
        n,
        np.bincount(place, confidence, minlength=bins) / size,
        np.bincount(place, right.astype(np.float64), minlength=bins) / size,
    )
