"""The side of a model that reads words, as training and as evaluation see it.

Legend: t texts, c tokens of a text, d dimensions.

A `TextTower` can be trained and saved; `Texts` turns words into unit vectors with one, and says
exactly with which.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from syntype.encoders.encoder import unit
from syntype.encoders.weights import weights_hash
from syntype.errors import EncoderError
from syntype.provenance import content_hash, plain

_TEXTS_AT_ONCE = 256
# Tells tokenizers apart: case, accents, digits, and more words than any context holds.
_PROBE = "A photo of Anas  crecca Linnæus, 1758 (Küken). " * 20


@dataclass(frozen=True)
class TextTower:
    """What reads words.

    Attributes:
        module: Tokens (t, c) to vectors (t, d), not yet unit.
        tokenize: Texts to tokens, on the CPU.
        architecture: What builds it again, without weights, as plain JSON types.
        identity: What of that determines its vectors: not where a tokenizer lies.
        logit_scale: What the model multiplies cosines by, as it was learned; None if it was not.
        logit_bias: What sigmoid models (SigLIP) add; None for others.
    """

    module: nn.Module
    tokenize: Callable[[Sequence[str]], Int[Tensor, "t c"]]
    architecture: Mapping[str, Any]
    identity: Mapping[str, Any]
    logit_scale: float | None = None
    logit_bias: float | None = None


class Texts:
    """Texts to unit vectors, by a tower that is read when it is first asked for.

    Args:
        name: The encoder it belongs to.
        read: Reads it.
        device: Where it computes.
    """

    def __init__(self, name: str, read: Callable[[], TextTower], device: torch.device) -> None:
        self.name, self.read, self.device = name, read, device
        self._tower: TextTower | None = None

    @property
    def tower(self) -> TextTower:
        """The text tower, in evaluation mode on its device."""
        if self._tower is None:
            self._tower = self.read()
            self._tower.module.float().eval().to(self.device)
        return self._tower

    def identity(self) -> dict[str, Any]:
        """What determines the vectors of texts: architecture, weights, and what makes tokens."""
        return {
            **plain(self.tower.identity),
            "weights": weights_hash(self.tower.module.state_dict()),
            "tokens": content_hash(self.tower.tokenize([_PROBE])[0].tolist()),
        }

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "t d"]:
        """Unit vectors of `texts`, on the CPU."""
        vectors = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            tokens = self.tower.tokenize(texts[start : start + _TEXTS_AT_ONCE]).to(self.device)
            found = unit(self.tower.module(tokens), f"The text tower of {self.name}")
            vectors.append(found.cpu())
        return torch.cat(vectors)


def empty_text_tower(architecture: Mapping[str, Any]) -> TextTower:
    """The text tower of an architecture, to be filled.

    Raises:
        EncoderError: There is no such architecture here.
    """
    from syntype.encoders import from_imagebind, from_open_clip, untrained_text

    makers = {
        "open_clip": from_open_clip.empty_text,
        "hashed words": untrained_text.empty_text,
        "imagebind": from_imagebind.empty_text,
    }
    if architecture.get("source") not in makers:
        raise EncoderError(
            f"There is no text tower of the kind {architecture.get('source')!r} here: the encoder "
            "was saved by another version of syntype."
        )
    return makers[architecture["source"]](architecture)
