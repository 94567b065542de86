"""Angular margins: how much closer than its own centre a sample must come.

Legend: cosines of any shape; m the margin, theta the angle between a sample and its own centre.

- CosFace (Wang et al. 2018, eq. 4): cos(theta) - m.
- ArcFace (Deng et al. 2019, eq. 3): cos(theta + m), with its true derivative
  sin(theta + m) / sin(theta) with respect to the cosine. Beyond theta = pi - m, where
  cos(theta + m) would rise again, it goes on as cos(theta) - (1 - cos m): continuous and
  monotone. The original release goes on as cos(theta) - m sin m, which jumps there.
- ArcFace as published in the code of UNICOM and of PartialFC: the same value without that guard,
  computed without gradient, so that its derivative with respect to the cosine is 1.

`docs/reference/losses.md` compares them.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# sin(theta) is held above this, so that the derivative 1 / sin(theta) stays finite when a sample
# meets its centre; 0.001 is 0.06 degrees, where float32 cosines no longer resolve the angle.
_LEAST_SINE = 1e-3


def cosface(cosines: Float[Tensor, "..."], margin: float) -> Float[Tensor, "..."]:
    """cos(theta) - m."""
    return cosines - margin


def arcface(cosines: Float[Tensor, "..."], margin: float) -> Float[Tensor, "..."]:
    """cos(theta + m) with its true gradient, monotone for every theta in [0, pi].

    Args:
        cosines: In [-1, 1].
        margin: m, radians, in [0, pi).
    """
    sines = (1 - cosines.square()).clamp(min=_LEAST_SINE**2).sqrt()
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond = cosines - (1 - math.cos(margin))
    return torch.where(cosines > -math.cos(margin), turned, beyond)


def arcface_published(cosines: Float[Tensor, "..."], margin: float) -> Float[Tensor, "..."]:
    """cos(theta + m) whose derivative with respect to the cosine is 1 (straight-through).

    Args:
        cosines: In [-1, 1].
        margin: m, radians.
    """
    value = torch.cos(torch.arccos(cosines.detach()) + margin)
    return cosines + (value - cosines).detach()


MARGINS = {"arcface": arcface, "arcface-published": arcface_published, "cosface": cosface}
