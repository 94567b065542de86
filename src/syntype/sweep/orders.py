"""What the processes of a gang are told: an order in plain types, and what each does of it.

Whoever owns a training writes its order down; each process reads it, opens what the owner has open,
whose stages up to the training are done, and trains its share. A new kind of training is a class
here: `gang` starts, watches and ends the processes of all kinds alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from syntype import files
from syntype.configs import (
    ClusterConfig,
    DataConfig,
    EmbedConfig,
    Objective,
    TrainConfig,
    Workplace,
    rebuild,
)
from syntype.configs.bind import BindConfig
from syntype.progress import Progress
from syntype.provenance import plain
from syntype.training.parallel import World


@runtime_checkable
class Order(Protocol):
    """A training that a gang can do: a frozen dataclass whose fields have a plain form."""

    kind: ClassVar[str]
    """By which the class is found again."""

    @property
    def place(self) -> Workplace:
        """Where to work, and in how many processes."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Order":
        """The order whose plain form is `content`."""

    def work(self, place: Workplace, world: World, progress: Progress) -> None:
        """Train this process's share; all that stays of it are checkpoints and metrics.

        Args:
            place: The order's, with this process's own device.
            world: Which process this is.
            progress: Where to show how far it is; silent in all processes but the first.
        """


@dataclass(frozen=True)
class TrainOrder:
    """Train an encoder of pictures.

    Attributes:
        samples: The data set.
        embed: How its pictures became vectors.
        place: Where to work.
        base: Spec of the encoder to start from.
        objective: What to train against.
        cluster: The clustering, where there is one.
        train: How.
        folder: Where the checkpoints go.
    """

    kind: ClassVar[str] = "train"

    samples: DataConfig
    embed: EmbedConfig
    place: Workplace
    base: str
    objective: Objective
    cluster: ClusterConfig | None
    train: TrainConfig
    folder: Path

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "TrainOrder":
        """See `Order.of`."""
        cluster = content["cluster"]
        return cls(
            samples=rebuild(DataConfig, content["samples"]),
            embed=rebuild(EmbedConfig, content["embed"]),
            place=rebuild(Workplace, content["place"]),
            base=content["base"],
            objective=content["objective"],
            cluster=None if cluster is None else rebuild(ClusterConfig, cluster),
            train=rebuild(TrainConfig, content["train"]),
            folder=Path(content["folder"]),
        )

    def work(self, place: Workplace, world: World, progress: Progress) -> None:
        """See `Order.work`."""
        from syntype.sweep.make import Lesson, train_on
        from syntype.sweep.streamed import work_streamed
        from syntype.sweep.workshop import Workshop

        if self.train.stream:
            work_streamed(replace(self, place=place), world, progress)
            return
        workshop = Workshop.open(self.samples, self.embed, place)
        base = workshop.model(self.base, "base")
        clustering = None
        if self.cluster is not None:
            clustering = workshop.clusters(base, self.cluster)
        workshop.progress = progress  # the owner has said what came before
        lesson = Lesson(base, self.objective, clustering, self.train)
        train_on(workshop, lesson, self.folder, world)


@dataclass(frozen=True)
class BindOrder:
    """Train one step of a binding.

    Attributes:
        data: The observations, as `read_observations` takes them.
        encoder: Spec of the binder, before it is warmed up.
        config: How to bind.
        place: Where to work.
        senses: Spec of each sense that is bound.
        samples: How observations are split and chosen; None takes the defaults.
        step: The warm-up of the binder, or which tuning.
        tuned: Of a tuning, the spec of each sense that takes part; to compare, it may be another
            than that in `senses`.
        start: Folder with what tuning starts from (`stages.write_bound`); None starts from what is
            loaded.
        folder: Where the checkpoints go.
    """

    kind: ClassVar[str] = "bind"

    data: str
    encoder: str
    config: BindConfig
    place: Workplace
    senses: Mapping[str, str]
    samples: DataConfig | None = None
    step: Literal["warm", "locked", "unlocked"] = "warm"
    tuned: Mapping[str, str] = field(default_factory=dict)
    start: Path | None = None
    folder: Path = Path()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "BindOrder":
        """See `Order.of`."""
        samples, start = content["samples"], content["start"]
        return cls(
            data=content["data"],
            encoder=content["encoder"],
            config=rebuild(BindConfig, content["config"]),
            place=rebuild(Workplace, content["place"]),
            senses=content["senses"],
            samples=None if samples is None else rebuild(DataConfig, samples),
            step=content["step"],
            tuned=content["tuned"],
            start=None if start is None else Path(start),
            folder=Path(content["folder"]),
        )

    def work(self, place: Workplace, world: World, progress: Progress) -> None:
        """See `Order.work`."""
        from syntype.sweep.bindery import work_bound

        work_bound(replace(self, place=place), world, progress)


_KINDS: Mapping[str, type[Order]] = {one.kind: one for one in (TrainOrder, BindOrder)}


def write_order(order: Order, path: Path) -> None:
    """Write an order down.

    Raises:
        ResourceError: The disk is full.
    """
    files.write_json(path, {"kind": order.kind, "order": plain(order)})


def read_order(path: Path) -> Order:
    """The order in a file."""
    content = files.as_mapping(files.read_json(path), path)
    return _KINDS[content["kind"]].of(content["order"])
