"""Locked and unlocked tuning: senses are pulled towards the binder's pictures.

Legend: n observations of the training set, b of a batch, d dimensions, m learnt numbers.

Locked, the binder is left as it is: its vectors of the training pictures are computed once, and
only the sense learns. Unlocked, the binder's image tower learns too, from the same pairs; its text
tower is not touched, so vectors of names stay what they were. Given several senses, they are tuned
in one go: an observation counts for those that it has.

As TaxaBind does it but for: AdamW's decay is not on biases and norms, its betas are torch's, the
learning rate falls to zero and rises at first, negatives are those of the whole batch, of all its
micro-batches and processes, and satellite tiles are not cropped at random.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from syntype.binding.losses import PUBLISHED, start_of, wants_background
from syntype.binding.material import ROOM, Album, Backgrounds, Material, check_background
from syntype.binding.objective import Binding, Strand
from syntype.binding.projection import in_dimensions, with_weights
from syntype.configs import TrainConfig
from syntype.configs.bind import BindConfig
from syntype.data.observations import Observations
from syntype.encoders.encoder import Encoder
from syntype.errors import DataError, TrainingError, UsageError
from syntype.provenance import bytes_hash, content_hash
from syntype.senses.sense import Inputs, Sense
from syntype.training.contrast import scale_of
from syntype.training.controls import species_labels
from syntype.training.feeding import Feed
from syntype.training.loop import Batches, Line, Setting, train
from syntype.training.schedule import batches_per_epoch
from syntype.training.tower import example_of, tower_of, trainable
from syntype.training.tuning import weight_groups


class Towers(nn.Module):
    """The towers of a training side by side: tensors of one batch to joined vectors.

    Args:
        image: The binder's, where it learns.
        senses: By sense, in order.
        n_inputs: How many tensors each sense's module takes.
        widths: How often each is asked for an observation: 2 with a background.
    """

    def __init__(
        self,
        image: nn.Module | None,
        senses: Mapping[str, nn.Module],
        n_inputs: Mapping[str, int],
        widths: Mapping[str, int],
    ) -> None:
        super().__init__()
        self.image = image
        self.senses = nn.ModuleDict(dict(senses))
        self._plan = [(name, n_inputs[name]) for name in senses for _ in range(widths[name])]

    def forward(self, *inputs: Tensor) -> Float[Tensor, "b w"]:
        """Vectors side by side: the picture's, then each sense's own and its background's."""
        found, place = [], 0
        if self.image is not None:
            found.append(_wide(self.image(inputs[0])))
            place = 1
        for name, taken in self._plan:
            found.append(_wide(self.senses[name](*inputs[place : place + taken])))
            place += taken
        return torch.cat(found, dim=1)


def _wide(vectors: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """Vectors in float32, or in float64 where they are."""
    return vectors if vectors.dtype == torch.float64 else vectors.float()


@dataclass(frozen=True)
class Bound:
    """What a tuning gives.

    Attributes:
        senses: Tuned copies, by sense, each with its logit scale.
        temperatures: What was learnt beside them: log of the scale, and for siglip the bias.
        tower: Weights of the binder's image tower; None where it was locked.
        history: One object an epoch, as `training.loop.Trained` has it.
    """

    senses: Mapping[str, Sense]
    temperatures: Mapping[str, Float[Tensor, "m 1"]]
    tower: dict[str, Tensor] | None
    history: list[Line]


def check_sense(sense: Sense, config: BindConfig) -> None:
    """Refuse a sense whose loss wants random places that it cannot be given.

    Raises:
        UsageError: It is one.
    """
    if wants_background(config.loss_of(sense.modality, PUBLISHED)):
        check_background(sense, config.background)


@dataclass(frozen=True)
class Lesson:
    """What is tuned to what.

    Attributes:
        observations: The training set; each row has a picture and a species.
        binder: Whose pictures bind.
        senses: What is tuned, by sense.
        temperatures: Where the temperatures start; those that are missing start as published.
        config: How.
        workers: Processes and threads that read media.
        room: Bytes of prepared rows that each sense keeps in memory.
    """

    observations: Observations
    binder: Encoder
    senses: Mapping[str, Sense]
    config: BindConfig
    temperatures: Mapping[str, Float[Tensor, "m 1"]] | None = None
    workers: int = 0
    room: int = ROOM


def bind_locked(
    lesson: Lesson, images: Float[np.ndarray, "n d"], setting: Setting | None = None
) -> Bound:
    """Tune senses to the binder's cached vectors; the binder is not touched.

    Args:
        lesson: What is tuned.
        images: The binder's vectors of the observations, in their order.
        setting: Where and with whom; None keeps no checkpoints.

    Raises:
        DataError: An observation has no species, or none has a sense.
        UsageError: A loss and a sense do not fit.
        TrainingError: There is one species, or the loss became NaN.
    """
    assert len(images) == len(lesson.observations), "one vector for each observation"
    cached = torch.from_numpy(np.ascontiguousarray(images, np.float32)).to(lesson.binder.device)
    return _bind(lesson, lesson.config.training("locked"), cached, setting or Setting())


def bind_unlocked(lesson: Lesson, setting: Setting | None = None) -> Bound:
    """Tune senses and a copy of the binder's image tower together; texts stay what they were.

    Args:
        lesson: What is tuned; its senses are, as a rule, those that locked tuning gave.
        setting: Where and with whom; None keeps no checkpoints.

    Raises:
        DataError: An observation has no species, or none has a sense.
        UsageError: A loss and a sense do not fit.
        TrainingError: There is one species, the binder has no weights, or the loss became NaN.
    """
    return _bind(lesson, lesson.config.training("unlocked"), None, setting or Setting())


def _bind(
    lesson: Lesson, config: TrainConfig, images: Float[Tensor, "n d"] | None, setting: Setting
) -> Bound:
    binder = lesson.binder
    senses = {
        name: in_dimensions(sense, binder.dim, lesson.config.seed)
        for name, sense in lesson.senses.items()
    }
    species = _species(lesson.observations)
    with _in_our_words():
        tutor = _Tutor(lesson, config, senses)
        strands = tutor.strands()
        start = {one.sense: one.temperature for one in strands}
        image = None if images is not None else trainable(binder, config)
        towers = tutor.towers(image)
        tower = tower_of(
            towers,
            _groups(towers, lesson, config),
            tuple(part.to(binder.device) for part in tutor.example(image is not None)),
            config,
            setting.world,
        )
        objective = Binding(torch.from_numpy(species), strands, images, config, setting.world)
        origin = [
            binder.key,
            {name: sense.key for name, sense in senses.items()},
            bytes_hash(species.tobytes()),
            lesson.observations.revision,
            "locked" if images is not None else "unlocked",
            {name: value.flatten().tolist() for name, value in start.items()},
            {one.sense: one.loss for one in strands},
            lesson.config.background,
        ]
        trained = train(
            tower,
            objective.to(binder.device),
            tutor.batches(image is not None),
            species,
            config,
            origin=content_hash(origin),
            setting=setting,
        )
    learnt = {name: value.cpu().clone() for name, value in objective.temperatures().items()}
    return Bound(
        senses={
            name: with_weights(sense, _state(towers.senses[name]), float(scale_of(learnt[name])))
            for name, sense in senses.items()
        },
        temperatures=learnt,
        tower=None if image is None else _state(image),
        history=trained.history,
    )


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def _species(observations: Observations) -> Int[np.ndarray, "n"]:
    labels = species_labels([taxon.at("species") for taxon in observations.taxa()])[:, 0]
    if labels.max(initial=0) == 0:
        raise TrainingError("All observations show one species: there is nothing to tell apart.")
    if not observations.has("image").all():
        raise DataError("Some observations have no picture to be bound to: leave them out.")
    return labels


def _groups(towers: Towers, lesson: Lesson, config: TrainConfig) -> list[dict[str, Any]]:
    """The trained weights, each tower with its own learning rate."""
    groups = weight_groups(towers.senses, None, config)
    if towers.image is not None:
        slow = replace(config, lr=lesson.config.binder_lr)
        groups += weight_groups(towers.image, example_of(lesson.binder), slow)
    return groups


@dataclass
class _Tutor:
    """Gives the loop its towers, strands and batches."""

    lesson: Lesson
    config: TrainConfig
    senses: Mapping[str, Sense]

    def __post_init__(self) -> None:
        lesson, bind = self.lesson, self.lesson.config
        self.losses = {name: bind.loss_of(name, PUBLISHED) for name in self.senses}
        self.materials = {
            name: Material(lesson.observations, sense, lesson.room, lesson.workers)
            for name, sense in self.senses.items()
        }
        self.backgrounds = {
            name: Backgrounds(self.materials[name], bind.background, bind.seed)
            for name in self.senses
            if wants_background(self.losses[name])
        }

    def strands(self) -> list[Strand]:
        """The senses as the objective sees them."""
        lesson = self.lesson
        per_epoch = batches_per_epoch(len(lesson.observations), self.config.batch_size)
        found = []
        for name, loss in self.losses.items():
            start = (lesson.temperatures or {}).get(name)
            if start is None or len(start) != len(start_of(loss)):
                start = start_of(loss, lesson.config.scale or None)
            behind = None
            if name in self.backgrounds and lesson.config.background == "observations":
                behind = _Behind(self.backgrounds[name], per_epoch)
            has = self.materials[name].has
            found.append(Strand(name, loss, has, start.to(lesson.binder.device), behind))
        return found

    def towers(self, image: nn.Module | None) -> Towers:
        """Copies of the towers, with gradients."""
        modules = {}
        for name, sense in self.senses.items():
            module = copy.deepcopy(sense.module).to(self.lesson.binder.device)
            if not any(weight.requires_grad for weight in module.parameters()):
                if not any(True for _ in module.parameters()):
                    raise TrainingError(
                        f"{sense.name} has no weights to tune. Choose another {name}."
                    )
                module.requires_grad_(True)
            modules[name] = module
        counts = {
            name: len(material.batch(np.zeros(1, np.int64)))
            for name, material in self.materials.items()
        }
        widths = {name: 2 if name in self.backgrounds else 1 for name in self.senses}
        return Towers(image, modules, counts, widths)

    def example(self, unlocked: bool) -> Inputs:
        """The tensors of two observations."""
        rows = np.arange(2)
        found = [example_of(self.lesson.binder)] if unlocked else []
        return (*found, *self._of_senses(rows, 0))

    def _of_senses(self, rows: Int[np.ndarray, "b"], epoch: int) -> Iterator[Tensor]:
        for name, material in self.materials.items():
            yield from material.batch(rows)
            if name in self.backgrounds:
                yield from self.backgrounds[name].batch(rows, epoch)

    def batches(self, unlocked: bool) -> Batches:
        """Tensors of pictures and senses, batch by batch."""
        lesson, device = self.lesson, self.lesson.binder.device
        feed = None
        if unlocked:
            album = Album(lesson.observations, lesson.binder.preprocess, lesson.room)
            feed = Feed(album.read, self.config, self.config.seed, lesson.workers)

        def batches(rows: Sequence[Int[np.ndarray, "_"]], epoch: int) -> Iterator[Inputs]:
            # Of a batch smaller than the world some processes have no row: they prepare the first
            # of all and drop it, so that their tensors have the right shape.
            asked = [chosen if len(chosen) else np.zeros(1, np.int64) for chosen in rows]
            pictures = iter(()) if feed is None else feed.batches(asked, epoch)
            for mine, chosen in zip(rows, asked, strict=True):
                found = [] if feed is None else [lesson.binder.normalise(next(pictures))]
                found += [part.to(device) for part in self._of_senses(chosen, epoch)]
                yield tuple(part[: len(mine)] for part in found)

        return batches


@dataclass(frozen=True)
class _Behind:
    """Which observations stand behind the background of a step."""

    backgrounds: Backgrounds
    per_epoch: int

    def __call__(self, step: int) -> Int[np.ndarray, "n"]:
        return self.backgrounds.rows(step // self.per_epoch)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """The loop speaks of --train options; here they are called --bind."""
    try:
        yield
    except (TrainingError, UsageError) as error:
        if "--train." not in str(error):
            raise
        raise type(error)(str(error).replace("--train.", "--bind.")) from error
