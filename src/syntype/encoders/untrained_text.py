"""A small text tower with random weights: the other half of contrastive training from scratch.

Legend: t texts, c tokens of a text, w width, d dimensions.

Words are told apart by a hash, so there is no vocabulary to learn or to fetch: names of species
are words that no vocabulary of general text holds anyway. Before it is trained its vectors mean
nothing, so an untrained encoder offers it for training only.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from syntype.encoders.text_tower import TextTower
from syntype.provenance import bytes_hash, named_seed

_BUCKETS, _CONTEXT, _WIDTH, _HEADS, _LAYERS = 8192, 32, 128, 4, 2
_PAD = 0


def tokenize(texts: Sequence[str]) -> Int[Tensor, "t c"]:
    """Each word, in lower case, as its bucket from 1 on; 0 fills up; further words are left out."""
    found = torch.full((len(texts), _CONTEXT), _PAD, dtype=torch.int64)
    for row, text in enumerate(texts):
        for place, word in enumerate(re.findall(r"\w+", text.lower())[:_CONTEXT]):
            found[row, place] = 1 + int(bytes_hash(word.encode())[:12], 16) % (_BUCKETS - 1)
    return found


class HashedWords(nn.Module):
    """A transformer over hashed words, averaged over the words, projected.

    Args:
        dim: d.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.words = nn.Embedding(_BUCKETS, _WIDTH)
        self.places = nn.Parameter(torch.zeros(_CONTEXT, _WIDTH))
        layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, 4 * _WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, dim, bias=False)

    def forward(self, tokens: Int[Tensor, "t c"]) -> Float[Tensor, "t d"]:
        """Vectors of texts, of any length; a text without words has that of no words."""
        empty = tokens == _PAD
        empty = empty & ~empty.all(1, keepdim=True)  # attention wants something to look at
        found = self.layers(self.words(tokens) + self.places, src_key_padding_mask=empty)
        weights = (~empty).to(found)[..., None]
        mean = (found * weights).sum(1) / weights.sum(1)
        vectors: Tensor = self.head(self.norm(mean))
        return vectors


def empty_text(architecture: Mapping[str, Any]) -> TextTower:
    """The tower of an architecture, freshly initialised."""
    return TextTower(HashedWords(architecture["dim"]), tokenize, architecture, architecture)


def untrained_text(dim: int, seed: int) -> TextTower:
    """The tower with the weights that `seed` draws.

    Args:
        dim: d, that of the image tower.
        seed: Of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "untrained text tower"))
        return empty_text({"source": "hashed words", "dim": dim})
