"""How the two costly stages make their artefact; the workshop decides whether and where.

Clusters of the training split, and an encoder trained on it. Labels, centroids and vectors all
follow the rows of the training split.
"""

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from torch import Tensor, nn

from syntype import files
from syntype.clustering.clusters import Clusters, cluster
from syntype.clustering.kmeans import draw_seeds
from syntype.clustering.quality import joint_features, leak_warning, quality
from syntype.configs import ClusterConfig, Objective, TrainConfig, Workplace
from syntype.data.dataset import Dataset
from syntype.data.media import Pictures
from syntype.embeddings.texts import text_vectors
from syntype.encoders.encoder import Encoder, require_text, unit
from syntype.encoders.from_checkpoint import save_checkpoint
from syntype.encoders.load import resolve_device
from syntype.encoders.text_tower import TextTower
from syntype.errors import TrainingError, UsageError, VectorError
from syntype.provenance import plain
from syntype.runs import Run
from syntype.sweep import gang
from syntype.sweep.orders import TrainOrder
from syntype.taxonomy.text import caption, taxa_of
from syntype.training import checkpoint
from syntype.training.adapt import adapt
from syntype.training.centres import class_means
from syntype.training.controls import random_labels, species_labels
from syntype.training.finetune import finetune
from syntype.training.loop import Setting, Trained
from syntype.training.pairing import contrast
from syntype.training.parallel import SOLO, World
from syntype.training.rounds import Relabel
from syntype.training.tracking import Tracking

if TYPE_CHECKING:
    from syntype.sweep.workshop import Clustering, Model, Workshop

_SEEDS = "seeds.npy"


class _Targets(NamedTuple):
    """What a training trains against."""

    labels: Int[Tensor, "n l"]
    n_classes: int
    centroids: Float[Tensor, "k d"] | None


def cluster_split(
    workshop: "Workshop", model: "Model", config: ClusterConfig, run: Run, *, most: int
) -> None:
    """Cluster the training split in the model's space, and finish the run.

    The first centres are drawn for the k `most`, and kept for the other k.

    Raises:
        UsageError: k cannot be.
        EncoderError: Joint features are asked of an encoder without a text tower.
    """
    vectors, samples = workshop.part(model, "train")
    species = samples.column("species").tolist()
    warning = ""
    if config.features == "joint":
        texts = _text_vectors(workshop, workshop.encoder(model.spec), samples)
        joint = joint_features(vectors, texts)
        warning = leak_warning(vectors, joint, species, seed=config.seed) or ""
        vectors = joint
        workshop.progress.say(warning or "the captions show no sign of naming the species")
    first = None
    if config.within == "all":
        seeds_run = workshop.seeds_run(model.vectors.key.name, config)
        first = _first_centres(vectors, config, seeds_run, most, workshop.place.device)
    found = _clustered(workshop, vectors, samples, config, first)
    measured = quality(found.label, species, found.k).as_json()
    replace(found, quality={**measured, "warning": warning}).save(run.folder)
    run.finish(k=found.k, objective=found.objective)


def _clustered(
    workshop: "Workshop",
    vectors: Float[np.ndarray, "n d"],
    samples: Dataset,
    config: ClusterConfig,
    first: Int[Tensor, "m"] | None = None,
) -> Clusters:
    column = "taxonGroup" if config.within == "group" else "species"
    return cluster(
        vectors,
        samples.ids,
        config,
        groups=samples.column(column).tolist(),
        first=first,
        device=resolve_device(workshop.place.device),
        progress=workshop.progress,
    )


def _first_centres(
    vectors: Float[np.ndarray, "n d"], config: ClusterConfig, run: Run, most: int, device: str
) -> Int[Tensor, "m"]:
    """The pictures that k-means starts from, at least k of them: drawn once, read after that.

    Raises:
        UsageError: There are fewer pictures than k.
        VectorError: There are fewer different ones.
    """
    path = run.path(_SEEDS)
    with run.working():
        if path.is_file() and len(kept := np.load(path)) >= config.k:
            return torch.from_numpy(kept)
        try:
            drawn = _drawn(vectors, most if most <= len(vectors) else config.k, config, device)
        except VectorError:  # too few differ for the largest k, but perhaps not for this one
            drawn = _drawn(vectors, config.k, config, device)
        with files.atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.save(handle, drawn.numpy())
    return drawn


def _drawn(
    vectors: Float[np.ndarray, "n d"], k: int, config: ClusterConfig, device: str
) -> Int[Tensor, "k"]:
    where = resolve_device(device)
    return draw_seeds(vectors, k, init=config.init, seed=config.seed, device=where).cpu()


def _text_vectors(
    workshop: "Workshop", encoder: Encoder, samples: Dataset
) -> Float32[np.ndarray, "n d"]:
    """The vector of each sample's caption."""
    require_text(encoder, "Use --cluster.features image")
    texts = [caption(taxon) for taxon in taxa_of(samples.table)]
    return text_vectors(encoder, texts, workshop.place.workspace, workshop.progress)


@dataclass(frozen=True)
class Lesson:
    """A training: where it starts, what against, how.

    Attributes:
        base: Where it starts.
        objective: Clusters, species labels, words, or the clusters' labels dealt at random.
        clustering: The clusters, for the objectives that need them.
        config: How to train.
    """

    base: "Model"
    objective: Objective
    clustering: "Clustering | None"
    config: TrainConfig


def train_split(workshop: "Workshop", lesson: Lesson, run: Run) -> None:
    """Train an encoder on the training split, save it in the run, and finish the run.

    With several processes the others train first (`gang`), and here their last checkpoint is read.

    Raises:
        TrainingError: It diverged, or there is nothing to learn from.
    """
    checkpoints = run.path("checkpoints")
    if workshop.place.processes > 1:
        gang.march(_order(workshop, lesson, checkpoints), workshop.progress)
    trained, text = train_on(workshop, lesson, checkpoints)
    encoder = workshop.encoder(lesson.base.spec)
    save_trained(run, lesson.base.spec, encoder, lesson.config, trained, text)
    checkpoint.clear(checkpoints)


def save_trained(
    run: Run,
    base: str,
    encoder: Encoder,
    config: TrainConfig,
    trained: Trained,
    text: TextTower | None,
) -> None:
    """Save what a training of `encoder`, whose spec is `base`, gave, and finish its run."""
    save_checkpoint(
        run.path("encoder"),
        kind="adapter" if config.mode == "adapt" else "tower",
        base=base,
        base_identity=encoder.identity,
        state=trained.module.state_dict(),
        dim=encoder.dim,
        text=text,
    )
    files.write_json(run.path("history.json"), trained.history)
    n_classes = 0 if trained.prototypes is None else len(trained.prototypes)
    run.finish(n_classes=n_classes, last=trained.history[-1])


def _order(workshop: "Workshop", lesson: Lesson, folder: Path) -> TrainOrder:
    assert workshop.samples is not None, "only an opened workshop can be opened by others"
    clustering = lesson.clustering
    return TrainOrder(
        samples=workshop.samples,
        embed=workshop.embed,
        place=workshop.place,
        base=lesson.base.spec,
        objective=lesson.objective,
        cluster=None if clustering is None else clustering.config,
        train=lesson.config,
        folder=folder.resolve(),
    )


def train_on(
    workshop: "Workshop", lesson: Lesson, folder: Path, world: World = SOLO
) -> tuple[Trained, TextTower | None]:
    """Train to the end, or go on from the checkpoints in `folder`; nothing else is written.

    Args:
        workshop: Where the pictures are.
        lesson: What to train.
        folder: Where checkpoints and metrics go.
        world: Who takes part; the first process writes the metrics.

    Returns:
        The encoder, and the text tower that was trained with it, if one was.
    """
    place = workshop.place
    described = {"objective": lesson.objective, "base": lesson.base.spec, **plain(lesson.config)}
    metrics = None
    if world.rank == 0:
        metrics = Tracking(folder.parent, place.track, described, workshop.progress)
    with metrics or nullcontext():
        setting = Setting(folder, world, workshop.progress, metrics)
        if lesson.objective == "contrastive":
            return _contrasted(workshop, lesson, setting)
        return _discriminated(workshop, lesson, setting), None


def _discriminated(workshop: "Workshop", lesson: Lesson, setting: Setting) -> Trained:
    """Trained against labels."""
    base, config = lesson.base, lesson.config
    vectors, samples = workshop.part(base, "train")
    encoder = workshop.encoder(base.spec)
    cached = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    targets = _targets(lesson, samples)
    relabel = None
    if config.rounds > 1:
        relabel = _relabelling(workshop, lesson, targets)
    if config.mode == "adapt":
        return adapt(
            cached,
            targets.labels,
            targets.n_classes,
            config,
            centroids=targets.centroids,
            device=str(encoder.device),
            relabel=relabel,
            setting=setting,
        )
    start = targets.centroids
    if start is None:
        start = class_means(cached, targets.labels, targets.n_classes, config.seed)
    return finetune(
        encoder,
        partial(_read, Pictures(samples, encoder.preprocess)),
        targets.labels,
        targets.n_classes,
        config,
        centroids=start,
        workers=readers(workshop.place, setting.world),
        relabel=relabel,
        setting=setting,
    )


def _contrasted(
    workshop: "Workshop", lesson: Lesson, setting: Setting
) -> tuple[Trained, TextTower]:
    """Trained against words.

    Raises:
        UsageError: Adapters are asked for, or rounds.
    """
    config = lesson.config
    if config.mode == "adapt" or config.rounds > 1:
        raise UsageError(
            "The objective contrastive trains both towers, once: set --train.mode finetune and "
            "--train.rounds 1, or leave it out."
        )
    _, samples = workshop.part(lesson.base, "train")
    encoder = workshop.encoder(lesson.base.spec)
    return contrast(
        encoder,
        partial(_read, Pictures(samples, encoder.preprocess)),
        taxa_of(samples.table),
        config,
        workers=readers(workshop.place, setting.world),
        setting=setting,
    )


def _read(pictures: Pictures, rows: Int[np.ndarray, "b"]) -> UInt8[Tensor, "b 3 h w"]:
    return pictures.batch(rows, on_error="stop").images


def readers(place: Workplace, world: World) -> int:
    """Processes that read pictures for this one: what was asked for, or its share of the others.

    With one processor there is nothing to gain from a second process.
    """
    n = place.workers or len(os.sched_getaffinity(0)) // world.size
    return n if n > 1 else 0


def _targets(lesson: Lesson, samples: Dataset) -> _Targets:
    """Labels, their number, and the centroids that the loss may start from."""
    objective, clustering, config = lesson.objective, lesson.clustering, lesson.config
    if objective == "species":
        labels = species_labels(samples.column("species").tolist())
        return _Targets(torch.from_numpy(labels), int(labels.max()) + 1, None)
    assert clustering is not None, "clusters and random labels come from a clustering"
    clusters = clustering.clusters
    assert list(clusters.ids) == samples.ids, "clusters and training samples are the same rows"
    labels = clusters.labels.astype(np.int64)
    if objective == "random":
        return _Targets(torch.from_numpy(random_labels(labels, config.seed)), clusters.k, None)
    return _Targets(torch.from_numpy(labels), clusters.k, torch.from_numpy(clusters.centres))


def _relabelling(workshop: "Workshop", lesson: Lesson, targets: _Targets) -> Relabel:
    """What starts each further round: new clusters, or for the controls the same labels."""
    base, config, clustering = lesson.base, lesson.config, lesson.clustering
    vectors, samples = workshop.part(base, "train")
    encoder = workshop.encoder(base.spec)

    def relabel(module: nn.Module, number: int) -> tuple[Int[Tensor, "n l"], Float[Tensor, "k d"]]:
        if config.mode == "adapt":
            device = next(module.parameters()).device
            with torch.inference_mode():
                moved = module(torch.from_numpy(vectors).float().to(device)).cpu().numpy()
        else:
            moved = _encode(module, encoder, samples, workshop)
        workshop.progress.say(f"round {number + 1} of {config.rounds}")
        if lesson.objective != "clusters" or clustering is None:
            means = class_means(
                torch.from_numpy(moved), targets.labels, targets.n_classes, config.seed
            )
            return targets.labels, means
        found = _clustered(workshop, moved, samples, clustering.config)
        return torch.from_numpy(found.labels.astype(np.int64)), torch.from_numpy(found.centres)

    return relabel


def _encode(
    module: nn.Module, encoder: Encoder, samples: Dataset, workshop: "Workshop"
) -> Float32[np.ndarray, "n d"]:
    """Vectors of all samples by the tower as it is now."""
    blocks = []
    stream = Pictures(samples, encoder.preprocess).stream(
        np.arange(len(samples)),
        workshop.embed.batch_size,
        workers=workshop.place.workers,
        on_error="stop",
    )
    module.eval()
    with torch.inference_mode():
        for batch in stream:
            found = unit(module(encoder.normalise(batch.images)), encoder.name)
            blocks.append(found.cpu().numpy())
    if not blocks:
        raise TrainingError("There is no training picture to cluster anew.")
    return np.concatenate(blocks).astype(np.float32)
