"""Training on a catalogue that is larger than memory: it starts as soon as its rows are counted.

Data enter as numbers (`syntype.data.stream`), pictures are read where they lie, and the encoder
leaves as from any other training. What needs vectors of all pictures first is not to be had this
way: clusters, adapters, first centres from centroids. A picture that cannot be read is replaced by
another of its species, and told in `unreadable.csv` in the training's folder.
"""

import csv
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from syntype.configs import DataConfig
from syntype.data.catalogue import Catalogue
from syntype.data.media import Pictures
from syntype.data.split_catalogue import sole_catalogue
from syntype.data.stream import Stream, TaxaOf, epoch_order, open_stream
from syntype.encoders.encoder import Encoder
from syntype.encoders.load import load_encoder, resolve_device
from syntype.encoders.text_tower import TextTower
from syntype.errors import MediaError, TrainingError, UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.runs import Run
from syntype.sweep import gang
from syntype.sweep.make import readers, save_trained
from syntype.sweep.orders import TrainOrder
from syntype.training import checkpoint
from syntype.training.controls import species_labels
from syntype.training.finetune import finetune
from syntype.training.loop import Setting, Trained
from syntype.training.pairing import contrast
from syntype.training.parallel import SOLO, World
from syntype.training.tracking import Tracking
from syntype.version import __version__

UNREADABLE = "unreadable.csv"


def catalogue_of(samples: DataConfig) -> Catalogue:
    """The one catalogue that the samples are.

    Raises:
        UsageError: They are something else, or a part of it.
        DataNotFoundError: There is no such catalogue.
    """
    catalogue = sole_catalogue(samples)
    if catalogue is None:
        raise UsageError(
            "--train.stream reads one whole catalogue: make it with `syntype data import` (and of "
            "chosen rows with `syntype data subset`), and name it with --data CATALOGUE."
        )
    return catalogue


def train_streamed(order: TrainOrder, progress: Progress = SILENT) -> Path:
    """Train an encoder on a catalogue, or find it trained; the folder that holds it.

    Args:
        order: What to train; its `folder` is the workspace's affair and not looked at.
        progress: Where to show how far it is.

    Raises:
        UsageError: The samples or the objective cannot be streamed.
        DataError: The catalogue has no picture to train on.
        TrainingError: The loss became NaN, or there is nothing to learn from.
        Paused: A signal asked for a pause.
    """
    if order.objective not in ("species", "contrastive"):
        raise UsageError(
            f"--train.stream cannot train against {order.objective}, which need vectors of all "
            "pictures: use --objective species or contrastive, or leave out --train.stream."
        )
    catalogue = catalogue_of(order.samples)
    progress.say(f"loading {order.base}")
    encoder = load_encoder(order.base, order.place.device)
    run = Run.at(
        order.place.workspace,
        "train",
        {
            "version": __version__,
            "base": encoder.key,
            "catalogue": catalogue.revision,
            "objective": order.objective,
            "train": plain(order.train),
        },
    )
    with run.working():
        if not run.finished:
            checkpoints = run.path("checkpoints")
            if order.place.processes > 1:
                gang.march(_in(order, checkpoints), progress)
            trained, text = train_share(_in(order, checkpoints), encoder, SOLO, progress)
            save_trained(run, order.base, encoder, order.train, trained, text)
            checkpoint.clear(checkpoints)
    if (told := run.path(UNREADABLE)).is_file():
        progress.say(f"Pictures that cannot be read were replaced by others: {told}")
    return run.path("encoder")


def _in(order: TrainOrder, folder: Path) -> TrainOrder:
    return replace(order, folder=folder.resolve())


def train_share(
    order: TrainOrder, encoder: Encoder, world: World, progress: Progress
) -> tuple[Trained, TextTower | None]:
    """Train this process's share, from the checkpoints in the order's folder on."""
    config, place = order.train, order.place
    stream = open_stream(catalogue_of(order.samples), progress=progress)
    species = species_labels([taxon.species for taxon in stream.taxa])[:, 0][stream.taxon]
    progress.say(f"{len(stream):,} pictures of {species.max() + 1:,} species")
    reading = _Reading(
        Pictures(stream, encoder.preprocess), stream, order.folder.parent / UNREADABLE
    )
    read = partial(_read, reading)
    mixed = partial(epoch_order, stream.layout, config.stream, config.seed)
    described = {"objective": order.objective, "base": order.base, **plain(config)}
    metrics = None
    if world.rank == 0:
        metrics = Tracking(order.folder.parent, place.track, described, progress)
    with metrics or nullcontext():
        setting = Setting(order.folder, world, progress, metrics)
        workers = readers(place, world)
        if order.objective == "contrastive":
            taxa = TaxaOf(stream)
            return contrast(
                encoder,
                read,
                taxa,
                config,
                labels=species,
                workers=workers,
                order=mixed,
                setting=setting,
            )
        labels = torch.from_numpy(species.reshape(-1, 1))
        n_classes = int(species.max()) + 1
        trained = finetune(
            encoder,
            read,
            labels,
            n_classes,
            config,
            workers=workers,
            order=mixed,
            setting=setting,
        )
        return trained, None


def work_streamed(order: TrainOrder, world: World, progress: Progress) -> None:
    """What a process of a gang does of a streamed training."""
    encoder = load_encoder(order.base, str(resolve_device(order.place.device)))
    train_share(order, encoder, world, progress)


@dataclass(frozen=True)
class _Reading:
    pictures: Pictures
    stream: Stream
    told: Path


def _read(reading: _Reading, rows: Int[np.ndarray, "b"]) -> UInt8[Tensor, "b 3 h w"]:
    reading.stream.expect(rows)
    batch = reading.pictures.batch(rows)
    if not batch.failures:
        return batch.images
    _tell(reading, batch.failures)
    found = dict(zip(batch.rows.tolist(), batch.images, strict=True))
    for row, _ in batch.failures:
        found[row] = _instead(reading, row)
    return torch.stack([found[row] for row in rows.tolist()])


def _tell(reading: _Reading, failures: tuple[tuple[int, str], ...]) -> None:
    """One line for each; several processes may write at once."""
    lines = [(reading.stream.name(row), reason) for row, reason in failures]
    with reading.told.open("a", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator=os.linesep).writerows(lines)


def _instead(reading: _Reading, row: int) -> UInt8[Tensor, "3 h w"]:
    """Another picture of the species of one that cannot be read: the next that can be."""
    others = np.flatnonzero(reading.stream.taxon == reading.stream.taxon[row])
    place = int(np.searchsorted(others, row))
    for other in [*others[place + 1 :], *others[:place]]:
        try:
            return torch.from_numpy(reading.pictures.picture(int(other)))
        except MediaError:
            continue
    raise TrainingError(
        f"No picture of the species of {reading.stream.name(row)} can be read. `syntype data "
        "curate` finds the pictures that cannot, and leaves them out."
    )
