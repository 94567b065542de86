"""Senses in the binder's number of dimensions.

Legend: n inputs, d dimensions of the binder, e of the sense.

TaxaBind's senses all give the 512 dimensions of its binder. One that gives another number (SatCLIP
256, sound-small 128) has a linear layer behind it, which is part of its module from then on.
"""

import copy
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from syntype.encoders.weights import weights_hash
from syntype.provenance import named_seed, plain
from syntype.senses.sense import Sense

_SOURCE = "projected"


class Projected(nn.Module):
    """A sense's module with a linear layer without bias behind it.

    Args:
        inner: Inputs to vectors of e dimensions.
        inner_dim: e.
        dim: d.
    """

    def __init__(self, inner: nn.Module, inner_dim: int, dim: int) -> None:
        super().__init__()
        self.inner = inner
        self.projection = nn.Linear(inner_dim, dim, bias=False)

    def forward(self, *inputs: Any) -> Float[Tensor, "n d"]:
        """Vectors, not yet unit."""
        found: Tensor = self.projection(self.inner(*inputs).to(self.projection.weight.dtype))
        return found


def in_dimensions(sense: Sense, dim: int, seed: int) -> Sense:
    """A copy of a sense that gives `dim` dimensions; its module is a copy too.

    Args:
        sense: Any.
        dim: d.
        seed: Of the projection, where one is needed.
    """
    module = copy.deepcopy(sense.module)
    if sense.dim == dim:
        return replace(sense, module=module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "projection", sense.modality, sense.dim, dim))
        module = Projected(module, sense.dim, dim).to(sense.device)
    described = {"source": _SOURCE, "inner": plain(sense.architecture), "dim": dim}
    return replace(
        sense,
        architecture=described,
        weights=weights_hash(module.state_dict()),
        dim=dim,
        module=module,
    )


def with_weights(sense: Sense, state: dict[str, Tensor], scale: float | None) -> Sense:
    """A copy of a sense with other weights of the same names and shapes.

    Args:
        sense: Any, already in its dimensions.
        state: The weights.
        scale: What its cosines with pictures are multiplied by.
    """
    module = copy.deepcopy(sense.module)
    module.load_state_dict(state, strict=True)
    return replace(sense, weights=weights_hash(state), module=module.eval(), logit_scale=scale)
