"""A bindery is opened: by the process that owns a binding, and by each that trains for it.

Both read the same observations, warm up the same binder and load the same senses. The owner hands a
training out (`gang`) with an order that says which one it is; what it starts from, where that is
more than what is loaded, lies in a folder beside it. The others find every stage before it done,
train their share, and leave checkpoints.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from syntype.binding.bind import Bound, check_sense
from syntype.binding.material import Album
from syntype.binding.stages import Bindery, Tuning, read_bound, write_bound
from syntype.configs import Workplace
from syntype.configs.bind import BindConfig
from syntype.data.observations import Observations, read_observations
from syntype.encoders.encoder import Encoder
from syntype.encoders.from_checkpoint import save_checkpoint
from syntype.encoders.load import load_encoder
from syntype.encoders.text_tower import TextTower
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.runs import Run
from syntype.senses.load import load_sense
from syntype.senses.sense import Sense
from syntype.sweep import gang
from syntype.sweep.orders import BindOrder
from syntype.training import checkpoint
from syntype.training.loop import Setting, Trained
from syntype.training.pairing import contrast
from syntype.training.parallel import World
from syntype.version import __version__


def open_bindery(order: BindOrder, progress: Progress = SILENT) -> Bindery:
    """Read the observations, warm up the binder if that is asked for, and load the senses.

    Args:
        order: What is bound, how and where; which training it asks for is not looked at.
        progress: Where to say how far it is.

    Raises:
        UsageError: A sense does not fit; see `loaded`.
        DataError: The observations cannot be used.
        EncoderError: The binder or a sense cannot be loaded.
        TrainingError: The warm-up diverged.
        Paused: A signal asked for a pause.
    """
    senses = {
        name: loaded(name, spec, order.config, order.place) for name, spec in order.senses.items()
    }
    observations = _observations(order, progress)
    binder = _warmed(observations, order, progress)
    bindery = Bindery(observations, binder, senses, order.config, order.place, progress)
    if order.place.processes > 1:
        bindery.gang = partial(_tune_together, order, progress)
    return bindery


def loaded(name: str, spec: str, config: BindConfig, place: Workplace) -> Sense:
    """The sense that a spec names, where it can be bound as that.

    Raises:
        UsageError: It is of another modality than `name`, or its loss wants random places that it
            cannot be given.
        EncoderError: It cannot be loaded.
    """
    sense = load_sense(spec, place.device)
    if sense.modality != name:
        raise UsageError(f"{spec} is of {sense.modality}, not of {name}: give it as that.")
    check_sense(sense, config)
    return sense


def work_bound(order: BindOrder, world: World, progress: Progress) -> None:
    """What a process of a gang does of a training of a binding."""
    if order.step == "warm":
        base = load_encoder(order.encoder, order.place.device)
        usable = _named(_observations(order, SILENT))
        _warm(base, usable, order, Setting(order.folder, world, progress))
        return
    alone = replace(order.place, processes=1)
    bindery = open_bindery(replace(order, place=alone))
    bindery.progress = progress  # the owner has said what came before
    tuning = _tuning(bindery, order)
    bindery.train(tuning, bindery.training_rows(tuning.senses), order.folder, world)


def _observations(order: BindOrder, progress: Progress) -> Observations:
    place = order.place
    return read_observations(
        order.data,
        workspace=place.workspace,
        config=order.samples,
        progress=progress,
        workers=place.workers,
    )


def _named(observations: Observations) -> Observations:
    """The training observations with a picture and a species: what a binder is warmed up on."""
    usable = observations.select(observations.has("image")).where(split="train")
    return usable.select(np.array([one.at("species") != "" for one in usable.taxa()], dtype=bool))


def _warmed(observations: Observations, order: BindOrder, progress: Progress) -> Encoder:
    """The binder, trained on pictures and names before if that is asked for."""
    place = order.place
    base = load_encoder(order.encoder, place.device)
    if not order.config.warm_epochs:
        return base
    usable = _named(observations)
    described = {
        "version": __version__,
        "observations": usable.revision,
        "base": base.key,
        "train": plain(order.config.training("warm")),
    }
    run = Run.at(place.workspace, "bind-warm", described)
    with run.working():
        if not run.finished:
            progress.say(f"warm-up of {order.encoder}: {run.folder}")
            folder = run.path("checkpoints")
            if place.processes > 1:
                gang.march(replace(order, step="warm", folder=folder.resolve()), progress)
            trained, text = _warm(base, usable, order, Setting(folder, progress=progress))
            save_checkpoint(
                run.path("encoder"),
                kind="tower",
                base=order.encoder,
                base_identity=base.identity,
                state=trained.module.state_dict(),
                dim=base.dim,
                text=text,
            )
            run.finish(last=trained.history[-1])
            checkpoint.clear(folder)
    return load_encoder(f"checkpoint:{run.path('encoder')}", place.device)


def _warm(
    base: Encoder, usable: Observations, order: BindOrder, setting: Setting
) -> tuple[Trained, TextTower]:
    """Train a binder on pictures and names, or go on from the setting's checkpoints."""
    album = Album(usable, base.preprocess)
    train = order.config.training("warm")
    return contrast(base, album.read, usable.taxa(), train, setting=setting)


def _tune_together(order: BindOrder, progress: Progress, tuning: Tuning, folder: Path) -> None:
    """Do a tuning in several processes, up to its last checkpoint in `folder`."""
    asked = replace(
        order,
        senses={name: order.senses[name] for name in tuning.senses},
        step=tuning.step,
        tuned={name: sense.name for name, sense in tuning.senses.items()},
        folder=folder.resolve(),
    )
    if tuning.step == "locked":  # from what its spec loads
        gang.march(asked, progress)
        return
    with tempfile.TemporaryDirectory(prefix="syntype-start-") as name:
        start = Path(name)
        tower = None if tuning.tower is None else dict(tuning.tower)
        write_bound(Bound(tuning.senses, tuning.temperatures, tower, []), start)
        gang.march(replace(asked, start=start), progress)


def _tuning(bindery: Bindery, order: BindOrder) -> Tuning:
    """The tuning that an order asks for."""
    assert order.step != "warm", "the warm-up tunes no sense"
    senses = _tuned(bindery, order)
    if order.start is None:
        return Tuning(order.step, senses)
    start = read_bound(order.start, senses)
    return Tuning(order.step, start.senses, start.temperatures, start.tower)


def _tuned(bindery: Bindery, order: BindOrder) -> Mapping[str, Sense]:
    """The senses of an order in the binder's dimensions, as their specs load them."""
    return {
        name: bindery.projected[name]
        if spec == bindery.senses[name].name
        else bindery.in_dimensions(loaded(name, spec, order.config, order.place))
        for name, spec in order.tuned.items()
    }
