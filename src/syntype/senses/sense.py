"""A sense: inputs of one modality in, unit vectors out, and an identity that says exactly which.

Legend: n inputs, d dimensions of a vector.

What `encoders.encoder.Encoder` is for pictures, a `Sense` is for places, climates, sounds and
satellite tiles. A module takes tensors; `prepare` makes them of what a reader finds (coordinates,
rows of a raster, waves, tiles) and is part of the identity, since it changes every vector.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from syntype.encoders.encoder import unit
from syntype.provenance import content_hash, plain

Modality = Literal["image", "text", "place", "satellite", "sound", "climate"]
MODALITIES: tuple[Modality, ...] = ("image", "text", "place", "satellite", "sound", "climate")

# What a module takes: one tensor or several, of the same samples.
Inputs = tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Sense:
    """An encoder of one modality.

    Attributes:
        name: The spec string that loads it.
        modality: What it takes.
        architecture: What the weights are poured into, as plain JSON types.
        weights: SHA-256 of the weights, or a word for an encoder without any.
        preparation: How inputs become tensors, as plain JSON types.
        dim: d, the length of its vectors.
        module: Tensors to vectors (n, d), not yet unit; this is what binding trains.
        prepare: Inputs of the modality, as its module's documentation says, to tensors on the CPU.
        device: Where `module` lies.
        logit_scale: What cosines with pictures are multiplied by, as it was learned; None if it
            was not, or not published.
    """

    name: str
    modality: Modality
    architecture: Mapping[str, Any]
    weights: str
    preparation: Mapping[str, Any]
    dim: int
    module: nn.Module
    prepare: Callable[..., Inputs]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    logit_scale: float | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What determines its vectors. Plain JSON types."""
        return {
            "modality": self.modality,
            "architecture": plain(self.architecture),
            "weights": self.weights,
            "preparation": plain(self.preparation),
        }

    @property
    def key(self) -> str:
        """The hash of `identity`."""
        return content_hash(self.identity)

    @torch.inference_mode()
    def encode(self, *inputs: Any, **named: Any) -> Float[Tensor, "n d"]:
        """Unit vectors of inputs, on the CPU, float32; arguments are those of `prepare`.

        Raises:
            VectorError: The module gave NaN, infinity or zero.
        """
        self.module.eval()
        tensors = tuple(tensor.to(self.device) for tensor in self.prepare(*inputs, **named))
        return unit(self.module(*tensors), self.name).cpu()
