"""The one training loop: any module that gives vectors, against class centres.

Legend: n samples, b of a batch, l labels a sample, k classes, d dimensions.

It knows neither pictures nor cached vectors: `batches` gives the module's inputs, `evaluate` the
figures of an epoch. A killed training that is started again on the same folder ends, on the CPU,
with bitwise the weights that it would have had: samples, masks, dropout and augmentation are drawn
from generators named by seed, epoch and step, never from a running one.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from syntype.configs import TrainConfig
from syntype.errors import DataError, TrainingError
from syntype.progress import SILENT, Progress
from syntype.provenance import bytes_hash, content_hash, named_seed, plain
from syntype.training import checkpoint
from syntype.training.centres import ClassCentres, discriminate, positives
from syntype.training.sampling import draw
from syntype.training.schedule import (
    batches_per_epoch,
    epoch_batches,
    epoch_rows,
    lr_factor,
    optimiser,
    set_lr,
)

# The module's inputs for each of the batches (rows of the training set) of an epoch.
Batches = Callable[[Sequence[Int[np.ndarray, "_"]], int], Iterator[Tensor]]
# Figures of the module after an epoch, by name; what is not finite is kept as None.
Evaluate = Callable[[nn.Module, int], Mapping[str, float]]
# One line of the history: plain numbers, one object an epoch.
Line = dict[str, int | float | None]

_LOOK_EVERY = 20  # steps between two looks at the losses: each look waits for the device


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        module: The trained module, in evaluation mode.
        prototypes: The learnt class centres, unit vectors, on the CPU.
        history: One object an epoch: round, epoch (from 0), step (steps so far), lr (the last),
            loss, accuracy (share of samples whose nearest class in the loss is their own),
            negatives (effective number of them), gradient and centre_gradient (norms before
            clipping), and what `evaluate` gave. All but the first four are means over samples.
    """

    module: nn.Module
    prototypes: Float[Tensor, "k d"]
    history: list[Line]


@dataclass
class _Meter:
    """Sums of what the steps of an epoch gave, looked at in bunches: a look waits for the GPU."""

    names = ("loss", "accuracy", "negatives", "gradient", "centre_gradient")
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    n_samples: int = 0
    waiting: list[tuple[int, int, Tensor]] = field(default_factory=list)

    def add(self, step: int, n_samples: int, values: Float[Tensor, "5"]) -> None:
        """Note the values of a step."""
        self.waiting.append((step, n_samples, values))

    def look(self) -> int | None:
        """Sum up what waits; the first step whose values are not finite, or None."""
        if not self.waiting:
            return None
        rows = torch.stack([values for _, _, values in self.waiting]).tolist()
        for (step, n_samples, _), row in zip(self.waiting, rows, strict=True):
            if not all(math.isfinite(value) for value in row):
                return step
            self.sums = [
                total + n_samples * value for total, value in zip(self.sums, row, strict=True)
            ]
            self.n_samples += n_samples
        self.waiting.clear()
        return None

    def means(self) -> dict[str, float]:
        """Means over the samples since the last `reset`."""
        return {
            name: total / max(self.n_samples, 1)
            for name, total in zip(self.names, self.sums, strict=True)
        }

    def reset(self) -> None:
        """Start the next epoch."""
        self.sums, self.n_samples = [0.0] * 5, 0


@dataclass
class _Training:
    """A training in the middle of its work."""

    module: nn.Module
    centres: ClassCentres
    labels: Int[Tensor, "n l"]
    config: TrainConfig
    folder: Path | None
    identity: str
    half: bool
    step: int = 0
    saved: Path | None = None
    history: list[Line] = field(default_factory=list)
    meter: _Meter = field(default_factory=_Meter)

    def __post_init__(self) -> None:
        self.optimiser = optimiser(self.module, self.config)
        self.per_epoch = batches_per_epoch(len(self.labels), self.config.batch_size)
        self.n_steps = self.per_epoch * self.config.epochs
        self.device = self.centres.weight.device

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What a checkpoint holds besides the optimiser."""
        return {"module": self.module, "centres": self.centres}

    def resume(self, progress: Progress) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        if self.folder is None:
            return
        snapshot = checkpoint.latest(self.folder, self.identity, progress)
        if snapshot is not None:
            checkpoint.scatter(snapshot.tensors, self.parts, self.optimiser)
            self.step, self.history = snapshot.step, list(snapshot.notes["history"])
            self.meter.sums = list(snapshot.notes["sums"])
            self.meter.n_samples = snapshot.notes["n_samples"]
            progress.say(f"Going on from step {self.step} of {self.n_steps}.")

    def save(self) -> None:
        """Write a checkpoint, but never a broken one."""
        self.check()
        if self.folder is None:
            return
        notes = {
            "history": self.history,
            "sums": self.meter.sums,
            "n_samples": self.meter.n_samples,
        }
        tensors = checkpoint.gather(self.parts, self.optimiser)
        snapshot = checkpoint.Snapshot(self.step, tensors, notes)
        self.saved = checkpoint.write(self.folder, snapshot, self.identity)

    def check(self) -> None:
        """Look at the losses since the last look.

        Raises:
            TrainingError: One of them, or a gradient, is NaN or infinite.
        """
        broken = self.meter.look()
        if broken is not None:
            last = "No checkpoint was written before."
            if self.saved is not None:
                last = f"The last good checkpoint is {self.saved}."
            raise TrainingError(
                f"The loss or its gradient became NaN or infinite in epoch "
                f"{broken // self.per_epoch} (of {self.config.epochs}, from 0), step {broken}. "
                f"{last} Try a smaller learning rate (--train.lr {self.config.lr / 10:g}) or a "
                f"smaller scale (--train.scale {self.config.scale / 2:g})."
            )

    def take_step(self, inputs: Tensor, rows: Int[np.ndarray, "_"]) -> None:
        """One step of the optimiser."""
        config = self.config
        torch.manual_seed(named_seed(config.seed, "noise", self.step))  # dropout, stochastic depth
        factor = lr_factor(self.step, self.n_steps, config.warmup)
        set_lr(self.optimiser.param_groups, factor)
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            vectors = self.module(inputs)
        labels = positives(self.labels[torch.from_numpy(rows)], config)
        n_classes, dim = self.centres.weight.shape
        drawn = draw(labels, n_classes, dim, config, config.seed, self.step)
        centres = self.centres.taking_part(drawn.classes)
        outcome = discriminate(vectors, centres, labels, config, drawn)
        torch.autograd.backward(outcome.loss)
        norms = [self._clip(list(self.module.parameters())), self._clip([centres])]
        self.optimiser.step()
        assert centres.grad is not None, "the loss reaches the centres"
        lr = config.lr * config.centre_lr_factor * factor
        self.centres.move(centres.grad, lr, drawn.classes, outcome.moved)
        figures = [outcome.loss.detach(), outcome.accuracy, outcome.negatives, *norms]
        self.meter.add(self.step, len(rows), torch.stack(figures))
        self.step += 1

    def _clip(self, weights: list[nn.Parameter]) -> Float[Tensor, ""]:
        """Clip the gradient of `weights`; its norm before that."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        norm = get_total_norm(gradients)
        if self.config.clip > 0:
            clip_grads_with_norm_(weights, self.config.clip, norm)
        return norm.to(self.device)

    def end_epoch(self, epoch: int, evaluate: Evaluate | None) -> None:
        """Write the epoch's line of the history."""
        self.check()
        lr = self.optimiser.param_groups[0]["lr"]
        line: Line = {"epoch": epoch, "step": self.step, "lr": lr, **self.meter.means()}
        self.meter.reset()
        if evaluate is not None:
            self.module.eval()
            with torch.no_grad():
                figures = evaluate(self.module, epoch)
            self.module.train()
            line |= {
                name: float(value) if math.isfinite(value) else None
                for name, value in figures.items()
            }
        self.history.append(line)


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


def _check_share(labels: Int[Tensor, "n l"], n_classes: int, config: TrainConfig) -> None:
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


def train(
    module: nn.Module,
    start: Float[Tensor, "k d"],
    batches: Batches,
    labels: Int[Tensor, "n l"],
    config: TrainConfig,
    *,
    folder: Path | None = None,
    origin: str = "",
    half: bool = False,
    evaluate: Evaluate | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Train `module` and class centres, or go on with a training that was killed.

    Args:
        module: Inputs to vectors (b, d) of any length; trained in place, on the device it is on.
        start: First class centres, on the same device.
        batches: Gives the inputs of the batches of an epoch, on the same device.
        labels: Classes of each sample, nearest first, on the CPU; -1 means none.
        config: How.
        folder: Where checkpoints go; None keeps none.
        origin: Hash of the inputs and first weights; a folder with checkpoints of another origin
            is refused.
        half: Whether the module computes in bfloat16; losses and weights are float32 always.
        evaluate: Called after each epoch with the module in evaluation mode, without gradients.
        progress: Where to show how far it is.

    Raises:
        DataError: Labels that cannot be.
        TrainingError: Nothing to learn from, or the loss became NaN or infinite.
        UsageError: `folder` holds checkpoints of another training.
        ResourceError: `folder` may not be written.
    """
    check_labels(labels, len(labels), len(start))
    _check_share(labels, len(start), config)
    given = [bytes_hash(part.cpu().numpy().tobytes()) for part in (labels, start)]
    identity = content_hash([plain(config), *given, origin])
    training = _Training(module, ClassCentres(start), labels, config, folder, identity, half)
    training.resume(progress)
    module.train()
    devices = [training.device] if training.device.type == "cuda" else []
    title = f"train, {len(labels)} samples, {len(start)} classes"
    with (
        torch.random.fork_rng(devices),
        progress.task(title, training.n_steps, training.step) as task,
    ):
        for epoch in range(training.step // training.per_epoch, config.epochs):
            begun, n_done = time.perf_counter(), 0
            order = epoch_rows(labels[:, 0].numpy(), config.balance, config.seed, epoch)
            rows = epoch_batches(order, config.batch_size)
            rows = rows[training.step % training.per_epoch :]
            for chosen, inputs in zip(rows, batches(rows, epoch), strict=True):
                training.take_step(inputs, chosen)
                task.advance()
                n_done += len(chosen)
                if training.step % _LOOK_EVERY == 0:
                    training.check()
                    rate = n_done / (time.perf_counter() - begun)
                    loss = training.meter.means()["loss"]
                    lr = training.optimiser.param_groups[0]["lr"]
                    task.note(f"loss {loss:.3f}, lr {lr:.1e}, {rate:.0f} samples/s")
                if training.step % training.per_epoch == 0:
                    training.end_epoch(epoch, evaluate)
                if (
                    training.step % config.checkpoint_every == 0
                    or training.step == training.n_steps
                ):
                    training.save()
    module.eval()
    return Trained(module, training.centres.unit(), training.history)
