"""The class centres and the loss of one batch against them.

Legend: n samples of a batch, l labels a sample, k classes, m classes in the softmax of this batch,
d dimensions, f of them in the cosine.

The loss of UNICOM (An et al. 2023) is the softmax over scaled cosines with a margin on the
sample's own class; that of MLCD (An et al. 2024) is in `multi_label`. Cosines are computed in
float32 whatever the encoder computes in: bfloat16 resolves 0.004 below 1, which at a scale of 64
is a logit step of 0.25. Coordinates are selected before vectors and centres are normalised, as
published. `negatives` takes the classes block by block, so a million of them fit beside a batch. Of
classes that are drawn for a step only those that were drawn are given here, get a gradient and are
moved (`row_adam`). Several processes may hold a share of the classes each: every one compares all
samples of the batch with its own classes, and what they found is put together (`_together`).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from syntype.configs import LossConfig
from syntype.encoders.adapter import unit_rows
from syntype.training.margin import MARGINS
from syntype.training.multi_label import mlcd_loss
from syntype.training.negatives import Found, Rules, contest
from syntype.training.parallel import SOLO, World
from syntype.training.row_adam import RowAdam
from syntype.training.sampling import Draw, generator

_RANDOM_SPREAD = 0.01  # standard deviation of random centres, as published


@dataclass(frozen=True)
class Shard:
    """The classes that this process holds, from `first` on; `world` holds them all."""

    first: int = 0
    world: World = SOLO


WHOLE = Shard()


@dataclass(frozen=True)
class Outcome:
    """What one batch gives.

    Attributes:
        loss: Mean over the samples.
        negatives: Mean number of classes that each sample was pushed away from: the effective
            number of negatives, after sampling and filter.
        accuracy: Share of samples whose nearest centre, of those in their softmax, is their own.
        moved: Which of the given centres have a gradient; None stands for all.
    """

    loss: Float[Tensor, ""]
    negatives: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]
    moved: Bool[Tensor, "m"] | None


def positives(labels: Int[Tensor, "n l"], config: LossConfig) -> Int[Tensor, "n p"]:
    """The labels that the loss looks at: all for MLCD, the first for the softmax."""
    return labels if config.form == "mlcd" else labels[:, :1]


def discriminate(
    vectors: Float[Tensor, "n d"],
    centres: Float[Tensor, "m d"],
    labels: Int[Tensor, "n p"],
    config: LossConfig,
    drawn: Draw | None = None,
    shard: Shard = WHOLE,
) -> Outcome:
    """The loss of a batch.

    Where the classes are split, every process gives all samples; the gradient at `vectors` is then
    that of this process's classes, and the sum over the processes is the whole one.

    Args:
        vectors: Of any length, on the device of `centres`.
        centres: Of any length; those of `drawn.classes`, or of all classes of the shard.
        labels: What `positives` gave; -1 means none, but never in the first column.
        config: Which loss.
        drawn: The random parts of this step for the classes of the shard, counted from its first;
            None takes all classes and all coordinates.
        shard: Which classes this process holds.
    """
    device, drawn = centres.device, drawn or Draw()
    labels = labels.to(device)
    classes, kept, features = (
        None if part is None else part.to(device)
        for part in (drawn.classes, drawn.kept, drawn.features)
    )
    with torch.autocast(device.type, enabled=False):
        if vectors.dtype != torch.float64:
            vectors, centres = vectors.float(), centres.float()
        here = _places(labels - shard.first, classes, len(centres)).masked_fill(labels < 0, -1)
        stay = config.filter_action == "zero"
        rules = Rules(config.scale, config.filter, stay, kept, features)
        found = contest(vectors, centres, here, rules)
        if shard.world.size > 1:
            found = _together(found, shard.world)
        loss = _loss(found, labels, config)
        with torch.no_grad():
            nearest = found.own.masked_fill(labels < 0, -math.inf).max(1).values
            accuracy = (nearest >= found.rival).float().mean()
            negatives = found.live.float().mean()
            moved = None
            if kept is not None or config.filter > 0:
                moved = found.moved
    return Outcome(loss, negatives, accuracy, moved)


def _places(
    labels: Int[Tensor, "n p"], classes: Int[Tensor, "m"] | None, n_classes: int
) -> Int[Tensor, "n p"]:
    """Where each label stands among `classes` (ascending; None: 0 to `n_classes`), or -1."""
    if classes is None:
        return labels.masked_fill((labels < 0) | (labels >= n_classes), -1)
    if n_classes == 0:
        return torch.full_like(labels, -1)
    places = torch.searchsorted(classes, labels.contiguous()).clamp(max=n_classes - 1)
    return places.masked_fill(classes[places] != labels, -1)


class _Sum(torch.autograd.Function):
    """The sum over the processes, of which each goes on with the same: its gradient is theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, world: World) -> Tensor:
        return world.total(value.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


class _LogSumExp(torch.autograd.Function):
    """log of the sum over the processes of the exponentials."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, world: World) -> Tensor:
        largest = world.largest(value.clone())
        # A sample that no class pushes anywhere: -inf, not the NaN of -inf - -inf.
        base = largest.masked_fill(torch.isinf(largest), 0)
        found = world.total((value - base).exp_()).log_().add_(base)
        ctx.save_for_backward(value, found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        value, found = ctx.saved_tensors
        share = (value - found.masked_fill(torch.isinf(found), 0)).exp_()
        return gradients[0] * share, None


def _together(found: Found, world: World) -> Found:
    """What all processes found, each among its own classes."""
    return Found(
        _Sum.apply(found.own, world),
        _LogSumExp.apply(found.pushed, world),
        world.largest(found.rival.clone()),
        world.total(found.live.clone()),
        found.moved,
    )


def _loss(found: Found, labels: Int[Tensor, "n p"], config: LossConfig) -> Float[Tensor, ""]:
    """The mean loss, given the cosines to the own classes and the sum over the negatives."""
    target = MARGINS[config.margin_type](found.own, config.margin) * config.scale
    if config.form == "softmax":
        return (torch.logaddexp(target[:, 0], found.pushed) - target[:, 0]).mean()
    # The sum over the negatives stands for them as one: exp(log(sum)) is the sum.
    pulled = target.masked_fill(labels < 0, math.inf)
    return mlcd_loss(pulled, found.pushed[:, None]).mean()


class ClassCentres(nn.Module):
    """The learnt centres, one vector a class, of any length, and the optimiser that moves them.

    Args:
        start: First values.
    """

    weight: Tensor

    def __init__(self, start: Float[Tensor, "k d"]) -> None:
        super().__init__()
        self.register_buffer("weight", start.detach().clone().float())
        self.optimiser = RowAdam(self.weight)

    def taking_part(self, classes: Int[Tensor, "m"] | None) -> nn.Parameter:
        """The centres of `classes`, or of all, as a leaf: only they get a gradient."""
        chosen = self.weight if classes is None else self.weight[classes.to(self.weight.device)]
        return nn.Parameter(chosen)

    def move(
        self,
        gradient: Float[Tensor, "m d"],
        lr: float,
        classes: Int[Tensor, "m"] | None,
        moved: Bool[Tensor, "m"] | None,
    ) -> None:
        """One step of the optimiser for the classes that took part; the others rest.

        Args:
            gradient: Of `taking_part(classes)`.
            lr: Learning rate.
            classes: Which took part; None stands for all.
            moved: Which of these have a gradient; None stands for all.
        """
        rows = None if classes is None else classes.to(self.weight.device)
        if moved is not None:
            gradient = gradient[moved]
            rows = moved.nonzero().flatten() if rows is None else rows[moved]
        self.optimiser.step(self.weight, gradient, lr, rows)

    def unit(self) -> Float[Tensor, "k d"]:
        """The centres at length 1, on the CPU."""
        return unit_rows(self.weight.detach()).cpu()


def random_centres(n_classes: int, dim: int, seed: int) -> Float[Tensor, "k d"]:
    """Centres drawn from N(0, 0.01), as published."""
    return _RANDOM_SPREAD * torch.randn(n_classes, dim, generator=generator(seed, "centres"))


def class_means(
    vectors: Float[Tensor, "n d"], labels: Int[Tensor, "n l"], n_classes: int, seed: int
) -> Float[Tensor, "k d"]:
    """The normalised mean vector of the samples whose first label is each class.

    A class without samples has a random direction.
    """
    sums = torch.zeros(n_classes, vectors.shape[1]).index_add(
        0, labels[:, 0].cpu(), vectors.detach().float().cpu()
    )
    lengths = sums.norm(dim=1, keepdim=True)
    empty = lengths < 1e-6
    sums = torch.where(empty, random_centres(n_classes, vectors.shape[1], seed), sums)
    return unit_rows(sums)
