"""The trainings of a binding, each a run: a killed one goes on, a finished one is read.

    <workspace>/bind-locked/<hash>/      one sense against the binder as it is
    <workspace>/bind-unlocked/<hash>/    one sense, or all, with the binder's image tower

Each holds bound.json (temperatures, history, hashes), <sense>.safetensors, and binder.safetensors
where the tower was trained. Several processes may train one; what they have learned is read from
their last checkpoint, so a run is written by the one process that owns it.

Legend: n observations, d dimensions, m learnt numbers of a temperature.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor

from syntype import files
from syntype.binding.bind import Bound, Lesson, bind_locked, bind_unlocked
from syntype.binding.losses import PUBLISHED
from syntype.binding.material import known
from syntype.binding.patching import check_disjoint
from syntype.binding.projection import in_dimensions, with_weights
from syntype.binding.space import with_tower
from syntype.binding.vectors import picture_vectors, sense_vectors
from syntype.configs import Workplace
from syntype.configs.bind import BindConfig, Step
from syntype.data.observations import Observations
from syntype.embeddings.texts import text_vectors
from syntype.encoders.encoder import Encoder
from syntype.encoders.tensor_files import write_tensors
from syntype.encoders.weights import read_state, weights_hash
from syntype.errors import DataError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.runs import Run
from syntype.senses.sense import Sense
from syntype.taxonomy.taxon import Taxon
from syntype.taxonomy.text import caption, taxa_at
from syntype.training import checkpoint
from syntype.training.contrast import scale_of
from syntype.training.loop import Setting
from syntype.training.parallel import SOLO, World
from syntype.training.tracking import Tracking
from syntype.version import __version__

_CARD, _BINDER = "bound.json", "binder.safetensors"


@dataclass(frozen=True)
class Selection:
    """The split that choices are made on.

    Attributes:
        observations: Its rows; each has a picture that can be read, and a species.
        labels: The species of each, as a row of `names`.
        names: Vectors of the names of all species of the set; None where the binder reads none.
    """

    observations: Observations
    labels: Int[np.ndarray, "n"]
    names: Float32[np.ndarray, "c d"] | None

    def rows_of(self, ids: Sequence[str]) -> Int[np.ndarray, "_"]:
        """The rows of some of its observations."""
        row_of = {name: row for row, name in enumerate(self.observations.ids)}
        return np.array([row_of[name] for name in ids], dtype=np.int64)


@dataclass(frozen=True)
class Tuning:
    """One training of a binding: what is tuned, and where it starts.

    Attributes:
        step: locked or unlocked.
        senses: In the binder's dimensions, as they start.
        temperatures: Where theirs start; locked tuning starts as published.
        tower: Where the image tower starts; None takes the binder's own.
    """

    step: Step
    senses: Mapping[str, Sense]
    temperatures: Mapping[str, Tensor] = field(default_factory=dict)
    tower: Mapping[str, Tensor] | None = None


@dataclass
class Bindery:
    """Observations and a binder on one machine, with what is bound there.

    Attributes:
        observations: All splits.
        binder: As it is before anything is bound.
        senses: As they were loaded, by sense.
        config: How they are bound.
        place: Where to work.
        progress: Where to say how far it is.
        left_out: Of each sense, how many observations cannot be used, and why.
        gang: Does a tuning in several processes, up to its last checkpoint in a folder; None where
            this process trains alone.
    """

    observations: Observations
    binder: Encoder
    senses: Mapping[str, Sense]
    config: BindConfig
    place: Workplace
    progress: Progress = SILENT
    left_out: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    gang: Callable[[Tuning, Path], None] | None = None

    def __post_init__(self) -> None:
        """Keep the observations with a species and a picture, and look at the splits.

        Raises:
            DataError: The training or the validation split is empty.
        """
        species = np.array([taxon.at("species") != "" for taxon in self.observations.taxa()])
        pictures = self.observations.has("image")
        self._note("species", self.observations.select(~species), "no species")
        self._note("image", self.observations.select(species & ~pictures), "no picture")
        usable = self.observations.select(species & pictures)
        stored = picture_vectors(usable, self.binder, self.place.workspace, progress=self.progress)
        self.left_out.setdefault("image", []).extend(
            {"id": one.id, "reason": one.reason} for one in stored.skipped
        )
        readable = set(stored.ids)
        self.usable = usable.select(np.array([one in readable for one in usable.ids], dtype=bool))
        self._images = stored
        for split in ("train", "val"):
            if len(self.usable.where(split=split)) == 0:
                raise DataError(
                    f"No observation of the {split} split can be used: it has pictures with a "
                    "species. Patches are chosen on val and reported on test; split anew."
                )
        self._keep_apart()

    def _keep_apart(self) -> None:
        """Take out of the val split what shares its unit with the test split.

        Published splits cut units (an evening of one observer); what is reported would then be what
        was chosen for.

        Raises:
            DataError: Nothing is left to choose on.
        """
        reported = set(self.usable.where(split="test").column("unit").tolist())
        chosen = self.usable.where(split="val")
        cut = np.array([unit in reported for unit in chosen.column("unit")], dtype=bool)
        self._note("selection", chosen.select(cut), "its unit is in the test split too")
        self._selected = chosen.select(~cut)
        if len(self._selected) == 0:
            raise DataError(
                "Every unit of the val split is in the test split too, so a patch would be chosen "
                "on what is reported. Split by unit anew: --split made."
            )
        if cut.any():
            self.progress.say(
                f"{int(cut.sum())} of {len(cut)} observations of the val split are not chosen on: "
                "their units are in the test split too"
            )
        units = self._selected.column("unit").tolist()
        check_disjoint(units, reported, "units")

    def _note(self, what: str, left: Observations, reason: str) -> None:
        if len(left):
            entry = [{"id": one, "reason": reason} for one in left.ids]
            self.left_out.setdefault(what, []).extend(entry)

    @cached_property
    def projected(self) -> dict[str, Sense]:
        """The senses in the binder's dimensions."""
        return {name: self.in_dimensions(sense) for name, sense in self.senses.items()}

    def in_dimensions(self, sense: Sense) -> Sense:
        """A sense in the binder's dimensions."""
        return in_dimensions(sense, self.binder.dim, self.config.seed)

    def training_rows(self, senses: Mapping[str, Sense]) -> Observations:
        """The training observations that have one of some senses, all of which can be read."""
        train = self.usable.where(split="train")
        some, broken = np.zeros(len(train), dtype=bool), set[str]()
        for name, sense in senses.items():
            has = known(train, sense)
            if not has.any():
                raise DataError(
                    f"No training observation has a {name}. Leave that sense out, or take another "
                    "set."
                )
            some |= has
            if name in ("place", "climate"):
                continue
            # As it was loaded: what can be read does not depend on what was learned since.
            stored = sense_vectors(
                train, self.senses[name], self.place.workspace, progress=self.progress
            )
            skipped = {one.id: one.reason for one in stored.skipped}
            broken |= skipped.keys()
            noted = {entry["id"] for entry in self.left_out.get(name, [])}
            self.left_out.setdefault(name, []).extend(
                {"id": one, "reason": reason} for one, reason in skipped.items() if one not in noted
            )
        return train.select(some & np.array([one not in broken for one in train.ids], dtype=bool))

    def run(self, verb: str, config: Mapping[str, Any]) -> Run:
        """The run of a stage; results of another version of syntype are not taken for its own."""
        return Run.at(self.place.workspace, verb, {"version": __version__, **config})

    def locked(self, name: str, sense: Sense) -> Bound:
        """A sense bound to the binder as it is.

        Args:
            name: Which sense.
            sense: In the binder's dimensions.
        """
        return self._made(Tuning("locked", {name: sense}))

    def unlocked(
        self,
        senses: Mapping[str, Sense],
        temperatures: Mapping[str, Tensor],
        tower: Mapping[str, Tensor] | None = None,
    ) -> Bound:
        """Senses and the image tower tuned together.

        Args:
            senses: Where they start: as locked tuning left them.
            temperatures: Theirs.
            tower: Where the image tower starts; None takes the binder's own.
        """
        return self._made(Tuning("unlocked", senses, temperatures, tower))

    def _made(self, tuning: Tuning) -> Bound:
        """A training's result: read, or made and written."""
        rows = self.training_rows(tuning.senses)
        run = self.run(f"bind-{tuning.step}", self._described(rows, tuning))
        with run.working():
            if not run.finished:
                self.progress.say(f"{run.verb} {' + '.join(tuning.senses)}: {run.folder}")
                folder = run.path("checkpoints")
                if self.gang is not None:
                    self.gang(tuning, folder)
                bound = self.train(tuning, rows, folder)
                write_bound(bound, run.folder)
                run.finish(last=bound.history[-1])
                checkpoint.clear(folder)
        return read_bound(run.folder, tuning.senses)

    def train(self, tuning: Tuning, rows: Observations, folder: Path, world: World = SOLO) -> Bound:
        """Train to the end, or go on from the checkpoints in a folder; nothing else is written.

        Args:
            tuning: What to train.
            rows: Its observations, as `training_rows` gives them.
            folder: Where checkpoints go; metrics go beside it.
            world: Who takes part; the first process writes the metrics.
        """
        binder = with_tower(self.binder, tuning.tower)
        lesson = Lesson(rows, binder, tuning.senses, self.config, tuning.temperatures)
        described = {"verb": f"bind-{tuning.step}", "senses": list(tuning.senses)}
        metrics = None
        if world.rank == 0:
            metrics = Tracking(folder.parent, self.place.track, described, self.progress)
        with metrics or nullcontext():
            setting = Setting(folder, world, self.progress, metrics)
            if tuning.step == "unlocked":
                return bind_unlocked(lesson, setting)
            images = self._images.take(self._images.rows_of(rows.ids))
            return bind_locked(lesson, images, setting)

    def _described(self, rows: Observations, tuning: Tuning) -> dict[str, Any]:
        """What determines a training."""
        config, start = self.config, tuning.temperatures
        return {
            "observations": rows.revision,
            "binder": with_tower(self.binder, tuning.tower).key,
            "senses": {name: sense.key for name, sense in tuning.senses.items()},
            "temperatures": {name: one.flatten().tolist() for name, one in start.items()},
            "losses": {name: config.loss_of(name, PUBLISHED) for name in tuning.senses},
            "background": config.background,
            "scale": config.scale,
            "binder_lr": config.binder_lr if tuning.step == "unlocked" else None,
            "train": plain(config.training(tuning.step)),
        }

    def selection(self) -> Selection:
        """The validation split, with the names of all species of the set."""
        rows = self._selected
        species = taxa_at(self.usable.taxa())
        place = {name: row for row, name in enumerate(species)}
        labels = np.array([place[taxon.at("species")] for taxon in rows.taxa()], dtype=np.int64)
        names = None
        if self.binder.encode_texts is not None:
            names = text_vectors(
                self.binder, self.words(list(species.values())), self.place.workspace, self.progress
            )
        return Selection(rows, labels, names)

    def words(self, taxa: Sequence[Taxon]) -> list[str]:
        """Taxa in the words that pictures are compared with."""
        return [caption(taxon, "taxonomic", self.config.prompt) for taxon in taxa]


def write_bound(bound: Bound, folder: Path) -> None:
    """Save what a training gave, or what another starts from; the card is written last.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    card: dict[str, Any] = {"senses": {}, "tower": None, "history": bound.history}
    for name, sense in bound.senses.items():
        state = sense.module.state_dict()
        write_tensors(folder / f"{name}.safetensors", state)
        card["senses"][name] = {
            "weights": weights_hash(state),
            "temperature": bound.temperatures[name].flatten().tolist(),
        }
    if bound.tower is not None:
        write_tensors(folder / _BINDER, bound.tower)
        card["tower"] = weights_hash(bound.tower)
    files.write_json(folder / _CARD, card)


def read_bound(folder: Path, senses: Mapping[str, Sense]) -> Bound:
    """What `write_bound` saved.

    Args:
        folder: Where it lies.
        senses: Those that were saved, with any weights.
    """
    card = files.read_json(folder / _CARD)
    temperatures = {
        name: torch.tensor(card["senses"][name]["temperature"]).view(-1, 1) for name in senses
    }
    return Bound(
        senses={
            name: with_weights(
                sense,
                read_state(folder / f"{name}.safetensors"),
                float(scale_of(temperatures[name])),
            )
            for name, sense in senses.items()
        },
        temperatures=temperatures,
        tower=read_state(folder / _BINDER) if card["tower"] else None,
        history=card["history"],
    )
