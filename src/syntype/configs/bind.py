"""How senses are bound to pictures, and how the binder is patched afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from cyclopts import Parameter

from syntype.configs.check import check
from syntype.configs.training import TrainConfig

Loss = Literal["hard-negative", "supcon", "supcon-mean", "symmetric", "siglip"]
Background = Literal["sphere", "degrees", "observations"]
Step = Literal["locked", "unlocked"]
Method = Literal["parallel", "sequential", "joint"]
SENSES = ("place", "satellite", "sound", "climate")
"""What can be bound to pictures."""


def by_sense(texts: tuple[str, ...], option: str) -> dict[str, str]:
    """SENSE=VALUE texts as a mapping.

    Raises:
        UsageError: One has another form, or a sense stands twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        sense, equals, value = text.partition("=")
        check(
            bool(equals) and sense in SENSES and bool(value),
            f"{option} {text}: write SENSE=VALUE, with one of {', '.join(SENSES)}.",
        )
        check(sense not in found, f"{option} names {sense} twice.")
        found[sense] = value
    return found


@dataclass(frozen=True, kw_only=True)
class BindConfig:
    """Locked and unlocked tuning of senses to pictures."""

    loss: tuple[str, ...] = ()
    """Loss of a sense, as SENSE=LOSS: hard-negative, supcon, supcon-mean, symmetric, siglip. What
    is not named has TaxaBind's: hard-negative for place and climate, supcon for satellite,
    symmetric for sound."""
    background: Background = "sphere"
    """Where the random places of hard-negative lie: evenly on the sphere, evenly in degrees (as
    published, which crowds the poles), or at other observations."""
    warm_epochs: int = 0
    """Passes in which the binder itself is trained on pictures and names before anything is bound;
    0 takes it as it is."""
    epochs: int = 20
    """Passes of locked tuning, in which only the sense learns."""
    unlocked_epochs: int = 5
    """Passes of unlocked tuning, in which the binder's image tower learns too; 0 leaves out this
    step, and patching with it."""
    batch_size: int = 512
    """Observations per step at most; all of them are each other's negatives."""
    micro_batch: int = 0
    """Observations that go through the towers at a time; the step is that of the whole batch. 0
    takes as many as fit."""
    lr: float = 1e-3
    """Peak learning rate of a sense and of the temperature; TaxaBind took 1e-4 at batches of 4096
    to 8192."""
    binder_lr: float = 1e-5
    """Peak learning rate of the image tower in unlocked tuning."""
    warm_lr: float = 1e-3
    """Peak learning rate of both towers in the warm-up."""
    weight_decay: float = 0.01
    """AdamW's decay of weight matrices."""
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises, before a cosine to zero."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 turns clipping off."""
    scale: float = 0.0
    """What cosines are multiplied by at first; 0 takes the published 1/0.07 (siglip: 10). It is
    learned, up to 100."""
    tune: Literal["all", "last"] = "all"
    """Weights of the image tower that unlocked tuning trains: all, or the last blocks."""
    last_blocks: int = 2
    """Blocks that are trained with tune last."""
    crop: float = 0.77
    """Least share of a picture that a random crop keeps in unlocked tuning."""
    flip: bool = True
    """Mirror half of the pictures in unlocked tuning."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """What the towers compute in; senses of place need float32."""
    prompt: str = "a photo of {}."
    """What names are put into; TaxaBind takes the names alone: {}."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    seed: int = 0
    """Seed of order, background, masks and projections."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for sense, loss in by_sense(self.loss, "--bind.loss").items():
            known = get_args(Loss)
            check(loss in known, f"--bind.loss {sense}={loss}: it is one of {', '.join(known)}.")
            check(
                loss != "hard-negative" or sense in ("place", "climate"),
                f"--bind.loss {sense}={loss}: only place and climate have a random background.",
            )
        check(self.epochs > 0, "--bind.epochs must be at least 1.")
        check(self.unlocked_epochs >= 0, "--bind.unlocked-epochs must be 0 (none) or more.")
        check(self.warm_epochs >= 0, "--bind.warm-epochs must be 0 (none) or more.")
        check(self.batch_size > 1, "--bind.batch-size must be at least 2.")
        check(self.micro_batch >= 0, "--bind.micro-batch must be 0 (as many as fit) or more.")
        check(min(self.lr, self.binder_lr, self.warm_lr) > 0, "Learning rates must be positive.")
        check(0 <= self.scale <= 100, "--bind.scale must lie in 0 (as published) to 100.")
        check("{}" in self.prompt, "--bind.prompt needs a {} where the name goes.")

    def loss_of(self, sense: str, published: Mapping[str, Loss]) -> Loss:
        """The loss of a sense."""
        named = by_sense(self.loss, "--bind.loss").get(sense)
        for loss in get_args(Loss):
            if loss == named:
                known: Loss = loss
                return known
        return published[sense]

    def training(self, step: Literal["warm", "locked", "unlocked"]) -> TrainConfig:
        """The training loop's options of a step."""
        common = TrainConfig(
            mode="finetune",
            epochs=self.epochs,
            batch_size=self.batch_size,
            micro_batch=self.micro_batch,
            lr=self.lr,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            clip=self.clip,
            crop=self.crop,
            flip=self.flip,
            precision=self.precision,
            checkpoint_every=self.checkpoint_every,
            seed=self.seed,
        )
        if step == "locked":
            return common
        if step == "warm":
            return replace(common, epochs=self.warm_epochs, lr=self.warm_lr)
        return replace(
            common,
            epochs=self.unlocked_epochs,
            tune=self.tune,
            last_blocks=self.last_blocks,
        )


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """Where to stop between the weights before unlocked tuning and after it."""

    method: Method = "parallel"
    """parallel: each sense's tuning starts from the same binder, and the changes are added.
    sequential: each starts from the patched binder of the one before. joint: one tuning with all
    senses."""
    grid: int = 21
    """Points of alpha, and of beta, that are tried, the ends included."""
    most: float = 0.5
    """Largest alpha that is tried; the published curve ends at 0.5."""
    budget: float = 0.02
    """How much any supported task may lose on the selection split, as a share of 1; a choice that
    costs more is not made."""
    target: Literal["image", "mean"] = "image"
    """What alpha is chosen by: naming species from pictures (as published), or the mean of all
    supported tasks."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(self.grid >= 2, "--patch.grid must be at least 2.")
        check(0 < self.most <= 1, "--patch.most must lie in (0, 1].")
        check(self.budget >= 0, "--patch.budget must be 0 or more.")


BindOptions = Annotated[BindConfig, Parameter(group="Binding")]
PatchOptions = Annotated[PatchConfig, Parameter(group="Patching")]
