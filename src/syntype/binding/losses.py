"""How pictures and another sense are pulled together: every form that was published, by name.

    hard-negative   TaxaBind's for places and climates: random background, same species left out
    supcon          TaxaBind's for satellite tiles: sums over all pairs of a species
    supcon-mean     the same, each sample's sum divided by its number of positives (Khosla 2020)
    symmetric       TaxaBind's for sounds: CLIP's, every other pair is negative
    siglip          Zhai et al. 2023, with all pairs of a species as positives

Legend: n pairs of a batch, k random background vectors, r rows looked at, d dimensions, m learnt
numbers of a temperature (1, or 2 with a bias); S the matrix of scaled cosines.

As in `training.contrast`, rows are looked at in blocks and `rows` asks for a share of the loss:
the shares of several processes sum to the whole, and so do their gradients.
"""

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from syntype.configs.bind import Loss
from syntype.encoders.adapter import unit_rows
from syntype.errors import UsageError
from syntype.training.contrast import (
    by_blocks,
    clip_loss,
    first_temperature,
    scale_of,
    siglip_loss,
)
from syntype.training.negatives import CELLS

PUBLISHED: Mapping[str, Loss] = {
    "place": "hard-negative",
    "climate": "hard-negative",
    "satellite": "supcon",
    "sound": "symmetric",
}
"""TaxaBind's loss of each sense."""

NOBODY = -1
"""The species of a background vector that is nobody's."""

_THERE, _BACK = 0.4, 0.6  # weights of picture to sense and of sense to picture
_LEAST = 1e-6  # inside the logarithm


def wants_background(loss: Loss) -> bool:
    """Whether a loss looks at random background vectors."""
    return loss == "hard-negative"


def start_of(loss: Loss, scale: float | None = None) -> Float[Tensor, "m 1"]:
    """Where the temperature of a loss starts; None takes the published first value."""
    return first_temperature("siglip" if loss == "siglip" else "clip", scale)


def binding_loss(
    loss: Loss,
    images: Float[Tensor, "n d"],
    others: Float[Tensor, "n d"],
    temperature: Float[Tensor, "m 1"],
    species: Int[Tensor, "n"],
    *,
    background: Float[Tensor, "k d"] | None = None,
    background_species: Int[Tensor, "k"] | None = None,
    rows: slice | None = None,
    cells: int = CELLS,
) -> Float[Tensor, ""]:
    """The loss called `loss`.

    Args:
        loss: Its name.
        images: Vectors of any length.
        others: Vectors of the other sense, of any length; row i belongs to picture i.
        temperature: The logarithm of the scale, and for siglip the bias.
        species: Of each pair.
        background: Vectors of random places (hard-negative only).
        background_species: Theirs; `NOBODY`, or None for all, where there is none.
        rows: The share of the pairs that is summed up; None stands for all.
        cells: Cosines held at a time.

    Raises:
        UsageError: hard-negative is not given any background.
    """
    scale = scale_of(temperature)
    if loss == "symmetric":
        return clip_loss(images, others, scale, species, "negatives", rows, cells)
    if loss == "siglip":
        bias = temperature[1, 0]
        return siglip_loss(images, others, scale, bias, species, "positives", rows, cells)
    if loss == "supcon-mean":
        return clip_loss(images, others, scale, species, "positives", rows, cells)
    if loss == "supcon":
        return supcon_loss(images, others, scale, species, rows=rows, cells=cells)
    if background is None:
        raise UsageError(
            "The loss hard-negative wants random background vectors, and this sense has none. "
            "Take it for place or climate, or choose symmetric, supcon or siglip."
        )
    return hard_negative_loss(
        images,
        others,
        background,
        scale,
        species,
        background_species=background_species,
        rows=rows,
        cells=cells,
    )


def hard_negative_loss(
    images: Float[Tensor, "n d"],
    others: Float[Tensor, "n d"],
    background: Float[Tensor, "k d"],
    scale: Float[Tensor, ""],
    species: Int[Tensor, "n"],
    *,
    background_species: Int[Tensor, "k"] | None = None,
    rows: slice | None = None,
    cells: int = CELLS,
) -> Float[Tensor, ""]:
    """0.4 times picture to sense (pairs and background) and 0.6 times sense to picture (pairs).

    Each is the mean of -log(softmax_ii + 1e-6). A pair of another observation of the same species
    leaves every sum; background vectors stay, unless their species is known and the same.

    Args:
        images: Vectors of any length.
        others: Vectors of any length.
        background: Vectors of any length.
        scale: By which cosines are multiplied.
        species: Of each pair.
        background_species: Of the background, where it is that of observations.
        rows: The share of the pairs that is summed up; None stands for all.
        cells: Cosines held at a time.
    """
    if background_species is None:
        background_species = species.new_full((len(background),), NOBODY)
    images, others, background = unit_rows(images), unit_rows(others), unit_rows(background)
    everything = torch.cat([others, background])
    whose = torch.cat([species, background_species])
    there = partial(_masked_rows, mine=species, whose=whose)
    back = partial(_masked_rows, mine=species, whose=species)
    total = _THERE * by_blocks(there, images, everything, scale, rows, cells)
    total = total + _BACK * by_blocks(back, others, images, scale, rows, cells)
    return total / len(images)


def _masked_rows(
    own: Float[Tensor, "r d"],
    others: Float[Tensor, "_ d"],
    scale: Float[Tensor, ""],
    places: Int[Tensor, "r"],
    *,
    mine: Int[Tensor, "n"],
    whose: Int[Tensor, "_"],
) -> Float[Tensor, ""]:
    """Sum of -log(softmax of the own + 1e-6), others of the same species left out."""
    alike = mine[places][:, None] == whose
    alike[torch.arange(len(places)), places] = False
    logits = (scale * (own @ others.T)).masked_fill(alike, -torch.inf)
    share = functional.softmax(logits, dim=1).gather(1, places[:, None])
    return -(share + _LEAST).log().sum()


def supcon_loss(
    images: Float[Tensor, "n d"],
    others: Float[Tensor, "n d"],
    scale: Float[Tensor, ""],
    species: Int[Tensor, "n"],
    *,
    rows: slice | None = None,
    cells: int = CELLS,
) -> Float[Tensor, ""]:
    """Half of each direction's mean over samples of the sum over positives of -log softmax.

    Args:
        images: Vectors of any length.
        others: Vectors of any length.
        scale: By which cosines are multiplied.
        species: Of each pair; all pairs of one are positives.
        rows: The share of the pairs that is summed up; None stands for all.
        cells: Cosines held at a time.
    """
    images, others = unit_rows(images), unit_rows(others)
    there = partial(_positive_rows, species=species)
    total = by_blocks(there, images, others, scale, rows, cells)
    total = total + by_blocks(there, others, images, scale, rows, cells)
    return total / (2 * len(images))


def _positive_rows(
    own: Float[Tensor, "r d"],
    others: Float[Tensor, "n d"],
    scale: Float[Tensor, ""],
    places: Int[Tensor, "r"],
    *,
    species: Int[Tensor, "n"],
) -> Float[Tensor, ""]:
    log_share = functional.log_softmax(scale * (own @ others.T), dim=1)
    alike = species[places][:, None] == species
    return -log_share.masked_fill(~alike, 0).sum()
