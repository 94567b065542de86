"""Every verb's options: one frozen dataclass each, which the command line and TOML files fill.

This module imports nothing heavy, so that `--help` and `--dry-run` answer at once; the work lives
in the module named after the verb. The text below a field is its help on the command line and in
the generated reference. Options that determine a result are part of its identity (the hash of the
config names the run's folder); where to write and how to show progress are not, and stand apart
in `Workplace`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from cyclopts import Parameter

from syntype.errors import UsageError

OnError = Literal["stop", "skip"]
Dtype = Literal["float16", "float32"]
Reference = Literal["floor", "base", "baseline"]
Objective = Literal["clusters", "species", "random"]
Rank = Literal["species", "genus", "family", "order", "class", "phylum", "kingdom"]


# The encoder without weights that every learned one must beat.
FLOOR = "pixels"


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where to work and how to show it: never part of a result's identity."""

    workspace: Path = Path("runs")
    """Folder for vectors, clusters, models, scores and reports; everything in it can be reused."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, cuda:1, mps."""
    workers: int = 0
    """Threads that decode pictures; 0 takes one for each processor."""
    quiet: bool = False
    """Show no progress bars."""

    def __post_init__(self) -> None:
        """Check the workspace."""
        _check(
            not self.workspace.is_file(),
            f"{self.workspace} is a file. Name a folder, there or to be made: --workspace runs.",
        )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which samples, how their columns are called, and how they are split."""

    data: tuple[str, ...]
    """Where the samples are: a folder of class folders, a CSV or Parquet table (or a folder with
    one), vlm4bio:FOLDER, synthetic:SIZE. Several are joined, each a taxon group of its own unless
    a column says otherwise; NAME= before one names it, and the name begins its samples' ids."""
    column: tuple[str, ...] = ()
    """Which column holds what, as TERM=NAME, for example image=path or species=label; what is not
    named is guessed, and the guess is shown. SET.TERM=NAME speaks to one of several sets."""
    split: Literal["given", "made"] = "given"
    """Take the split from the data where it has one (train, val, test), or make one."""
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    """Shares of train, val and test in a split that is made; units stay whole."""
    unit: str = ""
    """Column of the independent unit (track, specimen, observation) that no split may cut; empty
    guesses, and takes each picture for a unit of its own where there is no such column."""
    limit: int = 0
    """Take at most so many pictures a species, chosen by hash; 0 takes all."""
    on_error: OnError = "skip"
    """What to do with a picture that cannot be read: leave it out and report it, or stop."""
    seed: int = 0
    """Seed of the split and of the limit."""

    def __post_init__(self) -> None:
        """Check what can be checked without looking at the data."""
        _check(len(self.data) > 0, "Name at least one data set: --data FOLDER.")
        fractions = self.split_fractions
        _check(
            all(share >= 0 for share in fractions) and abs(sum(fractions) - 1) < 1e-6,
            f"--split-fractions must be three shares that sum to 1, not {fractions}.",
        )
        _check(self.limit >= 0, "--limit must be 0 (all) or more.")


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """Turning pictures into unit vectors on disk."""

    batch_size: int = 64
    """Pictures per batch; it changes the speed only."""
    dtype: Dtype = "float32"
    """Number format on disk: float16 halves the room and moves a cosine by less than 0.001."""
    shard_rows: int = 16384
    """Vectors per shard: what a kill can cost at most."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        _check(self.batch_size > 0, "--embed.batch-size must be at least 1.")
        _check(self.shard_rows > 0, "--embed.shard-rows must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class KMeansConfig:
    """How to run spherical k-means over unit vectors, whatever k."""

    iterations: int = 20
    """Lloyd iterations at most; it ends earlier when no label moves."""
    init: Literal["plus-plus", "subset"] = "plus-plus"
    """First centres: k-means++ (on a sample of two per centre for large k) or k distinct points."""
    search: Literal["auto", "exact", "pruned"] = "auto"
    """Look at all centres for each point, or at the likely ones only; auto prunes from k = 4096."""
    within: Literal["all", "species", "group"] = "all"
    """Cluster all pictures together, or each species (or taxon group) by itself."""
    features: Literal["image", "joint"] = "image"
    """The picture's vector, or the normalised mean of picture and text vectors (UNICOM)."""
    top: int = 1
    """Nearest centres kept for each picture: the labels of the multi-label loss."""
    seed: int = 0
    """Seed of the first centres."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        _check(self.iterations > 0, "--cluster.iterations must be at least 1.")
        _check(self.top >= 1, "--cluster.top must be at least 1.")
        _check(
            self.within == "all" or self.top == 1,
            f"--cluster.within {self.within} knows one label a picture, since further ones would "
            "be of another species: leave --cluster.top at 1.",
        )


@dataclass(frozen=True, kw_only=True)
class ClusterConfig(KMeansConfig):
    """Spherical k-means over unit vectors at one k."""

    k: int
    """Number of clusters; with --cluster.within species, clusters per species at most."""

    def __post_init__(self) -> None:
        """Check k as well."""
        super().__post_init__()
        _check(self.k >= 2, f"--k must be at least 2, not {self.k}: one cluster separates nothing.")

    @classmethod
    def of(cls, config: KMeansConfig, k: int) -> "ClusterConfig":
        """The clustering at `k` that `config` describes."""
        return cls(**{part.name: getattr(config, part.name) for part in fields(config)}, k=k)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Margin softmax against class centres; `docs/reference/losses.md` has the formulas."""

    margin_type: Literal["arcface", "arcface-published", "cosface"] = "arcface"
    """ArcFace with its true gradient, ArcFace as published (straight-through), or CosFace."""
    scale: float = 32.0
    """Scale s of the cosines: 64 in pre-training, 32 in fine-tuning."""
    margin: float = 0.3
    """Margin m: an angle in radians (ArcFace) or a cosine (CosFace)."""
    class_fraction: float = 1.0
    """Share r1 of the classes that enter the softmax of a step (partial classes)."""
    class_sampling: Literal["batch", "sample"] = "batch"
    """Draw the partial classes once for the batch (as published) or for each sample."""
    feature_fraction: float = 1.0
    """Share r2 of the coordinates that enter the cosine of a step, one mask for all."""
    filter: float = 0.0
    """Inter-class filter: negatives whose cosine exceeds this are taken for the same class; 0 is
    off."""
    filter_action: Literal["drop", "zero"] = "drop"
    """What the filter does to them: leave them out of the softmax, or set their cosine to 0 (as
    published)."""
    form: Literal["softmax", "mlcd"] = "softmax"
    """Softmax over one label, or the multi-label loss of MLCD over the top labels."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(self.scale > 0, "--train.scale must be positive.")
        _check(self.margin >= 0, "--train.margin must be 0 or more.")
        _check(
            self.margin_type == "cosface" or self.margin < math.pi,
            f"--train.margin is an angle in radians for {self.margin_type} and must be below pi, "
            f"not {self.margin}: 0.3 is usual.",
        )
        _check(0 < self.class_fraction <= 1, "--train.class-fraction must lie in (0, 1].")
        _check(0 < self.feature_fraction <= 1, "--train.feature-fraction must lie in (0, 1].")
        _check(0 <= self.filter <= 1, "--train.filter must lie in [0, 1].")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LossConfig):
    """Cluster discrimination: a margin softmax of the encoder's vectors against the clusters."""

    mode: Literal["adapt", "finetune"] = "adapt"
    """Train a residual adapter on cached vectors (minutes on a CPU) or the image tower itself."""
    epochs: int = 16
    """Passes over the training pictures."""
    batch_size: int = 256
    """Samples per step at most: an epoch is cut into even batches, so every sample is used and no
    batch is tiny."""
    lr: float = 1e-3
    """Peak learning rate of the encoder; 1e-5 suits the tuning of a large pretrained tower."""
    centre_lr_factor: float = 10.0
    """The centres learn this many times faster than the encoder."""
    weight_decay: float = 0.05
    """AdamW's decay of the encoder's weight matrices; biases, norms and centres have none."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises, before a cosine to zero."""
    clip: float = 1.0
    """Largest norm of the encoder's gradient, and of the centres'; 0 turns clipping off."""
    init: Literal["centroids", "random"] = "centroids"
    """First centres of the loss: the clusters' centroids, or N(0, 0.01) as published."""
    hidden: int = 512
    """Width of the adapter's hidden layer (mode adapt)."""
    augment: bool = True
    """Crop and flip the pictures at random (mode finetune)."""
    rounds: int = 1
    """Clustering and training rounds: after each, the new encoder's vectors are clustered again."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    seed: int = 0
    """Seed of the order of samples, of the first weights and of all masks."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        _check(self.epochs > 0, "--train.epochs must be at least 1.")
        _check(self.batch_size > 1, "--train.batch-size must be at least 2.")
        _check(self.lr > 0, "--train.lr must be positive.")
        _check(self.centre_lr_factor > 0, "--train.centre-lr-factor must be positive.")
        _check(self.weight_decay >= 0, "--train.weight-decay must be 0 or more.")
        _check(0 <= self.warmup < 1, "--train.warmup must lie in [0, 1).")
        _check(self.clip >= 0, "--train.clip must be 0 (off) or more.")
        _check(self.hidden > 0, "--train.hidden must be at least 1.")
        _check(self.checkpoint_every > 0, "--train.checkpoint-every must be at least 1.")
        _check(self.rounds >= 1, "--train.rounds must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Cosine-similarity retrieval: is the nearest picture of the same species?"""

    protocol: Literal["leave-one-out", "gallery"] = "leave-one-out"
    """Neighbours in the same split, the picture's own unit left out; or in the training split."""
    ranks: tuple[Rank, ...] = ("species", "genus", "family")
    """Taxonomic ranks to score."""
    recall_at: tuple[int, ...] = (1, 5, 10)
    """Depths of Recall@k."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    confidence: float = 0.95
    """Confidence of the intervals."""
    seed: int = 0
    """Seed of the resamples; all models share them, so differences are paired."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(
            0 < len(self.ranks) == len(set(self.ranks)),
            "--evaluate.ranks must name at least one rank, each once.",
        )
        _check(
            0 < len(self.recall_at) == len(set(self.recall_at)) and min(self.recall_at) > 0,
            "--evaluate.recall-at must name depths of 1 or more, each once.",
        )
        _check(self.resamples >= 100, "--evaluate.resamples below 100 give no honest interval.")
        _check(0.5 <= self.confidence < 1, "--evaluate.confidence must lie in [0.5, 1).")
        _check(
            (self.resamples + 1) * (1 - self.confidence) >= 2,
            f"--evaluate.resamples {self.resamples} cannot show the ends of an interval of "
            f"confidence {self.confidence}: take more resamples.",
        )


# How the configs appear on the command line: samples and workplace by their plain names, the
# others with their part's name before a dot (--train.lr); each under a heading of its own.
Samples = Annotated[DataConfig, Parameter(name="*", group="Samples")]
EmbedOptions = Annotated[EmbedConfig, Parameter(group="Vectors")]
KMeansOptions = Annotated[KMeansConfig, Parameter(group="Clusters")]
TrainOptions = Annotated[TrainConfig, Parameter(group="Training")]
EvaluateOptions = Annotated[EvaluateConfig, Parameter(group="Scores")]
Place = Annotated[Workplace, Parameter(name="*", group="Workplace")]


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """The main job: which number of clusters gives the best embedding of these species?"""

    samples: Samples
    """Which samples."""
    k: tuple[int, ...]
    """Numbers of clusters to try."""
    base: str = "descriptors"
    """The encoder to start from, for example open_clip:ViT-H-14/laion2b_s32b_b79k; the page
    docs/reference/encoders.md names them all."""
    baseline: tuple[str, ...] = ()
    """Encoders to compare with, for example open_clip:hf-hub:imageomics/bioclip."""
    seeds: tuple[int, ...] = (0,)
    """Each k is clustered and trained once per seed; three or more show the noise of training."""
    objective: tuple[Objective, ...] = ("clusters", "species", "random")
    """What to train against: the clusters, and as controls the species labels and a random
    permutation of the chosen k's cluster labels."""
    embed: EmbedOptions = EmbedConfig()
    """How pictures become vectors."""
    cluster: KMeansOptions = KMeansConfig()
    """How vectors become clusters."""
    train: TrainOptions = TrainConfig()
    """How clusters become an encoder."""
    evaluate: EvaluateOptions = EvaluateConfig()
    """How encoders are scored."""

    def __post_init__(self) -> None:
        """Check what the parts cannot check alone."""
        _check(len(self.k) > 0, "Name at least one number of clusters: --k 100 500 1000.")
        _check(min(self.k) >= 2, "--k must be at least 2: one cluster separates nothing.")
        _check(len(set(self.k)) == len(self.k), f"--k names a number twice: {self.k}.")
        _check(len(self.seeds) > 0, "Name at least one seed: --seeds 0.")
        _check(len(set(self.seeds)) == len(self.seeds), f"--seeds names one twice: {self.seeds}.")
        _check(
            self.train.form != "mlcd" or self.cluster.top > 1,
            "The multi-label loss (--train.form mlcd) wants several labels a picture: set "
            "--cluster.top 8.",
        )
        _check(
            "clusters" in self.objective,
            "--objective must include clusters: the controls are compared with them.",
        )

    @property
    def references(self) -> tuple[tuple[str, Reference], ...]:
        """The encoders that are not trained here: the floor, the base, the baselines, by spec."""
        others = tuple(dict.fromkeys(spec for spec in self.baseline if spec != self.base))
        found: list[tuple[str, Reference]] = [(self.base, "base")]
        found += [(spec, "baseline") for spec in others]
        if FLOOR not in (self.base, *others):
            found.insert(0, (FLOOR, "floor"))
        return tuple(found)


@dataclass(frozen=True)
class Expected:
    """Published size of a recipe's data, for a plan made before they are downloaded.

    Attributes:
        n_images: Pictures.
        n_species: Species.
        source: Where the two numbers stand.
    """

    n_images: int
    n_species: int
    source: str


Config = TypeVar("Config")


def rebuild(cls: type[Config], content: Mapping[str, Any]) -> Config:
    """The config of class `cls` whose plain JSON form is `content`.

    Raises:
        UsageError: `content` has options that the class does not know.
    """
    hints = get_type_hints(cls)
    unknown = set(content) - set(hints)
    _check(not unknown, f"Unknown options, of another version: {', '.join(sorted(unknown))}.")
    parts: dict[str, Any] = {}
    for name, value in content.items():
        hint = hints[name]
        if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, Mapping):
            parts[name] = rebuild(hint, value)
        elif get_origin(hint) is tuple or (get_args(hint) and isinstance(value, list)):
            parts[name] = tuple(value)
        else:
            parts[name] = value
    return cls(**parts)
