"""A linear classifier on the vectors: multinomial logistic regression with an L2 penalty.

The objective is scikit-learn's, with weights W (c x d), bias b (c) and unit vectors x:

    minimise  C * sum over samples of -log softmax(W x + b)[y]  +  ||W||^2 / 2

The bias is not penalised. It is minimised by L-BFGS with a strong-Wolfe line search in float64,
from small C to large, each fit starting where the last one ended. Vectors of one encoder lie in a
narrow cone and vary in few directions, which would cost L-BFGS thousands of steps; so it works on
principal axes of the centred vectors, each scaled by its curvature. As the bias is free and the
penalty follows the scaling, the minimum is the same. C is chosen by the class-balanced
accuracy on the validation split (the smaller of equal ones); the test split is never looked at, and
the classifier is not fitted again on training and validation together. Vectors are taken as they
are, of unit length: nothing is standardised, so that no statistic of the data enters but by W.

n queries, m training vectors, v validation vectors, d dimensions, c classes, b queries in a block
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from syntype.configs import EvaluateConfig, ProbeConfig
from syntype.errors import DataError
from syntype.evaluation.classification import Classes, classify
from syntype.evaluation.items import Items, check_sides
from syntype.evaluation.scores import Scores

if TYPE_CHECKING:
    from torch import Tensor

_HISTORY = 20  # steps that L-BFGS remembers
_CURVATURE = 0.25  # of a softmax at most, per unit of variance


@dataclass(frozen=True)
class Fit:
    """A classifier fitted at one C.

    Attributes:
        weights: c x d, float64.
        bias: c, float64.
        strength: C.
        iterations: Iterations of L-BFGS.
        converged: Whether the gradient of the mean loss came below the tolerance.
    """

    weights: Float[np.ndarray, "c d"]
    bias: Float[np.ndarray, "c"]
    strength: float
    iterations: int
    converged: bool

    def probabilities(self, vectors: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "b c"]:
        """Of each class for each vector."""
        logits = vectors.astype(np.float64) @ self.weights.T + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


def linear_probe(
    query: Items,
    train: Items,
    val: Items,
    config: EvaluateConfig,
    options: ProbeConfig,
    *,
    n_train: Mapping[str, int] | None = None,
) -> Scores:
    """Score an encoder by what a linear classifier reads from its vectors.

    Args:
        query: The queries, read with all ranks.
        train: What the classifier is fitted to, likewise.
        val: What C is chosen on, likewise.
        config: Ranks, depths, resamples.
        options: Values of C, iterations.
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".

    Raises:
        DataError: Fewer than two species have training pictures, or validation has none of them.
        VectorError: The sides have vectors of different lengths.
    """
    check_sides(query, train)
    check_sides(val, train)
    classes = Classes.of(train)
    labels, known = classes.codes(train.labels["species"]), classes.codes(val.labels["species"])
    if not (known >= 0).any():
        raise DataError(
            "The validation split has no picture of a species that is in training, so no penalty "
            "can be chosen. Give val a larger share: --split made --split-fractions 0.6 0.2 0.2."
        )
    fits = fit_path(
        train.vectors[labels >= 0],
        labels[labels >= 0],
        len(classes),
        options,
    )
    accuracy = [_balanced_accuracy(fit, val.vectors[known >= 0], known[known >= 0]) for fit in fits]
    best = fits[int(np.argmax(accuracy))]
    tried = [
        {
            "C": fit.strength,
            "validation": score,
            "iterations": fit.iterations,
            "converged": fit.converged,
        }
        for fit, score in zip(fits, accuracy, strict=True)
    ]
    return classify(
        query,
        classes,
        lambda start, stop: best.probabilities(query.vectors[start:stop]),
        config,
        kind="probability",
        about={
            "task": "linear-probe",
            "C": best.strength,
            "converged": best.converged,
            "tried": tried,
            "nClasses": len(classes),
        },
        n_train=n_train,
    )


def fit_path(
    vectors: Float[np.ndarray, "m d"],
    labels: Int[np.ndarray, "m"],
    n_classes: int,
    options: ProbeConfig,
) -> list[Fit]:
    """A classifier for each C, in ascending order of C.

    Args:
        vectors: What to fit to.
        labels: Their classes, from 0.
        n_classes: Number of classes.
        options: The values of C, and when to stop.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    variance, axes = np.linalg.eigh(np.cov(vectors.astype(np.float64), rowvar=False, bias=True))
    centred = (vectors - mean) @ axes
    weights, bias = np.zeros((n_classes, len(mean))), np.zeros(n_classes)  # on the axes
    found = []
    for strength in sorted(set(options.strengths)):
        penalty = 1 / (strength * len(vectors))
        scale = 1 / np.sqrt(_CURVATURE * np.maximum(variance, 0) + penalty)
        scaled, bias, n_steps, gradient = _minimise(
            centred * scale, labels, (weights / scale, bias), penalty * scale**2, options
        )
        weights = scaled * scale
        turned = weights @ axes.T
        found.append(
            Fit(
                turned,
                bias - turned @ mean,
                float(strength),
                n_steps,
                gradient <= options.tolerance,
            )
        )
    return found


def _minimise(
    vectors: Float[np.ndarray, "m d"],
    labels: Int[np.ndarray, "m"],
    start: tuple[Float[np.ndarray, "c d"], Float[np.ndarray, "c"]],
    penalty: Float[np.ndarray, "d"],
    options: ProbeConfig,
) -> tuple[Float[np.ndarray, "c d"], Float[np.ndarray, "c"], int, float]:
    """L-BFGS on the mean loss and half the penalty of each coordinate of the weights.

    Returns:
        Weights, bias, iterations, and the largest entry of the gradient where it ended.
    """
    import torch  # here, so that reports and scores start without it

    x, y = torch.from_numpy(vectors), torch.from_numpy(labels)
    each = torch.from_numpy(penalty)
    weights, bias = (torch.from_numpy(one.copy()).requires_grad_() for one in start)
    optimiser = torch.optim.LBFGS(
        [weights, bias],
        max_iter=options.iterations,
        max_eval=2 * options.iterations,
        tolerance_grad=options.tolerance,
        tolerance_change=0.0,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
    )

    def closure() -> "Tensor":
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weights.T + bias, y)
        loss = loss + (weights.square() @ each).sum() / 2
        loss.backward()
        return loss

    optimiser.step(closure)
    closure()  # for the gradient where it ended
    gradient = max(float(one.grad.abs().max()) for one in (weights, bias) if one.grad is not None)
    n_steps = int(optimiser.state[weights]["n_iter"])
    return weights.detach().numpy(), bias.detach().numpy(), n_steps, gradient


def _balanced_accuracy(
    fit: Fit, vectors: Float[np.ndarray, "v d"], labels: Int[np.ndarray, "v"]
) -> float:
    """The mean over classes of the share of their vectors that is answered rightly."""
    right = (fit.probabilities(vectors).argmax(axis=1) == labels).astype(np.float64)
    counts = np.bincount(labels)
    shares = np.bincount(labels, right)[counts > 0] / counts[counts > 0]
    return float(shares.mean())
