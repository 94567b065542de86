"""Pictures against words: CLIP's softmax, SigLIP's sigmoid, and what pictures of one species are.

Legend: n pairs of a batch, r of them looked at, d dimensions, m learnt numbers (1 or 2); S the
n x n matrix of scaled cosines.

A batch of a few hundred species holds many pictures of the same one, and the words of one are as
right for the other. As published every other pair is negative all the same; here they may be left
out, or be positives too: the target is then spread evenly over the texts of the species (Yang et
al. 2022, eq. 1 and 2; Khosla et al. 2020).

Rows are looked at in blocks, whose matrices are computed again on the way back, so that a batch of
32,768 needs no 4 GB matrix several times over. `rows` asks for a share of the loss: the shares of
several processes sum to the whole, and so do their gradients.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from syntype.encoders.adapter import unit_rows
from syntype.training.negatives import CELLS

Same = Literal["positives", "ignored", "negatives"]

_MOST_SCALE = 100.0  # Radford et al. 2021, section 2.5
_CLIP_SCALE = 1 / 0.07  # likewise, at the start of a training from scratch
_SIGLIP_SCALE, _SIGLIP_BIAS = 10.0, -10.0  # Zhai et al. 2023, section 3.1


def first_temperature(
    form: Literal["clip", "siglip"], scale: float | None = None, bias: float | None = None
) -> Float[Tensor, "m 1"]:
    """Where the temperature starts: the logarithm of the scale, and for SigLIP the bias.

    Args:
        form: Which loss.
        scale: What the model brings; None takes the published first value.
        bias: Likewise.
    """
    if form == "clip":
        return torch.tensor([[scale or _CLIP_SCALE]]).log()
    first = torch.tensor([[scale or _SIGLIP_SCALE]]).log()
    return torch.cat([first, torch.tensor([[_SIGLIP_BIAS if bias is None else bias]])])


def scale_of(temperature: Float[Tensor, "m 1"]) -> Float[Tensor, ""]:
    """What cosines are multiplied by: at most 100."""
    return temperature[0, 0].exp().clamp(max=_MOST_SCALE)


def clip_loss(
    images: Float[Tensor, "n d"],
    texts: Float[Tensor, "n d"],
    scale: Float[Tensor, ""],
    species: Int[Tensor, "n"],
    same: Same = "negatives",
    rows: slice | None = None,
    cells: int = CELLS,
) -> Float[Tensor, ""]:
    """Mean of the two cross entropies, pictures to texts and texts to pictures.

    Radford et al. 2021, figure 3: with S = scale * cosines,
    (CE(S, diagonal) + CE(S^T, diagonal)) / 2.

    Args:
        images: Vectors of any length.
        texts: Vectors of any length; text i belongs to picture i.
        scale: By which cosines are multiplied.
        species: Of each pair.
        same: What pairs of one species are to each other.
        rows: The share of the pairs that is summed up; None stands for all.
        cells: Cosines held at a time.
    """
    images, texts = unit_rows(images), unit_rows(texts)
    there = partial(_softmax_rows, species=species, same=same)
    total = by_blocks(there, images, texts, scale, rows, cells)
    total = total + by_blocks(there, texts, images, scale, rows, cells)
    return total / (2 * len(images))


def _softmax_rows(
    own: Float[Tensor, "r d"],
    others: Float[Tensor, "n d"],
    scale: Float[Tensor, ""],
    places: Int[Tensor, "r"],
    *,
    species: Int[Tensor, "n"],
    same: Same,
) -> Float[Tensor, ""]:
    """Sum of the cross entropies of some rows."""
    logits = scale * (own @ others.T)
    alike = species[places][:, None] == species
    if same == "positives":
        log_share = functional.log_softmax(logits, dim=1)
        return -(log_share.masked_fill(~alike, 0).sum(1) / alike.sum(1)).sum()
    if same == "ignored":
        alike[torch.arange(len(places)), places] = False
        logits = logits.masked_fill(alike, -torch.inf)
    return functional.cross_entropy(logits, places, reduction="sum")


def siglip_loss(
    images: Float[Tensor, "n d"],
    texts: Float[Tensor, "n d"],
    scale: Float[Tensor, ""],
    bias: Float[Tensor, ""],
    species: Int[Tensor, "n"],
    same: Same = "negatives",
    rows: slice | None = None,
    cells: int = CELLS,
) -> Float[Tensor, ""]:
    """Sum over all pairs of -log sigmoid(z (scale * cosine + bias)), divided by n.

    Zhai et al. 2023, eq. 1; z is 1 for pairs that belong together, else -1.

    Args:
        images: Vectors of any length.
        texts: Vectors of any length; text i belongs to picture i.
        scale: By which cosines are multiplied.
        bias: What is added.
        species: Of each pair.
        same: What pairs of one species are to each other.
        rows: The share of the pictures that is summed up; None stands for all.
        cells: Cosines held at a time.
    """
    images, texts = unit_rows(images), unit_rows(texts)
    there = partial(_sigmoid_rows, bias=bias, species=species, same=same)
    return by_blocks(there, images, texts, scale, rows, cells) / len(images)


def _sigmoid_rows(
    own: Float[Tensor, "r d"],
    others: Float[Tensor, "n d"],
    scale: Float[Tensor, ""],
    places: Int[Tensor, "r"],
    *,
    bias: Float[Tensor, ""],
    species: Int[Tensor, "n"],
    same: Same,
) -> Float[Tensor, ""]:
    """Sum of the losses of some rows."""
    logits = scale * (own @ others.T) + bias
    paired = places[:, None] == torch.arange(len(others), device=places.device)
    alike = species[places][:, None] == species
    positive = alike if same == "positives" else paired
    losses = -functional.logsigmoid(torch.where(positive, logits, -logits))
    if same == "ignored":
        losses = losses.masked_fill(alike & ~paired, 0)
    return losses.sum()


def by_blocks(
    there: Callable[..., Float[Tensor, ""]],
    own: Float[Tensor, "n d"],
    others: Float[Tensor, "_ d"],
    scale: Float[Tensor, ""],
    rows: slice | None,
    cells: int,
) -> Float[Tensor, ""]:
    """The sum of `there` over blocks of rows; several of them are computed again going back.

    Args:
        there: Given rows of `own`, `others`, `scale` and the places of the rows; gives their sum.
        own: Vectors whose rows are cut into blocks.
        others: Vectors that each row is compared with.
        scale: By which cosines are multiplied.
        rows: The share of the rows that is summed up; None stands for all.
        cells: Cosines held at a time.
    """
    places = torch.arange(len(own), device=own.device)[rows or slice(None)]
    blocks = places.split(max(1, cells // len(others)))
    if len(blocks) == 1:
        return there(own[places], others, scale, places)
    parts = [
        checkpoint(there, own[block], others, scale, block, use_reentrant=False) for block in blocks
    ]
    return torch.stack(parts).sum()


@torch.no_grad()
def nearest_is_own(
    images: Float[Tensor, "r d"],
    texts: Float[Tensor, "n d"],
    places: Int[Tensor, "r"],
    species: Int[Tensor, "n"],
) -> Bool[Tensor, "r"]:
    """Whether the nearest text of each picture is one of its own species."""
    found = (unit_rows(images) @ unit_rows(texts).T).argmax(1)
    return species[found] == species[places]
