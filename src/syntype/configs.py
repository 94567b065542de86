"""Every verb's options: one frozen dataclass each, which the command line and TOML files fill.

This module imports nothing heavy, so that `--help` and `--dry-run` answer at once; the work lives
in the module named after the verb. The text below a field is its help on the command line and in
the generated reference. Options that determine a result are part of its identity (the hash of the
config names the run's folder); where to write and how to show progress are not, and stand apart
in `Workplace`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from syntype.errors import UsageError

OnError = Literal["stop", "skip"]
Dtype = Literal["float16", "float32"]
Rank = Literal["species", "genus", "family", "order", "class", "phylum", "kingdom"]


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


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which samples, how their columns are called, and how they are split."""

    data: tuple[str, ...]
    """Where the samples are: a folder of class folders, a CSV or Parquet table (or a folder with
    one), vlm4bio:FOLDER, synthetic:SIZE. Several are joined, each a taxon group of its own unless
    a column says otherwise."""
    column: tuple[str, ...] = ()
    """Which column holds what, as TERM=NAME, for example image=path or species=label; what is not
    named is guessed, and the guess is shown."""
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
        _check(self.batch_size > 0, "--batch-size must be at least 1.")
        _check(self.shard_rows > 0, "--shard-rows must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Spherical k-means over unit vectors."""

    k: int
    """Number of clusters; with --within species, clusters per species at most."""
    iterations: int = 20
    """Lloyd iterations at most; it ends earlier when no label moves."""
    init: Literal["plus-plus", "subset"] = "plus-plus"
    """First centres: k-means++ (greedy, on a sample for large k) or k distinct points."""
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
        _check(self.k >= 2, f"--k must be at least 2, not {self.k}: one cluster separates nothing.")
        _check(self.iterations > 0, "--iterations must be at least 1.")
        _check(self.top >= 1, "--top must be at least 1.")


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
    """Drop negatives whose cosine exceeds this (inter-class filter); 0 keeps all."""
    form: Literal["softmax", "mlcd"] = "softmax"
    """Softmax over one label, or the multi-label loss of MLCD over the top labels."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(self.scale > 0, "--scale must be positive.")
        _check(self.margin >= 0, "--margin must be 0 or more.")
        _check(0 < self.class_fraction <= 1, "--class-fraction must lie in (0, 1].")
        _check(0 < self.feature_fraction <= 1, "--feature-fraction must lie in (0, 1].")
        _check(0 <= self.filter <= 1, "--filter must lie in [0, 1].")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LossConfig):
    """Cluster discrimination: a margin softmax of the encoder's vectors against the clusters."""

    mode: Literal["adapt", "finetune"] = "adapt"
    """Train a residual adapter on cached vectors (minutes on a CPU) or the image tower itself."""
    epochs: int = 16
    """Passes over the training pictures."""
    batch_size: int = 256
    """Samples per step; every sample is used, the last batch may be smaller."""
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
    rounds: int = 1
    """Clustering and training rounds: after each, the new encoder's vectors are clustered again."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    seed: int = 0
    """Seed of the order of samples, of the first weights and of all masks."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        _check(self.epochs > 0, "--epochs must be at least 1.")
        _check(self.batch_size > 1, "--batch-size must be at least 2.")
        _check(self.lr > 0, "--lr must be positive.")
        _check(0 <= self.warmup < 1, "--warmup must lie in [0, 1).")
        _check(self.rounds >= 1, "--rounds must be at least 1.")


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
        _check(len(self.ranks) > 0, "--ranks must name at least one rank.")
        _check(
            len(self.recall_at) > 0 and min(self.recall_at, default=0) > 0,
            "--recall-at must name depths of 1 or more.",
        )
        _check(self.resamples >= 100, "--resamples below 100 give no honest interval.")
        _check(0.5 <= self.confidence < 1, "--confidence must lie in [0.5, 1).")
