"""What the vectors of a batch are pulled towards: the loop's only view of a loss.

Legend: n samples of a batch, b of this process, l labels a sample, k classes, d dimensions.

An objective looks at the vectors of the whole batch and gives the gradient at each; the loop then
runs the encoder back from there (Gao et al. 2021, gradient caching). So the batch that a loss sees
does not depend on how many samples go through the encoder at a time, nor on how many processes
share them. What an objective learns itself (class centres, a temperature) it also moves itself.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Figures:
    """What a step shows of an objective, the same in every process. All are means over the batch.

    Attributes:
        loss: Mean over the samples.
        accuracy: Share of samples whose nearest class (or text) is their own.
        negatives: Number of classes (or texts) that a sample was pushed away from.
        gradient: Norm of the gradient of what the objective itself learns, before clipping.
    """

    loss: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]
    negatives: Float[Tensor, ""]
    gradient: Float[Tensor, ""]


class Objective(nn.Module, ABC):
    """A loss with what it learns itself; its state is saved with the training's.

    Attributes:
        n_rows: Rows in all of the tensors in `split`.
    """

    n_rows: int = 0

    @abstractmethod
    def pull(self, vectors: Float[Tensor, "b d"], rows: Int[np.ndarray, "n"], step: int) -> Figures:
        """Compare a batch with what it should be; may be called again for the same step.

        Args:
            vectors: Of this process's share of the batch, a leaf; its `grad` is set to that of the
                mean loss over the whole batch.
            rows: Of the training set, all of the batch.
            step: Counted from 0; names the random draws.
        """

    @abstractmethod
    def move(self, factor: float) -> None:
        """One step of what it learns, against the gradient that `pull` found.

        Args:
            factor: Share of the peak learning rate.
        """

    def prototypes(self) -> Float[Tensor, "k d"] | None:
        """The learnt class centres, unit vectors on the CPU, where there are any."""
        return None

    def split(self) -> frozenset[str]:
        """Names in the state of the tensors of which each process holds its share of rows."""
        return frozenset()


def clip(gradients: list[Tensor], norm: Float[Tensor, ""], most: float) -> None:
    """Shorten gradients of the joint length `norm` to `most`, in place; 0 leaves them."""
    if most > 0:
        factor = (most / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient))
