"""A residual adapter: unit vectors in, unit vectors out, untouched until it is trained.

Legend: n vectors, d dimensions, h hidden units.

    y = x + W2 gelu(W1 x + b1) + b2,    then y / |y|

W2 and b2 start at zero, so the untrained adapter gives back what it got (Houlsby et al. 2019 start
near the identity; CLIP-Adapter, Gao et al. 2021, mixes by a fixed ratio instead). Input and output
have the same dimensions, so adapted vectors can stand wherever the encoder's own could.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from syntype.encoders.encoder import unit

_ROWS = 8192  # vectors at once in `transform`
_LEAST_SQUARE = 1e-24  # a vector shorter than 1e-12 counts as zero


def unit_rows(vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """`vectors` at length 1, zero where they are zero.

    `functional.normalize` with half the passes over memory in its backward: beside the small
    matrices of an adapter those passes are felt.
    """
    return vectors * vectors.square().sum(1, keepdim=True).clamp(min=_LEAST_SQUARE).rsqrt()


class ResidualAdapter(nn.Module):
    """The adapter.

    Args:
        dim: d.
        hidden: h.
        source: Generator of the first weights.
    """

    def __init__(self, dim: int, hidden: int, source: torch.Generator) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, hidden, device="meta").to_empty(device="cpu")
        self.outer = nn.Linear(hidden, dim, device="meta").to_empty(device="cpu")
        with torch.no_grad():  # made without weights, so that no global generator is drawn from
            # Of a unit vector, this makes hidden units of the size 1 / sqrt(dim), like x's own.
            self.inner.weight.normal_(0, dim**-0.5, generator=source)
            self.inner.bias.zero_()
            self.outer.weight.zero_()
            self.outer.bias.zero_()

    def forward(self, vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Adapted unit vectors of unit vectors."""
        step = self.outer(functional.gelu(self.inner(vectors)))
        return unit_rows(vectors + step)

    @torch.inference_mode()
    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Adapted vectors of cached ones, as float32, without any picture.

        Raises:
            VectorError: A vector is NaN, infinite or zero.
        """
        device = self.inner.weight.device
        adapted = np.empty(vectors.shape, np.float32)
        for first in range(0, len(vectors), _ROWS):
            rows = torch.from_numpy(np.array(vectors[first : first + _ROWS], np.float32))
            given = unit(rows.to(device), "The cached vectors")
            adapted[first : first + _ROWS] = self(given).cpu().numpy()
        return adapted


class AdaptedTower(nn.Module):
    """An encoder's module with an adapter behind it.

    Args:
        base: Pictures to vectors.
        adapter: Unit vectors to unit vectors.
        name: The base encoder's, for its errors.
    """

    def __init__(self, base: nn.Module, adapter: ResidualAdapter, name: str) -> None:
        super().__init__()
        self.base, self.adapter, self.name = base, adapter, name

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Adapted unit vectors of normalised pictures."""
        return self.adapter(unit(self.base(images), self.name))
