"""The encoder: pictures in, unit vectors out, and an identity that says exactly which encoder.

Legend: n pictures, h x w pixels, d dimensions of a vector, t texts.

An `Encoder` is what a spec string such as `open_clip:ViT-H-14/laion2b_s32b_b79k` names once its
weights are loaded. It wraps a torch module and the preprocessing that belongs to it. Sources
(`from_open_clip`, `from_timm`, ...) are functions that return one; there are no subclasses to
learn. Two encoders with equal `identity` give equal vectors for equal pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from syntype.data.preprocess import Preprocess
from syntype.errors import EncoderError, VectorError
from syntype.provenance import content_hash, plain

if TYPE_CHECKING:
    from syntype.encoders.text_tower import TextTower

EncodeTexts = Callable[[Sequence[str]], Float[Tensor, "t d"]]

TASKS_WITHOUT_TEXTS = (
    "Use --task retrieval, --task knn or --task few-shot, which need pictures only"
)
"""What `require_text` advises where text classification was asked for."""


def unit(vectors: Float[Tensor, "n d"], origin: str) -> Float[Tensor, "n d"]:
    """`vectors` at length 1, float32.

    Raises:
        VectorError: A vector is NaN, infinite or zero; the message names `origin` and the row.
    """
    vectors = vectors.float()
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    broken = (~torch.isfinite(lengths) | (lengths == 0)).flatten().nonzero().flatten()
    if len(broken) > 0:
        raise VectorError(
            f"{origin} gave {len(broken)} vectors that are zero, NaN or infinite, the first in "
            f"row {int(broken[0])} of its batch. Check the weights; in half precision, try float32."
        )
    return vectors / lengths


@dataclass(frozen=True)
class Encoder:
    """A picture encoder.

    Attributes:
        name: The spec string that loads it, in its canonical form.
        architecture: What the weights are poured into, as plain JSON types.
        weights: SHA-256 of the weights (of their sorted names, shapes and bytes), or a word for
            an encoder without any (`none`).
        preprocess: Geometry and normalisation of its input.
        dim: d, the length of its vectors.
        module: Normalised float pictures (n, 3, h, w) to vectors (n, d), not yet unit; this is
            what fine-tuning trains.
        device: Where `module` lies.
        encode_texts: Texts to unit vectors in the same space, where the model has a text tower.
        logit_scale: What the model multiplies the cosine of a picture and a text by before a
            softmax over texts (the exponential of the parameter it learned); None without a text
            tower. The bias that sigmoid models (SigLIP) add as well is the same for every text,
            so a softmax over texts does not see it.
        text_identity: What determines the vectors of texts, as plain JSON types; a call, since it
            may read the text tower. None without one.
        text_tower: Reads a text tower of its own, to be trained beside the pictures' one; None
            where there is none.
    """

    name: str
    architecture: Mapping[str, Any]
    weights: str
    preprocess: Preprocess
    dim: int
    module: nn.Module
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    encode_texts: EncodeTexts | None = None
    logit_scale: float | None = None
    text_identity: Callable[[], dict[str, Any]] | None = None
    text_tower: "Callable[[], TextTower] | None" = None

    @property
    def identity(self) -> dict[str, Any]:
        """What determines its vectors: architecture, weights, preprocessing. Plain JSON types."""
        return {
            "architecture": plain(self.architecture),
            "weights": self.weights,
            "preprocess": plain(self.preprocess),
        }

    @property
    def key(self) -> str:
        """The hash of `identity`."""
        return content_hash(self.identity)

    def normalise(self, images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """8-bit pictures as the module's input, on its device."""
        mean = torch.tensor(self.preprocess.mean, device=self.device).view(1, 3, 1, 1)
        std = torch.tensor(self.preprocess.std, device=self.device).view(1, 3, 1, 1)
        return (images.to(self.device, non_blocking=True).float() / 255 - mean) / std

    @torch.inference_mode()
    def encode(self, images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Unit vectors of pictures that `media` prepared by `preprocess`; on the CPU, float32.

        Raises:
            VectorError: The module gave NaN, infinity or zero.
        """
        self.module.eval()
        return unit(self.module(self.normalise(images)), self.name).cpu()


def require_text(encoder: Encoder, instead: str = TASKS_WITHOUT_TEXTS) -> EncodeTexts:
    """The text tower of `encoder`.

    Args:
        encoder: Any encoder.
        instead: What works without texts, as the beginning of a sentence.

    Raises:
        EncoderError: It has none; the message says `instead`.
    """
    if encoder.encode_texts is None:
        raise EncoderError(
            f"{encoder.name} has no text tower, so it cannot compare pictures with words. "
            f"{instead}; or take an encoder that reads text, for example "
            "open_clip:hf-hub:imageomics/bioclip-2."
        )
    return encoder.encode_texts
