"""Adam over the rows of a matrix, where a row without a gradient rests.

Legend: k rows, d dimensions, m rows with a gradient.

Dense Adam (Kingma and Ba 2015) goes on moving a class that took no part in a step, since its
momentum is not spent yet, and lets its moments fade meanwhile. With most classes left out of most
steps that is no longer the gradient of anything. Here each row has its own count of steps: it, its
moments and its bias correction change only in the steps that it takes part in. With a gradient for
every row in every step this is Adam.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class RowAdam(nn.Module):
    """The optimiser of one matrix; a module, so that its state is saved like any other.

    Args:
        weight: The matrix; changed in place by `step`.
    """

    mean: Tensor
    square: Tensor
    steps: Tensor

    def __init__(self, weight: Float[Tensor, "k d"]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros_like(weight))
        self.register_buffer("square", torch.zeros_like(weight))
        self.register_buffer("steps", torch.zeros_like(weight[:, :1]))

    @torch.no_grad()
    def step(
        self,
        weight: Float[Tensor, "k d"],
        gradient: Float[Tensor, "m d"],
        lr: float,
        rows: Int[Tensor, "m"] | None = None,
    ) -> None:
        """Move `rows`, or all rows, of the matrix against the gradient.

        Args:
            weight: The matrix.
            gradient: Of the rows that move.
            lr: Learning rate.
            rows: Which they are, each once; None stands for all.
        """
        mean, square, steps = self.mean, self.square, self.steps
        if rows is not None:
            mean, square, steps = mean[rows], square[rows], steps[rows]
        steps += 1
        mean.lerp_(gradient, 1 - _BETAS[0])
        square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        size = (square / (1 - _BETAS[1] ** steps)).sqrt_().add_(_EPSILON)
        change = (mean / size).mul_(-lr / (1 - _BETAS[0] ** steps))
        if rows is None:
            weight += change
            return
        self.mean[rows], self.square[rows], self.steps[rows] = mean, square, steps
        weight.index_add_(0, rows, change)
