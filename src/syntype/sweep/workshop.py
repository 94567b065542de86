"""The stages of the main job over one dataset; each is skipped when its result is there already.

Data enter once, as a `Dataset`; results leave as folders below the workspace, each named by the
hash of what determines it. So asking twice costs nothing, two sweeps share what they have in
common, and a killed job goes on where it stopped. The workshop owns the order of rows: every model
is scored on the same pictures, those that could be read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from syntype.clustering.clusters import Clusters
from syntype.configs import (
    ClusterConfig,
    DataConfig,
    EmbedConfig,
    Objective,
    OnError,
    SweepConfig,
    Task,
    TaskOptions,
    TrainConfig,
    Workplace,
)
from syntype.data.dataset import Dataset
from syntype.data.load import load_dataset
from syntype.embeddings.embed import derive, derived_key, embed, key_of
from syntype.embeddings.store import Embeddings, StoreKey
from syntype.encoders.encoder import Encoder
from syntype.encoders.from_checkpoint import checkpoint_identity, load_adapter, load_checkpoint
from syntype.encoders.load import load_encoder, resolve_device
from syntype.errors import DataError, IncompleteError, MediaError, UsageError
from syntype.evaluation.episodes import FILE as EPISODES
from syntype.evaluation.scores import Scores
from syntype.evaluation.tasks import learns, run_task
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.report.data import Role
from syntype.runs import Run
from syntype.sweep.bench import bench_of, determining
from syntype.sweep.make import Lesson, cluster_split, train_split
from syntype.sweep.memory import remember
from syntype.version import __version__

TRAINED_NAMES: Mapping[Objective, str] = {
    "clusters": "clusters",
    "contrastive": "contrastive",
    "species": "species labels",
    "random": "random labels",
}


@dataclass(frozen=True)
class Model:
    """An encoder with its vectors of the whole dataset, as it appears in a comparison.

    Attributes:
        name: What a reader sees.
        role: What it is compared as.
        spec: The spec string that loads it.
        vectors: Unit vectors of every picture that could be read.
        k: Number of classes it was trained on, if it was.
        seed: Seed of its training.
    """

    name: str
    role: Role
    spec: str
    vectors: Embeddings
    k: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Clustering:
    """Clusters of the training pictures, the key of the run that made them, and how."""

    clusters: Clusters
    key: str
    config: ClusterConfig


@dataclass
class Workshop:
    """One dataset on one machine, with everything that has been made from it.

    Attributes:
        dataset: The samples.
        embed: How pictures become vectors.
        place: Where to work.
        on_error: What to do with a picture that cannot be read.
        progress: Where to say how far the work is.
        samples: Where the dataset came from, so that another process can open it too.
        may_train: Whether what is not trained yet may be trained here; a report's job may not.
    """

    dataset: Dataset
    embed: EmbedConfig
    place: Workplace
    on_error: OnError = "skip"
    progress: Progress = SILENT
    samples: DataConfig | None = None
    may_train: bool = True
    _encoders: dict[str, Encoder] = field(default_factory=dict)

    @classmethod
    def open(
        cls, samples: DataConfig, embed: EmbedConfig, place: Workplace, progress: Progress = SILENT
    ) -> "Workshop":
        """Read the dataset and set up; nothing is computed yet.

        Raises:
            DataError: The dataset is not as it must be.
        """
        dataset = load_dataset(
            samples, workspace=place.workspace, progress=progress, workers=place.workers
        )
        return cls(dataset, embed, place, samples.on_error, progress, samples)

    def run(self, verb: str, config: Mapping[str, Any]) -> Run:
        """The run of a stage; results of another version of syntype are not taken for its own."""
        return Run.at(self.place.workspace, verb, {"version": __version__, **config})

    def sweep_run(self, config: SweepConfig) -> Run:
        """Where the sweep over this dataset lies, or will."""
        return self.run("sweep", {"data": self.dataset.revision, "sweep": plain(config)})

    def encoder(self, spec: str) -> Encoder:
        """The encoder that `spec` names, loaded once; its identity is remembered for plans."""
        if spec not in self._encoders:
            self.progress.say(f"loading {spec}")
            self._encoders[spec] = load_encoder(spec, self.place.device)
            remember(self.place.workspace, spec, self._encoders[spec].identity)
        return self._encoders[spec]

    def vectors(self, encoder: Encoder) -> Embeddings:
        """The encoder's vectors of all pictures.

        Raises:
            MediaError: A picture cannot be read, and `on_error` is "stop".
        """
        key = key_of(self.dataset, encoder.identity, self.embed.dtype)
        with self.store(key).working() as run:
            self.progress.say(f"vectors of {encoder.name}: {run.folder}")
            found = embed(
                self.dataset,
                encoder,
                self.embed,
                run.folder,
                on_error=self.on_error,
                workers=self.place.workers,
                progress=self.progress,
            )
        if skipped := found.skipped:
            text = f"{len(skipped)} pictures cannot be read, first {skipped[0].id}: "
            text += skipped[0].reason
            # Vectors made with "skip" are there already when "stop" is asked for later.
            if self.on_error == "stop":
                raise MediaError(f"{text}. Mend or remove them, or use --on-error skip.")
            self.progress.say(f"left out: {text}")
        return found

    def store(self, key: StoreKey) -> Run:
        """The folder of a set of vectors, as a run so that one process writes it."""
        return Run("embed", plain(key), self.place.workspace / "embed" / key.name)

    def model(self, spec: str, role: Role) -> Model:
        """An encoder as it is, with its vectors."""
        encoder = self.encoder(spec)
        return Model(spec, role, spec, self.vectors(encoder))

    def part(self, model: Model, split: str) -> tuple[np.ndarray, Dataset]:
        """The vectors and samples of a split, or of "all"; rows aligned, unreadable pictures out.

        Raises:
            DataError: The split is empty.
        """
        samples = self.dataset if split == "all" else self.dataset.where(split=split)
        readable = set(model.vectors.ids)
        samples = samples.select(np.asarray([one in readable for one in samples.ids], dtype=bool))
        if len(samples) == 0:
            raise DataError(
                f"The {split} split has no readable picture. Make a split with --split made, or "
                "change its shares with --split-fractions."
            )
        return model.vectors.take(model.vectors.rows_of(samples.ids)), samples

    def clusters(self, model: Model, config: ClusterConfig, most: int = 0) -> Clustering:
        """Clusters of the training pictures in the model's space.

        Args:
            model: The model.
            config: How to cluster.
            most: The largest k that will be asked for: its first centres are drawn once for all.
        """
        run = self.cluster_run(model.vectors.key.name, config)
        with run.working():
            if not run.finished:
                cluster_split(self, model, config, run, most=max(most, config.k))
        return Clustering(Clusters.load(run.folder), run.key, config)

    def seeds_run(self, vectors_key: str, config: ClusterConfig) -> Run:
        """Where the first centres of these vectors' clusterings lie, whatever their k."""
        how = {name: getattr(config, name) for name in ("features", "init", "seed")}
        return self.run(
            "seeds", {"vectors": vectors_key, "data": self.dataset.revision, "seeds": how}
        )

    def cluster_run(self, vectors_key: str, config: ClusterConfig) -> Run:
        """Where the clusters of these vectors lie, or will."""
        return self.run(
            "cluster",
            {"vectors": vectors_key, "data": self.dataset.revision, "cluster": plain(config)},
        )

    def trained(
        self,
        base: Model,
        objective: Objective,
        clustering: Clustering | None,
        config: TrainConfig,
    ) -> Model:
        """The encoder that training `base` against the objective gives, with its vectors.

        Args:
            base: Where the training starts.
            objective: Clusters, species labels, or the clusters' labels dealt at random.
            clustering: The clusters; not needed for species.
            config: How to train.

        Raises:
            TrainingError: It diverged, or there is nothing to learn from.
            IncompleteError: It is not trained yet, and may not be trained here.
        """
        targets = None if clustering is None else clustering.key
        run = self.train_run(base.vectors.key.name, objective, targets, config)
        with run.working():
            if not run.finished:
                if not self.may_train:
                    raise IncompleteError(f"{TRAINED_NAMES[objective]} are not trained yet.")
                train_split(self, Lesson(base, objective, clustering, config), run)
        folder = run.path("encoder")
        if config.mode == "adapt":
            vectors = self.adapted(base, folder)
        else:
            vectors = self.vectors(load_checkpoint(folder, str(resolve_device(self.place.device))))
        name, k = TRAINED_NAMES[objective], int(run.record["n_classes"]) or None
        return Model(name, objective, f"checkpoint:{folder}", vectors, k, config.seed)

    def adapted(self, base: Model, folder: Path) -> Embeddings:
        """Vectors of the adapter in `folder`, derived from its base's without any picture."""
        identity = checkpoint_identity(folder)
        with self.store(derived_key(base.vectors, identity, self.embed.dtype)).working() as run:
            return derive(
                base.vectors,
                load_adapter(folder).transform,
                identity,
                run.folder,
                dtype=self.embed.dtype,
                progress=self.progress,
            )

    def train_run(
        self, base_key: str, objective: Objective, clusters_key: str | None, config: TrainConfig
    ) -> Run:
        """Where the training of these vectors' encoder against these clusters lies, or will."""
        return self.run(
            "train",
            {
                "base": base_key,
                "data": self.dataset.revision,
                "objective": objective,
                "clusters": clusters_key,
                "train": plain(config),
            },
        )

    def score_run(
        self, model: Model, split: str, options: TaskOptions, task: Task = "retrieval"
    ) -> Run:
        """Where the model's scores on a split lie, or will; resamples are drawn later."""
        return self.run(
            "evaluate",
            {
                "vectors": model.vectors.key.name,
                "data": self.dataset.revision,
                "split": split,
                "evaluate": determining(task, options),
            },
        )

    def scores(
        self, model: Model, split: str, options: TaskOptions, task: Task = "retrieval"
    ) -> Scores:
        """Scores of the model on one split, or on "all".

        Raises:
            UsageError: The task learns from pictures that it would be scored on.
        """
        if split in ("train", "all") and learns(task, options):
            raise UsageError(
                f"The task {task} learns from the train split, so it cannot be scored on {split}: "
                "use --on test."
            )
        run = self.score_run(model, split, options, task)
        with run.working():
            if not run.finished:
                self.progress.say(f"{task} of {model.name}")
                bench = bench_of(self, model, split, options)
                found, episodes = run_task(task, bench, options)
                found.save(run.folder)
                if episodes is not None:
                    episodes.save(run.path(EPISODES))
                data = "+".join(sorted(card.name for card in self.dataset.cards))
                run.finish(
                    n=len(found),
                    model=model.name,
                    encoder=model.spec,
                    data=data,
                    split=split,
                    task=task,
                )
        return Scores.load(run.folder)
