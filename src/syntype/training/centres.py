"""The class centres and the loss of one batch against them.

Legend: n samples of a batch, l labels a sample, k classes, m classes in the softmax of this batch,
d dimensions, f of them in the cosine.

The loss of UNICOM (An et al. 2023) is the softmax over scaled cosines with a margin on the
sample's own class; that of MLCD (An et al. 2024) is in `multi_label`. Cosines are computed in
float32 whatever the encoder computes in: bfloat16 resolves 0.004 below 1, which at a scale of 64
is a logit step of 0.25. Coordinates are selected before vectors and centres are normalised, as
published. Unlike the published code, nothing here knows about several GPUs: at up to some 10,000
classes the centres are small beside the encoder, and every process keeps them all.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from syntype.configs import LossConfig
from syntype.encoders.adapter import unit_rows
from syntype.training.margin import MARGINS
from syntype.training.multi_label import mlcd_loss
from syntype.training.sampling import Draw, generator

_RANDOM_SPREAD = 0.01  # standard deviation of random centres, as published


@dataclass(frozen=True)
class Outcome:
    """What one batch gives.

    Attributes:
        loss: Mean over the samples.
        negatives: Mean number of classes that each sample was pushed away from: the effective
            number of negatives, after sampling and filter.
        accuracy: Share of samples whose nearest centre, of those in their softmax, is their own.
        moved: Classes that took part; None stands for all.
    """

    loss: Float[Tensor, ""]
    negatives: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]
    moved: Bool[Tensor, "k"] | None


def cosines(
    vectors: Float[Tensor, "n d"],
    centres: Float[Tensor, "m d"],
    features: Int[Tensor, "f"] | None = None,
) -> Float[Tensor, "n m"]:
    """Cosines in [-1, 1], in float32 or better, over all coordinates or over `features`."""
    if vectors.dtype != torch.float64:
        vectors, centres = vectors.float(), centres.float()
    if features is not None:
        vectors, centres = vectors[:, features], centres[:, features]
    products = unit_rows(vectors) @ unit_rows(centres).T
    return products.clamp(-1, 1)


def positives(labels: Int[Tensor, "n l"], config: LossConfig) -> Int[Tensor, "n p"]:
    """The labels that the loss looks at: all for MLCD, the first for the softmax."""
    return labels if config.form == "mlcd" else labels[:, :1]


def discriminate(
    vectors: Float[Tensor, "n d"],
    centres: Float[Tensor, "k d"],
    labels: Int[Tensor, "n p"],
    config: LossConfig,
    drawn: Draw | None = None,
) -> Outcome:
    """The loss of a batch.

    Args:
        vectors: Of any length, on the device of `centres`.
        centres: Of any length.
        labels: What `positives` gave; -1 means none, but never in the first column.
        config: Which loss.
        drawn: The random parts of this step; None takes all classes and all coordinates.
    """
    device, n_classes, drawn = centres.device, len(centres), drawn or Draw()
    labels = labels.to(device)
    classes = None if drawn.classes is None else drawn.classes.to(device)
    features = None if drawn.features is None else drawn.features.to(device)
    with torch.autocast(device.type, enabled=False):
        if classes is not None:
            centres = centres[classes]
            labels = torch.where(labels >= 0, torch.searchsorted(classes, labels.contiguous()), -1)
        cosine = cosines(vectors, centres, features)
        own = _own(labels, len(centres))
        # Present negatives enter the loss; live ones have a gradient: as published, the filter
        # leaves a negative in the softmax at cosine 0.
        kept = None if drawn.kept is None else drawn.kept.to(device)
        present = live = ~own if kept is None else kept & ~own
        negative = cosine
        if config.filter > 0:
            live = present & (cosine.detach() <= config.filter)
            if config.filter_action == "zero":
                negative = cosine * live
            else:
                present = live
        whole = kept is None and config.filter == 0
        loss = _loss(cosine, negative, None if whole else present, own, labels, config)
        with torch.no_grad():
            rivals = cosine if whole else cosine.masked_fill(~(live | own), -math.inf)
            accuracy = own.gather(1, rivals.argmax(1, keepdim=True)).float().mean()
            negatives = live.sum(1).float().mean()
            moved = None
            if classes is not None or not whole:
                moved = _over_all((live | own).any(0), classes, n_classes)
    return Outcome(loss, negatives, accuracy, moved)


def _own(labels: Int[Tensor, "n p"], n_classes: int) -> Bool[Tensor, "n m"]:
    """Where a sample meets one of its own classes."""
    own = torch.zeros(len(labels), n_classes, dtype=torch.bool, device=labels.device)
    # A missing label marks the sample's first class once more, which changes nothing.
    return own.scatter_(1, torch.where(labels >= 0, labels, labels[:, :1]), True)


def _loss(
    cosine: Float[Tensor, "n m"],
    negative: Float[Tensor, "n m"],
    present: Bool[Tensor, "n m"] | None,
    own: Bool[Tensor, "n m"],
    labels: Int[Tensor, "n p"],
    config: LossConfig,
) -> Float[Tensor, ""]:
    """The mean loss, given which negatives are present for each sample; None stands for all."""
    margin = MARGINS[config.margin_type]
    target = margin(cosine.gather(1, labels.clamp(min=0)), config.margin) * config.scale
    pushed = negative * config.scale
    if present is not None:
        pushed = pushed.masked_fill(~present, -math.inf)
    if config.form == "softmax":
        return functional.cross_entropy(pushed.scatter(1, labels, target), labels[:, 0])
    pulled = target.masked_fill(labels < 0, math.inf)
    return mlcd_loss(pulled, pushed.masked_fill(own, -math.inf)).mean()


def _over_all(
    present: Bool[Tensor, "m"], classes: Int[Tensor, "m"] | None, n_classes: int
) -> Bool[Tensor, "k"]:
    """What holds for the drawn `classes`, over all classes."""
    if classes is None:
        return present
    return present.new_zeros(n_classes).index_put((classes,), present)


class ClassCentres(nn.Module):
    """The learnt centres: one vector a class, of any length.

    Args:
        start: First values.
    """

    def __init__(self, start: Float[Tensor, "k d"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.detach().clone().float())

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
