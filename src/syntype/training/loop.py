"""The one training loop: any module that gives vectors, against any objective.

Legend: n samples, b of a batch, l labels a sample, k classes, d dimensions.

It knows neither pictures nor cached vectors: `batches` gives the module's inputs, `evaluate` the
figures of an epoch, `objective` the gradient at the vectors. A killed training that is started
again on the same folder ends, on the CPU, with bitwise the weights that it would have had: samples,
masks, dropout and augmentation are drawn from generators named by seed, epoch and step, never from
a running one. Nor does the batch depend on how many processes share it.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from syntype.configs import TrainConfig
from syntype.errors import TrainingError
from syntype.progress import SILENT, Progress
from syntype.provenance import content_hash, named_seed, plain
from syntype.training import checkpoint, pausing
from syntype.training.checkpoint import Snapshot
from syntype.training.footprint import Fitting
from syntype.training.objective import Figures, Objective
from syntype.training.parallel import SOLO, World
from syntype.training.schedule import (
    batches_per_epoch,
    epoch_batches,
    epoch_rows,
    lr_factor,
    set_lr,
)
from syntype.training.tower import Inputs, Tower
from syntype.training.tracking import Tracking
from syntype.training.tuning import Average

# The module's inputs for each of the batches (rows of the training set) of an epoch.
Batches = Callable[[Sequence[Int[np.ndarray, "_"]], int], Iterator[Inputs]]
# The samples of an epoch in their order, by its number.
Order = Callable[[int], Int[np.ndarray, "_"]]
# Figures of the module after an epoch, by name; what is not finite is kept as None.
Evaluate = Callable[[nn.Module, int], Mapping[str, float]]
# One line of the history: plain numbers, one object an epoch.
Line = dict[str, int | float | None]

_GROWN = 10.0  # a loss so many times what it began with (or as 1, if that is more) has diverged
_LOOK_EVERY = 20  # steps between two looks at the losses: each look waits for the device


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        module: The trained module, in evaluation mode.
        prototypes: The learnt class centres, unit vectors, on the CPU; None if there are none.
        history: One object an epoch: round, epoch (from 0), step (steps so far), lr (the last),
            loss, accuracy (share of samples whose nearest class in the loss is their own),
            negatives (effective number of them), gradient and centre_gradient (norms before
            clipping, of the encoder and of what the objective learns), and what `evaluate` gave.
            All but the first four are means over samples.
    """

    module: nn.Module
    prototypes: Float[Tensor, "k d"] | None
    history: list[Line]


@dataclass(frozen=True)
class _Step:
    """A step whose figures were not looked at yet: to look waits for the device."""

    step: int
    n_samples: int
    lr: float
    waited: float
    values: Float[Tensor, "5"]


@dataclass
class _Meter:
    """Sums of what the steps of an epoch gave."""

    names = ("loss", "accuracy", "negatives", "gradient", "centre_gradient")
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    n_samples: int = 0
    waiting: list[_Step] = field(default_factory=list)

    def look(self) -> Iterator[tuple[_Step, dict[str, float]]]:
        """Sum up what waits, step by step, until values are not finite."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        for one, row in zip(
            waiting, torch.stack([one.values for one in waiting]).tolist(), strict=True
        ):
            if all(math.isfinite(value) for value in row):
                self.sums = [
                    total + one.n_samples * value
                    for total, value in zip(self.sums, row, strict=True)
                ]
                self.n_samples += one.n_samples
            yield one, dict(zip(self.names, row, strict=True))

    def means(self) -> dict[str, float]:
        """Means over the samples since the last `reset`."""
        return {
            name: total / max(self.n_samples, 1)
            for name, total in zip(self.names, self.sums, strict=True)
        }

    def reset(self) -> None:
        """Start the next epoch."""
        self.sums, self.n_samples = [0.0] * 5, 0


@dataclass(frozen=True)
class Setting:
    """Where and with whom a training runs; what it gives does not depend on it but for rounding.

    Attributes:
        folder: Where checkpoints go; None keeps none.
        world: Who takes part.
        progress: Where to show how far it is.
        tracking: Where metrics go.
    """

    folder: Path | None = None
    world: World = SOLO
    progress: Progress = SILENT
    tracking: Tracking | None = None


@dataclass
class _Training:
    """A training in the middle of its work."""

    tower: Tower
    objective: Objective
    classes: Int[np.ndarray, "n"]
    config: TrainConfig
    setting: Setting
    identity: str
    step: int = 0
    saved: Path | None = None
    history: list[Line] = field(default_factory=list)
    meter: _Meter = field(default_factory=_Meter)
    first: list[float] = field(default_factory=list)  # the losses of the first steps
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=_LOOK_EVERY))

    def __post_init__(self) -> None:
        config, world = self.config, self.setting.world
        self.optimiser = self.tower.optimiser()
        self.per_epoch = batches_per_epoch(len(self.classes), config.batch_size)
        self.n_steps = self.per_epoch * config.epochs
        self.average = Average(self.tower.module, config.average) if config.average else None
        share = world.shares(math.ceil(len(self.classes) / self.per_epoch))[0]
        self.fitting = Fitting(config.micro_batch or share.stop)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        folder, world, progress = self.setting.folder, self.setting.world, self.setting.progress
        if folder is None:
            return
        stored = checkpoint.latest(folder, self.identity, progress, world)
        if stored is not None:
            self.tower.load(stored, self.optimiser)
            self._load(stored, self.objective, "objective.")
            if self.average:
                self._load(stored, self.average, "average.")
            self.step, self.history = stored.step, list(stored.notes["history"])
            self.saved, self.first = stored.whole, list(stored.notes["first"])
            self.meter.sums = list(stored.notes["sums"])
            self.meter.n_samples = stored.notes["n_samples"]
            progress.say(f"Going on from step {self.step} of {self.n_steps}.")
        if self.setting.tracking:
            self.setting.tracking.resume(self.step)

    def _load(self, stored: checkpoint.Stored, part: nn.Module, prefix: str) -> None:
        split = self.objective.split() if part is self.objective else frozenset()
        share = self.setting.world.share(self.objective.n_rows)
        part.load_state_dict(
            {
                name: stored.tensor(prefix + name, share if name in split else None)
                for name in part.state_dict()
            }
        )

    def save(self) -> None:
        """Write a checkpoint, but never a broken one."""
        self.check()
        if self.setting.folder is None:
            return
        notes = {
            "history": self.history,
            "sums": self.meter.sums,
            "n_samples": self.meter.n_samples,
            "first": self.first,
        }
        tensors = self.tower.state(self.optimiser)
        split: dict[str, Tensor] = {}
        for name, value in self.objective.state_dict().items():
            holder = split if name in self.objective.split() else tensors
            holder[f"objective.{name}"] = value
        if self.average:
            tensors |= {f"average.{name}": v for name, v in self.average.state_dict().items()}
        snapshot = Snapshot(self.step, tensors, notes, split, self.objective.n_rows)
        self.saved = checkpoint.write(
            self.setting.folder,
            snapshot,
            self.identity,
            self.config.keep_checkpoints,
            self.setting.world,
        )

    def check(self) -> None:
        """Look at the losses since the last look, and write them down.

        Raises:
            TrainingError: One of them, or a gradient, is NaN or infinite, or losses grow and grow.
        """
        for one, row in self.meter.look():
            if self.setting.tracking:
                epoch = one.step // self.per_epoch
                line = {"step": one.step, "epoch": epoch, "samples": one.n_samples, "lr": one.lr}
                self.setting.tracking.write(line | row | {"waited": round(one.waited, 6)})
            if not all(math.isfinite(value) for value in row.values()):
                raise TrainingError(
                    self._diverged(one.step, "The loss or its gradient became NaN or infinite")
                )
            if len(self.first) < _LOOK_EVERY:
                self.first.append(row["loss"])
                continue
            self.latest.append(row["loss"])
            begun = sum(self.first) / len(self.first)
            if sum(self.latest) > _LOOK_EVERY * _GROWN * max(1.0, begun):
                grown = f"The loss has grown to {_GROWN:g} times what it began with ({begun:.3g})"
                raise TrainingError(self._diverged(one.step, grown))

    def _diverged(self, step: int, what: str) -> str:
        last = "No checkpoint was written before."
        if self.saved is not None:
            last = f"The last good checkpoint is {self.saved}."
        return (
            f"{what} in epoch {step // self.per_epoch} (of {self.config.epochs}, from 0), step "
            f"{step}. {last} Try a smaller learning rate (--train.lr {self.config.lr / 10:g}) or a "
            f"smaller scale (--train.scale {self.config.scale / 2:g})."
        )

    def take_step(self, inputs: Inputs, rows: Int[np.ndarray, "_"], waited: float) -> None:
        """One step of the optimiser.

        Args:
            inputs: Of this process's share of the batch.
            rows: All of the batch.
            waited: How long the inputs kept it waiting, seconds.
        """
        factor = lr_factor(self.step, self.n_steps, self.config.warmup)
        set_lr(self.optimiser.param_groups, factor)
        if self.setting.world.size == 1:
            figures = self.fitting.retry(lambda most: self._pull(inputs, rows, most))
        else:  # the others would wait for one that tries again
            figures = self.fitting.once(lambda most: self._pull(inputs, rows, most))
        norm = self.tower.clip(self.config.clip)
        self.optimiser.step()
        self.objective.move(factor)
        if self.average:
            self.average.update(self.tower.module)
        values = [figures.loss, figures.accuracy, figures.negatives, norm, figures.gradient]
        lr = self.optimiser.param_groups[0]["lr"]
        self.meter.waiting.append(_Step(self.step, len(rows), lr, waited, torch.stack(values)))
        self.step += 1

    def _pull(self, inputs: Inputs, rows: Int[np.ndarray, "_"], most: int) -> Figures:
        """Forward and backward, at most so many samples at a time; nothing is moved yet."""
        tower, world = self.tower, self.setting.world
        self.optimiser.zero_grad(set_to_none=True)
        shares = world.shares(len(rows))
        n_pieces = math.ceil((shares[0].stop - shares[0].start) / most)  # the same everywhere
        pieces = [tensor.tensor_split(n_pieces) for tensor in inputs]
        parts: list[Inputs] = list(zip(*pieces, strict=True))
        start = shares[world.rank].start
        if n_pieces == 1:
            self._noise(start)
            vectors = tower.vectors(inputs)
            leaf = vectors.detach().requires_grad_()
            figures = self.objective.pull(leaf, rows, self.step)
            assert leaf.grad is not None, "the loss reaches the vectors"
            tower.back(vectors, leaf.grad)
            return figures
        found, starts = [], []
        for part in parts:
            self._noise(start)
            found.append(tower.glance(part))
            starts.append(start)
            start += len(part[0])
        leaf = torch.cat(found).requires_grad_()
        figures = self.objective.pull(leaf, rows, self.step)
        assert leaf.grad is not None, "the loss reaches the vectors"
        gradients = leaf.grad.split([len(part[0]) for part in parts])
        for place, (part, gradient) in enumerate(zip(parts, gradients, strict=True)):
            with tower.alone(last=place == len(parts) - 1):
                self._noise(starts[place])
                tower.back(tower.vectors(part), gradient)
        return figures

    def _noise(self, start: int) -> None:
        """Seed dropout and stochastic depth of the samples from place `start` of the batch on."""
        torch.manual_seed(named_seed(self.config.seed, "noise", self.step, start))

    def end_epoch(self, epoch: int, evaluate: Evaluate | None) -> None:
        """Write the epoch's line of the history."""
        self.check()
        lr = self.optimiser.param_groups[0]["lr"]
        line: Line = {"epoch": epoch, "step": self.step, "lr": lr, **self.meter.means()}
        self.meter.reset()
        if evaluate is not None:
            with self._shown(), torch.no_grad():
                figures = evaluate(self.tower.module, epoch)
            line |= {
                name: float(value) if math.isfinite(value) else None
                for name, value in figures.items()
            }
        self.history.append(line)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """The module as it would be given back: in evaluation mode, and with averaged weights."""
        module = self.tower.module.eval()
        if self.average:
            self.average.swap(module)
        try:
            yield
        finally:
            if self.average:
                self.average.swap(module)
            module.train()

    def end(self) -> Trained:
        """What the training gives."""
        module = self.tower.module.eval()
        if self.average:
            self.average.swap(module)
        return Trained(module, self.objective.prototypes(), self.history)

    def in_words(self) -> str:
        """How the epoch goes, for who watches."""
        means, lr = self.meter.means(), self.optimiser.param_groups[0]["lr"]
        return f"loss {means['loss']:.3f}, {means['negatives']:.0f} negatives, lr {lr:.1e}"

    def pause_if_asked(self) -> None:
        """Save and stop if a signal asked for it.

        Raises:
            Paused: It did.
        """
        if self.setting.world.size > 1:  # all stop after the same step, so all must ask
            if self.step % _LOOK_EVERY:
                return
            asked = any(self.setting.world.collect(pausing.requested()))
        else:
            asked = pausing.requested()
        if asked and self.step < self.n_steps:
            self.save()
            raise pausing.Paused(
                f"Paused after step {self.step} of {self.n_steps}, as asked. The same command goes "
                "on from there."
            )


def _timed(coming: Iterator[Inputs]) -> Iterator[tuple[Inputs, float]]:
    """Inputs, and how long each kept us waiting, in seconds."""
    asked = time.perf_counter()
    for inputs in coming:
        yield inputs, time.perf_counter() - asked
        asked = time.perf_counter()


def train(
    tower: Tower,
    objective: Objective,
    batches: Batches,
    classes: Int[np.ndarray, "n"],
    config: TrainConfig,
    *,
    origin: str = "",
    order: Order | None = None,
    evaluate: Evaluate | None = None,
    setting: Setting | None = None,
) -> Trained:
    """Train a tower, or go on with a training that was killed.

    Args:
        tower: Trained in place, on the device it is on.
        objective: What its vectors are pulled towards, on the same device.
        batches: Gives the inputs of the batches of an epoch, this process's share of each, on the
            same device.
        classes: The class of each sample, which balances the epochs.
        config: How.
        origin: Hash of inputs, labels and first weights; a folder with checkpoints of another
            origin is refused.
        order: The order of each epoch, as many samples as there are; None draws it, balanced as
            `config` says.
        evaluate: Called after each epoch with the module in evaluation mode, without gradients.
        setting: Where and with whom; None keeps no checkpoints.

    Raises:
        TrainingError: The loss became NaN or infinite, or ten times what it began with.
        UsageError: The folder holds checkpoints of another training.
        ResourceError: It may not be written, or one sample does not fit into memory.
        Paused: A signal asked for a pause, and a checkpoint was written.
    """
    setting = setting or Setting()
    identity = content_hash([plain(config), origin])
    training = _Training(tower, objective, classes, config, setting, identity)
    training.resume()
    tower.module.train()
    devices = [tower.device] if tower.device.type == "cuda" else []
    title = f"train, {len(classes)} samples"
    with (
        pausing.watched(),
        torch.random.fork_rng(devices),
        setting.progress.task(title, training.n_steps, training.step) as task,
    ):
        for epoch in range(training.step // training.per_epoch, config.epochs):
            begun, n_done, waited = time.perf_counter(), 0, 0.0
            if order is None:
                chosen_rows = epoch_rows(classes, config.balance, config.seed, epoch)
            else:
                chosen_rows = order(epoch)
            rows = epoch_batches(chosen_rows, config.batch_size)
            rows = rows[training.step % training.per_epoch :]
            mine = [chosen[setting.world.share(len(chosen))] for chosen in rows]
            for chosen, (inputs, wait) in zip(rows, _timed(batches(mine, epoch)), strict=True):
                training.take_step(inputs, chosen, wait)
                task.advance()
                n_done += len(chosen)
                waited += wait
                if training.step % _LOOK_EVERY == 0:
                    training.check()
                    seconds = time.perf_counter() - begun
                    pace = f"{n_done / seconds:.0f} samples/s, {waited / seconds:.0%} waiting"
                    task.note(f"{training.in_words()}, {pace}")
                if training.step % training.per_epoch == 0:
                    training.end_epoch(epoch, evaluate)
                if (
                    training.step % config.checkpoint_every == 0
                    or training.step == training.n_steps
                ):
                    training.save()
                training.pause_if_asked()
    return training.end()
