"""A linear classifier on the vectors: multinomial logistic regression with an L2 penalty.

The objective is scikit-learn's, with weights W (c x d), bias b (c) and unit vectors x:

    minimise  C * sum over samples of -log softmax(W x + b)[y]  +  ||W||^2 / 2

The bias is not penalised. It is minimised by L-BFGS with a strong-Wolfe line search in float64,
from small C to large, each fit starting where the last one ended. C is chosen by the class-balanced
accuracy on the validation split (the smaller of equal ones); the test split is never looked at, and
the classifier is not fitted again on training and validation together. Vectors are taken as they
are, of unit length: nothing is standardised, so that no statistic of the data enters but by W.

n queries, m training vectors, v validation vectors, d dimensions, c classes, b queries in a block
"""

from collections.abc import Mapping, Sequence
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

_GRADIENT = 1e-7  # largest entry of the mean loss's gradient at which a fit has converged
_HISTORY = 20  # steps that L-BFGS remembers


@dataclass(frozen=True)
class Fit:
    """A classifier fitted at one C.

    Attributes:
        weights: c x d, float64.
        bias: c, float64.
        strength: C.
        iterations: Iterations of L-BFGS.
        converged: Whether the gradient of the mean loss came below 1e-7.
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
        options.strengths,
        options.iterations,
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
    strengths: Sequence[float],
    iterations: int,
) -> list[Fit]:
    """A classifier for each C, in ascending order of C.

    Args:
        vectors: What to fit to.
        labels: Their classes, from 0.
        n_classes: Number of classes.
        strengths: The values of C.
        iterations: Iterations of L-BFGS at most, for each.
    """
    import torch  # here, so that reports and scores start without it

    x = torch.from_numpy(vectors.astype(np.float64))
    y = torch.from_numpy(labels)
    weights = torch.zeros(n_classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(n_classes, dtype=torch.float64, requires_grad=True)
    found = []
    for strength in sorted(set(strengths)):
        n_steps = _minimise(x, y, weights, bias, strength, iterations)
        gradient = max(float(each.grad.abs().max()) for each in (weights, bias))  # type: ignore[union-attr]
        found.append(
            Fit(
                weights.detach().numpy().copy(),
                bias.detach().numpy().copy(),
                float(strength),
                n_steps,
                gradient <= _GRADIENT,
            )
        )
    return found


def _minimise(
    x: "Tensor", y: "Tensor", weights: "Tensor", bias: "Tensor", strength: float, iterations: int
) -> int:
    """L-BFGS on the objective over its mean loss's scale, in place; the iterations it took."""
    import torch

    optimiser = torch.optim.LBFGS(
        [weights, bias],
        max_iter=iterations,
        max_eval=2 * iterations,
        tolerance_grad=_GRADIENT,
        tolerance_change=0.0,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
    )
    penalty = 0.5 / (strength * len(x))

    def closure() -> "Tensor":
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weights.T + bias, y)
        loss = loss + penalty * weights.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    closure()  # for the gradient where it ended
    return int(optimiser.state[weights]["n_iter"])


def _balanced_accuracy(
    fit: Fit, vectors: Float[np.ndarray, "v d"], labels: Int[np.ndarray, "v"]
) -> float:
    """The mean over classes of the share of their vectors that is answered rightly."""
    right = (fit.probabilities(vectors).argmax(axis=1) == labels).astype(np.float64)
    counts = np.bincount(labels)
    shares = np.bincount(labels, right)[counts > 0] / counts[counts > 0]
    return float(shares.mean())
