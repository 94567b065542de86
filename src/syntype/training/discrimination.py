"""Cluster discrimination: an encoder against class centres, in one process or several.

Legend: n samples, b of this process, l labels a sample, k classes, d dimensions.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.configs import TrainConfig
from syntype.errors import DataError, TrainingError
from syntype.provenance import bytes_hash, content_hash
from syntype.training.centres import ClassCentres, Outcome, Shard, discriminate, positives
from syntype.training.objective import Figures, Objective, clip
from syntype.training.parallel import SOLO, World
from syntype.training.sampling import draw

# Numbers in the class centres up to which they are copied: a step then sends their gradient, and
# else the vectors of the batch and their gradient. Where the two take the same time on one machine
# (benchmarks/split_centres.py, LOG.md).
_COPIED_MOST = 700_000


class Discrimination(Objective):
    """Margin softmax against class centres (`centres`).

    With several processes the centres are either copied, so that each compares its samples with all
    classes and the centres' gradients are summed; or split, so that each compares all samples with
    its classes (An et al. 2022) and the vectors are gathered. Both give the loss and the gradients
    of one process alone.

    Args:
        start: First class centres, on the device of the encoder.
        labels: Classes of each sample of the training set, nearest first, on the CPU.
        config: Which loss, and how the centres learn.
        world: Who takes part.
    """

    def __init__(
        self,
        start: Float[Tensor, "k d"],
        labels: Int[Tensor, "n l"],
        config: TrainConfig,
        world: World = SOLO,
    ) -> None:
        super().__init__()
        self.labels, self.config, self.world = labels, config, world
        self.n_classes = self.n_rows = len(start)
        share = slice(0, self.n_classes)
        self.is_split = world.size > 1 and _is_split(config, start)
        if self.is_split:
            share = world.share(self.n_classes)
        self.share = share
        self.centres = ClassCentres(start[share])

    def pull(self, vectors: Float[Tensor, "b d"], rows: Int[np.ndarray, "n"], step: int) -> Figures:
        """See `Objective.pull`."""
        config, mine = self.config, self.world.share(len(rows))
        labels = positives(self.labels[torch.from_numpy(rows)], config)
        drawn = draw(labels, self.n_classes, vectors.shape[1], config, config.seed, step)
        drawn = drawn.within(self.share.start, self.share.stop)
        centres = self.centres.taking_part(drawn.classes)
        with torch.enable_grad():
            if self.is_split:
                everyone = self.world.gather(vectors, len(rows)).requires_grad_()
                shard = Shard(self.share.start, self.world)
                outcome = discriminate(everyone, centres, labels, config, drawn, shard)
                torch.autograd.backward(outcome.loss)
                assert everyone.grad is not None, "the loss reaches the vectors"
                vectors.grad = self.world.total(everyone.grad)[mine].clone()
            else:
                # Each sample's own draw, of which this process needs its samples'.
                kept = None if drawn.kept is None else drawn.kept[mine]
                own = type(drawn)(drawn.classes, kept, drawn.features)
                outcome = discriminate(vectors, centres, labels[mine], config, own)
                outcome = self._averaged(outcome, len(labels[mine]) / len(rows))
                torch.autograd.backward(outcome.loss)
        assert centres.grad is not None, "the loss reaches the centres"
        self._gradient, self._classes, self._moved = centres.grad, drawn.classes, outcome.moved
        return self._figures(outcome)

    def _averaged(self, outcome: Outcome, weight: float) -> Outcome:
        """A share of the batch, as its part of the mean."""
        return Outcome(
            outcome.loss * weight,
            outcome.negatives * weight,
            outcome.accuracy * weight,
            outcome.moved,
        )

    def _figures(self, outcome: Outcome) -> Figures:
        """Put the processes' parts together: figures, and the centres' gradient if it is copied."""
        found = torch.stack([outcome.loss.detach().float(), outcome.accuracy, outcome.negatives])
        squares = self._gradient.square().sum()
        if self.is_split:
            self.world.total(squares)
        elif self.world.size > 1:
            self.world.total(found)
            squares = self.world.total(self._gradient).square().sum()
            if self._moved is not None:
                self._moved = self.world.largest(self._moved.int()).bool()
        norm = squares.sqrt()
        clip([self._gradient], norm, self.config.clip)
        return Figures(found[0], found[1], found[2], norm.float())

    def move(self, factor: float) -> None:
        """See `Objective.move`."""
        lr = self.config.lr * self.config.centre_lr_factor * factor
        self.centres.move(self._gradient, lr, self._classes, self._moved)

    def prototypes(self) -> Float[Tensor, "k d"]:
        """See `Objective.prototypes`."""
        own = self.centres.unit()
        if not self.is_split:
            return own
        return self.world.gather(own, self.n_classes)

    def split(self) -> frozenset[str]:
        """See `Objective.split`."""
        return frozenset(self.state_dict()) if self.is_split else frozenset()


def _is_split(config: TrainConfig, start: Float[Tensor, "k d"]) -> bool:
    if config.centres == "auto":
        return start.numel() > _COPIED_MOST
    return config.centres == "split"


def targets_hash(labels: Int[Tensor, "n l"], start: Float[Tensor, "k d"], origin: str) -> str:
    """What a training against these labels and first centres is known by, beside its options."""
    given = [bytes_hash(part.cpu().numpy().tobytes()) for part in (labels, start)]
    return content_hash([*given, origin])


def check_labels(labels: Int[Tensor, "n l"], n_samples: int, n_classes: int) -> None:
    """Check that there is something to learn from.

    Raises:
        DataError: Labels that are out of range, twice in a row, or not one row a sample.
        TrainingError: Fewer than two samples or classes.
    """
    if len(labels) != n_samples or labels.shape[1] == 0:
        raise DataError(
            f"{n_samples} samples want as many rows of labels, with one label at least, not "
            f"{tuple(labels.shape)}."
        )
    if n_samples < 2:
        raise TrainingError(f"There is nothing to learn from {n_samples} sample(s): take more.")
    least, most = int(labels[:, 0].min()), int(labels.max())
    if least < 0 or most >= n_classes or int(labels.min()) < -1:
        raise DataError(
            f"Labels must lie between 0 and {n_classes - 1} (the number of classes is "
            f"{n_classes}; -1 means none, but not in the first column); they lie between "
            f"{int(labels.min())} and {most}. Cluster again, or name the right number of classes."
        )
    ordered = labels.sort(dim=1).values
    if bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any()):
        raise DataError("A sample has the same label twice; every label of a sample counts once.")
    if len(torch.unique(labels[:, 0])) < 2:
        raise TrainingError(
            "All samples have the same label, so there is nothing to tell apart. Cluster with a "
            "larger --k, or take samples of several species."
        )


def check_share(labels: Int[Tensor, "n l"], n_classes: int, config: TrainConfig) -> None:
    """Check that drawing classes for each sample leaves some besides its own.

    Raises:
        TrainingError: It leaves none, so every loss would be zero.
    """
    least = positives(labels, config).shape[1] / n_classes
    drawn = config.class_sampling == "sample" and config.class_fraction < 1
    if drawn and config.class_fraction <= least:
        raise TrainingError(
            f"A share of {config.class_fraction:g} of {n_classes} classes for each sample leaves "
            f"it no negatives: set --train.class-fraction above {least:.3f}, or "
            "--train.class-sampling batch."
        )
