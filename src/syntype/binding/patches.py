"""The patches of a binding: how far the binder and each sense go, chosen on the selection split.

    parallel      each sense's unlocked tuning starts from the binder; alpha of each by its own
                  curve, then one factor for all of them together
    sequential    each starts from the patched binder of the one before
    joint         one tuning with all senses, one alpha

With the binder patched, each sense's beta is chosen by naming species from picture and sense.
Scales are fitted anew afterwards: those that were learned belong to other weights.

Legend: n observations, d dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from syntype.binding.bind import Bound
from syntype.binding.experts import fit_scale
from syntype.binding.fusion import fuse
from syntype.binding.material import Album, Material
from syntype.binding.patching import (
    Choice,
    Curve,
    Rechecked,
    State,
    along,
    choose,
    combine,
    fixed_tensors,
    grid,
    interpolate,
    recheck,
    sequential,
)
from syntype.binding.projection import with_weights
from syntype.binding.scoring import found_again, named_right, supported_tasks
from syntype.binding.space import with_tower
from syntype.binding.stages import Bindery, Selection
from syntype.binding.vectors import encoded
from syntype.configs.bind import PatchConfig
from syntype.encoders.encoder import Encoder
from syntype.errors import MediaError
from syntype.senses.sense import Sense

_BATCH = 64
_MOST_SCALE = 100.0
_FACTORS = 11  # points of the common factor of parallel patching


@dataclass
class Patched:
    """What patching gives.

    Attributes:
        tower: Weights of the patched image tower.
        senses: Patched, with their scales.
        temperatures: Fitted anew.
        shares: alpha of each tuning.
        betas: beta of each sense.
        unlocked: Of each tuning what it gave: the other end.
        curves: Of each choice its curve, by name: `alpha SENSE`, `alpha together`, `beta SENSE`.
        choices: Of each curve what was chosen.
        rechecked: Every supported task before anything was unlocked, and after all patches.
    """

    tower: dict[str, Tensor] = field(default_factory=dict)
    senses: dict[str, Sense] = field(default_factory=dict)
    temperatures: dict[str, Tensor] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    betas: dict[str, float] = field(default_factory=dict)
    unlocked: dict[str, Bound] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    rechecked: list[Rechecked] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All but the weights, as plain JSON types."""
        return {
            "alpha": self.shares,
            "beta": self.betas,
            "curves": {name: curve.as_json() for name, curve in self.curves.items()},
            "choices": {name: choice.as_json() for name, choice in self.choices.items()},
            "rechecked": [asdict(one) for one in self.rechecked],
        }


class Judge:
    """Scores weights on the selection split; what does not change is computed once.

    Args:
        bindery: Whose binder and senses.
        selection: The split.
        senses: As locked tuning left them.
    """

    def __init__(self, bindery: Bindery, selection: Selection, senses: Mapping[str, Sense]) -> None:
        self.binder, self.selection = bindery.binder, selection
        self.album = Album(selection.observations, bindery.binder.preprocess)
        self.materials: dict[str, Material] = {}
        self.rows: dict[str, np.ndarray] = {}
        for name, sense in senses.items():
            material = Material(selection.observations, sense)
            readable = [
                row for row in np.flatnonzero(material.has).tolist() if _readable(material, row)
            ]
            if len(readable) > 1:
                self.materials[name] = material
                self.rows[name] = np.array(readable, dtype=np.int64)

    def pictures(self, tower: State | None) -> Float32[np.ndarray, "n d"]:
        """Vectors of the split's pictures by a tower; None is the binder's own."""
        binder = with_tower(self.binder, tower)
        n = len(self.selection.observations)
        parts = [
            binder.encode(self.album.read(np.arange(start, min(start + _BATCH, n)))).numpy()
            for start in range(0, n, _BATCH)
        ]
        return np.concatenate(parts)

    def of_sense(self, name: str, sense: Sense) -> Float32[np.ndarray, "_ d"]:
        """Vectors of the split's rows that have a sense."""
        rows = self.rows[name]
        parts = [
            encoded(sense, self.materials[name].batch(rows[start : start + _BATCH]))
            for start in range(0, len(rows), _BATCH)
        ]
        return np.concatenate(parts)

    def tasks(
        self, tower: State | None, vectors: Mapping[str, Float32[np.ndarray, "_ d"]]
    ) -> dict[str, float]:
        """Every supported task with an image tower and vectors of the senses."""
        parts = {name: (self.rows[name], one) for name, one in vectors.items()}
        selection = self.selection
        return supported_tasks(self.pictures(tower), parts, selection.names, selection.labels)

    def sense_tasks(self, images: np.ndarray, name: str, sense: Sense) -> dict[str, float]:
        """What depends on one sense, with the pictures as they are."""
        rows, vectors = self.rows[name], self.of_sense(name, sense)
        found = {f"{name}>image": found_again(vectors, images[rows])}
        if self.selection.names is not None:
            labels = self.selection.labels[rows]
            both = fuse({"image": images[rows], name: vectors})
            found[f"image+{name}"] = named_right(both, self.selection.names, labels)
            found[name] = named_right(vectors, self.selection.names, labels)
        return found


def _readable(material: Material, row: int) -> bool:
    try:
        material.batch(np.array([row]))
    except MediaError:
        return False
    return True


def patch(bindery: Bindery, locked: Mapping[str, Bound], config: PatchConfig) -> Patched:
    """Unlock, and patch the binder and each sense.

    Args:
        bindery: What is bound where.
        locked: Of each sense what locked tuning gave.
        config: How patches are chosen.

    Raises:
        WeightsError: Weights are not two ends of one training.
        TrainingError: An unlocked tuning diverged.
    """
    senses = {name: one.senses[name] for name, one in locked.items()}
    temperatures = {name: one.temperatures[name] for name, one in locked.items()}
    selection = bindery.selection()
    judge = Judge(bindery, selection, senses)
    vectors = {name: judge.of_sense(name, senses[name]) for name in judge.rows}
    start = {name: v.cpu() for name, v in bindery.binder.module.state_dict().items()}
    result = Patched()
    work = _Work(bindery, judge, config, vectors, result, fixed_tensors(bindery.binder.module))
    if config.method == "joint":
        both = bindery.unlocked(senses, temperatures)
        result.unlocked["all"] = both
        work.alpha("alpha together", start, both.tower or {}, "all")
        result.tower = interpolate(start, both.tower or {}, result.shares["all"], fixed=work.fixed)
    elif config.method == "sequential":
        result.tower = work.in_turn(start, senses, temperatures)
    else:
        result.tower = work.together(start, senses, temperatures)
    _patch_senses(work, senses, temperatures)
    _fit_scales(work, temperatures)
    after = {name: judge.of_sense(name, result.senses[name]) for name in judge.rows}
    seen = {id(start): vectors, id(result.tower): after}
    result.rechecked = recheck(
        start, result.tower, lambda state: judge.tasks(state, seen[id(state)]), config.budget
    )
    return result


@dataclass
class _Work:
    """Patching in the middle of its work."""

    bindery: Bindery
    judge: Judge
    config: PatchConfig
    vectors: Mapping[str, np.ndarray]
    result: Patched
    fixed: frozenset[str]

    def target(self) -> str:
        """The task that alpha is chosen by."""
        named = self.judge.selection.names is not None
        return "image" if named and self.config.target == "image" else "mean"

    def choose_on(
        self, title: str, shares: tuple[float, ...], state_at: Callable[[float], State]
    ) -> float:
        """Score the binder along the way, keep the curve, and choose."""
        curve = along(shares, state_at, lambda state: self.judge.tasks(state, self.vectors))
        choice = choose(curve, self.target(), self.config.budget)
        self.keep(title, curve, choice)
        return choice.share

    def keep(self, title: str, curve: Curve, choice: Choice) -> None:
        """Remember a choice, and say it."""
        self.result.curves[title], self.result.choices[title] = curve, choice
        self.bindery.progress.say(
            f"{title}: {choice.share:.3f} gains {choice.gained:+.3f}; most is lost by "
            f"{choice.worst} ({-choice.lost[choice.worst]:+.3f})"
        )

    def alpha(self, title: str, start: State, end: State, name: str) -> float:
        """The share of one tuning of the binder."""
        shares = grid(self.config.grid, self.config.most)
        share = self.choose_on(
            title, shares, lambda share: interpolate(start, end, share, fixed=self.fixed)
        )
        self.result.shares[name] = share
        return share

    def in_turn(
        self, start: State, senses: Mapping[str, Sense], temperatures: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Sequential patching."""

        def tune(name: str, tower: State) -> State:
            bound = self.bindery.unlocked({name: senses[name]}, {name: temperatures[name]}, tower)
            self.result.unlocked[name] = bound
            return bound.tower or {}

        found, _ = sequential(
            start,
            list(senses),
            tune,
            lambda name, before, after: self.alpha(f"alpha {name}", before, after, name),
            fixed=self.fixed,
        )
        return found

    def together(
        self, start: State, senses: Mapping[str, Sense], temperatures: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Parallel patching."""
        ends: dict[str, State] = {}
        for name, sense in senses.items():
            bound = self.bindery.unlocked({name: sense}, {name: temperatures[name]})
            self.result.unlocked[name] = bound
            ends[name] = bound.tower or {}
            self.alpha(f"alpha {name}", start, ends[name], name)
        own = dict(self.result.shares)
        if len(ends) == 1:
            return combine(start, ends, own, fixed=self.fixed)
        most = min(1.0, 1 / max(sum(own.values()), 1e-12))
        scaled = partial(_scaled, own)
        factor = self.choose_on(
            "alpha together",
            grid(_FACTORS, most),
            lambda factor: combine(start, ends, scaled(factor), fixed=self.fixed),
        )
        self.result.shares = scaled(factor)
        return combine(start, ends, self.result.shares, fixed=self.fixed)


def _scaled(shares: Mapping[str, float], factor: float) -> dict[str, float]:
    return {name: share * factor for name, share in shares.items()}


def _patch_senses(
    work: _Work, senses: Mapping[str, Sense], temperatures: Mapping[str, Tensor]
) -> None:
    """Choose each sense's beta, the binder being patched."""
    result, judge = work.result, work.judge
    images = judge.pictures(result.tower)
    for name, sense in senses.items():
        end = result.unlocked.get(name, result.unlocked.get("all"))
        result.temperatures[name] = temperatures[name]
        if end is None or name not in judge.rows:
            result.senses[name], result.betas[name] = sense, 0.0
            continue
        ends = [{k: v.cpu() for k, v in one.module.state_dict().items()}
                for one in (sense, end.senses[name])]  # fmt: skip
        fixed = fixed_tensors(sense.module)

        def at(share: float, ends: Any = ends, fixed: Any = fixed) -> State:
            return interpolate(ends[0], ends[1], share, fixed=fixed)

        def score(state: State, name: str = name, sense: Sense = sense) -> Mapping[str, float]:
            changed = with_weights(sense, dict(state), sense.logit_scale)
            return judge.sense_tasks(images, name, changed)

        curve = along(grid(work.config.grid), at, score)
        target = f"image+{name}" if f"image+{name}" in curve.scores else f"{name}>image"
        choice = choose(curve, target, work.config.budget)
        work.keep(f"beta {name}", curve, choice)
        result.betas[name] = choice.share
        result.senses[name] = with_weights(sense, dict(at(choice.share)), sense.logit_scale)


def _fit_scales(work: _Work, temperatures: Mapping[str, Tensor]) -> None:
    """Fit the scale of each sense to its patched weights; a bias stays what it was."""
    result, judge = work.result, work.judge
    images = judge.pictures(result.tower)
    for name in judge.rows:
        cosines = judge.of_sense(name, result.senses[name]) @ images[judge.rows[name]].T
        scale = min(fit_scale(cosines, np.arange(len(cosines))), _MOST_SCALE)
        changed = temperatures[name].clone()
        changed[0, 0] = float(np.log(scale))
        if len(changed) == 1:  # SigLIP's scale and bias were learned together
            result.temperatures[name] = changed
            result.senses[name] = with_weights(
                result.senses[name], result.senses[name].module.state_dict(), scale
            )


def patched_binder(binder: Encoder, result: Patched) -> Encoder:
    """The binder with the patched tower; itself where nothing was moved."""
    if not any(share > 0 for share in result.shares.values()):
        return binder
    return with_tower(binder, {name: torch.as_tensor(v) for name, v in result.tower.items()})
