"""Random parts of a step: which classes enter the softmax (r1), which coordinates the cosine (r2).

Legend: n samples, l labels a sample, k classes, m classes drawn, d dimensions, f coordinates drawn.

As in UNICOM (An et al. 2023) and PartialFC (An et al. 2022), with two differences:

- `class_sampling="sample"` draws the negatives of every sample by itself. With the published draw
  the classes of a batch are all kept, so r1 does nothing until k exceeds the batch many times
  over (at k = 1000 and a batch of 512, about 400 classes are kept whatever r1 says).
- The coordinates are one draw a step, for all samples and all classes. The released code draws
  them on every GPU anew while the classes are split over the GPUs, so that one softmax mixes
  different subspaces.

Every draw has its own generator, named by seed, draw and step, so a training that goes on from a
checkpoint draws what it would have drawn.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from syntype.configs import LossConfig
from syntype.provenance import named_seed
from syntype.training.negatives import CELLS


@dataclass(frozen=True)
class Draw:
    """The random parts of one step; None stands for all.

    Attributes:
        classes: Classes in the softmax of the whole batch, ascending.
        kept: Per sample, the classes in its softmax; its positives are always among them.
        features: Coordinates in the cosine, ascending.
    """

    classes: Int[Tensor, "m"] | None = None
    kept: Bool[Tensor, "n k"] | None = None
    features: Int[Tensor, "f"] | None = None

    def within(self, first: int, stop: int) -> "Draw":
        """The same draw for the classes from `first` to `stop` alone, counted from `first`."""
        classes = kept = None
        if self.classes is not None:
            chosen = (self.classes >= first) & (self.classes < stop)
            classes = self.classes[chosen] - first
        if self.kept is not None:
            kept = self.kept[:, first:stop]
        return Draw(classes, kept, self.features)


def generator(seed: int, *names: str | int) -> torch.Generator:
    """The generator of the draw called `names`; on the CPU, so every device draws the same."""
    return torch.Generator().manual_seed(named_seed(seed, *names))


def budget(share: float, total: int) -> int:
    """`share` of `total`, rounded up, at least 1; 10 % of 30 is 3, whatever floating point says."""
    return max(1, math.ceil(round(share * total, 9)))


def batch_classes(
    labels: Int[Tensor, "n l"], n_classes: int, share: float, source: torch.Generator
) -> Int[Tensor, "m"]:
    """The classes of the batch and random others, `share` of all classes together.

    If the batch alone has more classes than that, its classes and no others.

    Args:
        labels: Classes of each sample; -1 means none.
        n_classes: k.
        share: r1.
        source: Where the randomness comes from.
    """
    positives = torch.unique(labels[labels >= 0])
    lots = torch.rand(n_classes, generator=source)
    lots[positives] = 2.0  # above every lot, so the positives come first
    n_drawn = max(len(positives), budget(share, n_classes))
    return lots.topk(n_drawn).indices.sort().values


def sample_classes(
    labels: Int[Tensor, "n l"], n_classes: int, share: float, source: torch.Generator
) -> Bool[Tensor, "n k"]:
    """For each sample its own classes, and each other class with one probability.

    The probability is such that a sample whose labels are all given keeps `share` of the classes
    in expectation.

    Args:
        labels: Classes of each sample; -1 means none.
        n_classes: k.
        share: r1.
        source: Where the randomness comes from.
    """
    n_others = n_classes - labels.shape[1]
    chance = (share * n_classes - labels.shape[1]) / n_others if n_others > 0 else 0.0
    kept = torch.empty(len(labels), n_classes, dtype=torch.bool)
    # A few samples at a time: the lots of all take four times the memory of what is kept of them.
    for rows in kept.split(max(1, CELLS // n_classes)):
        torch.lt(torch.rand(rows.shape, generator=source), chance, out=rows)
    # A missing label marks the sample's first class once more, which changes nothing.
    return kept.scatter(1, torch.where(labels >= 0, labels, labels[:, :1]), True)


def draw(
    labels: Int[Tensor, "n l"], n_classes: int, dim: int, config: LossConfig, seed: int, step: int
) -> Draw:
    """The random parts of step number `step`.

    Args:
        labels: The positive classes of each sample, on the CPU; -1 means none.
        n_classes: k.
        dim: d.
        config: Shares r1 and r2, and how r1 draws.
        seed: Of the training.
        step: Counted from 0.
    """
    classes = kept = features = None
    if config.class_fraction < 1:
        source = generator(seed, "class sample", step)
        if config.class_sampling == "batch":
            classes = batch_classes(labels, n_classes, config.class_fraction, source)
        else:
            kept = sample_classes(labels, n_classes, config.class_fraction, source)
    if config.feature_fraction < 1:
        source = generator(seed, "feature sample", step)
        order = torch.randperm(dim, generator=source)
        features = order[: budget(config.feature_fraction, dim)].sort().values
    return Draw(classes, kept, features)
