"""Pictures against other senses as an objective of the training loop.

Legend: n observations of a batch, b of this process, N of the training set, d dimensions, w columns
of the joined vectors, m learnt numbers of a temperature.

The towers give one row for an observation, its vectors side by side: the picture's (unlocked only),
then each sense's own and, where its loss wants one, that of a random place. So the loop, its
gradient caching and its processes know nothing of senses. Each process looks at its own rows
against the vectors of all processes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from syntype.binding.losses import NOBODY, binding_loss, wants_background
from syntype.configs import TrainConfig
from syntype.configs.bind import Loss
from syntype.training.contrast import nearest_is_own
from syntype.training.objective import Figures, Objective, clip
from syntype.training.parallel import SOLO, World
from syntype.training.row_adam import RowAdam

_MOST_LOG_SCALE = float(np.log(100.0))


@dataclass(frozen=True)
class Strand:
    """One sense in a training.

    Attributes:
        sense: Which.
        loss: What it is pulled by.
        has: Which observations of the training set have it, on the CPU.
        temperature: Where its temperature starts.
        background_rows: Of a step, which observation stands behind each row's background; None
            where it is a place without any.
    """

    sense: str
    loss: Loss
    has: Bool[np.ndarray, "N"]
    temperature: Float[Tensor, "m 1"]
    background_rows: Callable[[int], Int[np.ndarray, "N"]] | None = None

    @property
    def width(self) -> int:
        """How many vectors of an observation the towers give for it."""
        return 2 if wants_background(self.loss) else 1


@dataclass
class _Sums:
    """Figures of the strands of a step, summed up."""

    losses: list[Tensor] = field(default_factory=list)
    shown: list[Tensor] = field(default_factory=list)


class Binding(Objective):
    """The mean of the strands' losses over the whole batch, with a temperature for each.

    Args:
        species: Of each observation of the training set, on the CPU.
        strands: The senses, in the order in which the towers give them.
        images: Pictures' vectors of the training set where the binder is locked, on the device;
            None where the towers give them.
        config: How temperatures learn.
        world: Who takes part.
    """

    def __init__(
        self,
        species: Int[Tensor, "N"],
        strands: Sequence[Strand],
        images: Float[Tensor, "N d"] | None,
        config: TrainConfig,
        world: World = SOLO,
    ) -> None:
        super().__init__()
        self.species, self.strands, self.config, self.world = species, strands, config, world
        self.images = images  # no buffer: a checkpoint need not hold what was there before
        self.optimisers = nn.ModuleDict()
        for strand in strands:
            start = strand.temperature.detach().clone()
            self.register_buffer(f"temperature_{strand.sense}", start)
            self.optimisers[strand.sense] = RowAdam(start)
        self._gradients: dict[str, Tensor] = {}

    def temperatures(self) -> Mapping[str, Float[Tensor, "m 1"]]:
        """The temperature of each sense as it is now."""
        return {one.sense: self.get_buffer(f"temperature_{one.sense}") for one in self.strands}

    def pull(self, vectors: Float[Tensor, "b w"], rows: Int[np.ndarray, "n"], step: int) -> Figures:
        """See `Objective.pull`."""
        mine = self.world.share(len(rows))
        learnt = {name: nn.Parameter(value) for name, value in self.temperatures().items()}
        with torch.enable_grad(), torch.autocast(vectors.device.type, enabled=False):
            everyone = self.world.gather(vectors, len(rows)).requires_grad_()
            wide = everyone if everyone.dtype == torch.float64 else everyone.float()
            sums = self._compare(wide, learnt, rows, mine, step)
            loss = torch.stack([everyone.sum() * 0, *sums.losses]).sum() / len(self.strands)
            torch.autograd.backward(loss)
        assert everyone.grad is not None, "the loss reaches the vectors"
        vectors.grad = self.world.total(everyone.grad)[mine].clone()
        self._gradients = {
            name: self.world.total(torch.zeros_like(one) if one.grad is None else one.grad)
            for name, one in learnt.items()
        }
        norm = torch.stack([one.norm() for one in self._gradients.values()]).norm()
        clip(list(self._gradients.values()), norm, self.config.clip)
        shown = torch.stack([loss.new_zeros(2), *sums.shown]).sum(0) / len(self.strands)
        found = torch.stack([loss.detach().float(), *shown.float()])
        self.world.total(found)
        return Figures(found[0], found[1], found[2], norm.float())

    def _compare(
        self,
        wide: Float[Tensor, "n w"],
        learnt: Mapping[str, Float[Tensor, "m 1"]],
        rows: Int[np.ndarray, "n"],
        mine: slice,
        step: int,
    ) -> _Sums:
        """Each strand's loss over the rows of the batch that have it, this process's share."""
        n_parts = sum(strand.width for strand in self.strands) + (self.images is None)
        parts = iter(wide.chunk(n_parts, dim=1))
        if self.images is None:
            images = next(parts)
        else:
            images = self.images[torch.from_numpy(rows).to(self.images.device)].to(wide)
        species = self.species[torch.from_numpy(rows)].to(wide.device)
        sums = _Sums()
        for strand in self.strands:
            own = next(parts)
            background = next(parts) if strand.width == 2 else None
            there = np.flatnonzero(strand.has[rows])
            if len(there) < 2:
                continue  # nothing to be told apart from
            share = slice(*np.searchsorted(there, [mine.start, mine.stop]).tolist())
            chosen = torch.from_numpy(there).to(wide.device)
            behind = self._behind(strand, rows[there], step)
            sums.losses.append(
                binding_loss(
                    strand.loss,
                    images[chosen],
                    own[chosen],
                    learnt[strand.sense],
                    species[chosen],
                    background=None if background is None else background[chosen],
                    background_species=None if behind is None else behind.to(wide.device),
                    rows=share,
                )
            )
            sums.shown.append(_figures(images[chosen], own[chosen], species[chosen], share))
        return sums

    def _behind(
        self, strand: Strand, rows: Int[np.ndarray, "_"], step: int
    ) -> Int[Tensor, "_"] | None:
        """Whose the background of some rows is; None where it is nobody's."""
        if strand.background_rows is None or strand.width == 1:
            return None
        found = self.species[torch.from_numpy(strand.background_rows(step)[rows])]
        return torch.where(found < 0, NOBODY, found)

    def move(self, factor: float) -> None:
        """See `Objective.move`."""
        for name, value in self.temperatures().items():
            optimiser = self.optimisers[name]
            assert isinstance(optimiser, RowAdam)
            optimiser.step(value, self._gradients[name], self.config.lr * factor)
            value[0].clamp_(max=_MOST_LOG_SCALE)


@torch.no_grad()
def _figures(
    images: Float[Tensor, "n d"],
    others: Float[Tensor, "n d"],
    species: Int[Tensor, "n"],
    share: slice,
) -> Float[Tensor, "2"]:
    """This process's share of the accuracy and of the number of negatives, means over the batch."""
    places = torch.arange(len(images), device=images.device)[share]
    if len(places) == 0:
        return images.new_zeros(2)
    right = nearest_is_own(images[places], others, places, species).sum()
    negatives = (species[places][:, None] != species).sum()
    return torch.stack([right, negatives]).to(images.dtype) / len(images)
