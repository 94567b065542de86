"""How vectors become clusters, and clusters an encoder."""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.configs.check import check

Objective = Literal["clusters", "species", "random", "contrastive"]
Balance = Literal["instance", "square-root", "class"]


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
        check(self.iterations > 0, "--cluster.iterations must be at least 1.")
        check(self.top >= 1, "--cluster.top must be at least 1.")
        check(
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
        check(self.k >= 2, f"--k must be at least 2, not {self.k}: one cluster separates nothing.")

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
        check(self.scale > 0, "--train.scale must be positive.")
        check(self.margin >= 0, "--train.margin must be 0 or more.")
        check(
            self.margin_type == "cosface" or self.margin < math.pi,
            f"--train.margin is an angle in radians for {self.margin_type} and must be below pi, "
            f"not {self.margin}: 0.3 is usual.",
        )
        check(0 < self.class_fraction <= 1, "--train.class-fraction must lie in (0, 1].")
        check(0 < self.feature_fraction <= 1, "--train.feature-fraction must lie in (0, 1].")
        check(0 <= self.filter <= 1, "--train.filter must lie in [0, 1].")


@dataclass(frozen=True, kw_only=True)
class ContrastConfig:
    """Pictures against words (objective contrastive), as docs/reference/losses.md has it."""

    contrast: Literal["clip", "siglip"] = "clip"
    """Softmax over the batch in both directions (CLIP), or a sigmoid for each pair (SigLIP)."""
    names: Literal["taxonomic", "scientific", "common", "taxonomic+common", "mixed"] = "mixed"
    """How a species is put into words; mixed draws a form for each picture and epoch, as BioCLIP
    does."""
    same_species: Literal["positives", "ignored", "negatives"] = "positives"
    """What a picture and the words of another picture of its species are to each other; negatives
    as published."""


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """What of the image tower is trained, and at what price (mode finetune)."""

    tune: Literal["all", "last", "lora"] = "all"
    """All weights, the last blocks, or low-rank additions to the linear layers (LoRA)."""
    last_blocks: int = 2
    """Blocks that are trained, with what follows them (tune last)."""
    lora_rank: int = 16
    """Rank r of the additions (tune lora); they are scaled by 1 and merged at the end."""
    layer_decay: float = 1.0
    """Each block learns this many times as fast as the one above it; 1 is off, 0.75 is usual."""
    gradient_checkpointing: bool = False
    """Compute the blocks' activations twice instead of keeping them."""
    compile: bool = False
    """Compile the tower with torch.compile."""
    fully_shard: bool = False
    """Split weights, gradients and moments over the processes (FSDP2) instead of copying them."""
    average: float = 0.0
    """Decay of a moving average of the weights (EMA), which is then the result; 0 is off."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What the tower computes in; auto takes bfloat16 where the device is fast at it. Weights,
    moments and losses are float32 always."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(self.last_blocks >= 1, "--train.last-blocks must be at least 1.")
        check(self.lora_rank >= 1, "--train.lora-rank must be at least 1.")
        check(0 < self.layer_decay <= 1, "--train.layer-decay must lie in (0, 1].")
        check(0 <= self.average < 1, "--train.average must lie in [0, 1): 0.999 is usual.")
        check(
            self.average == 0 or not self.fully_shard,
            "--train.average keeps whole weights: leave out --train.fully-shard.",
        )


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of the training pictures (mode finetune), each picture's by itself."""

    crop: float = 0.4
    """Least share of the picture that a random crop keeps; 1 takes the whole picture."""
    flip: bool = True
    """Mirror half of the pictures; orientation means something for flatfish and snails, and
    --train.flip=false leaves it."""
    colour: float = 0.0
    """Strength of random changes of brightness, contrast and saturation; 0 is off, 0.4 usual."""
    rand_augment: int = 0
    """Magnitude of RandAugment's two operations a picture; 0 is off, 9 usual."""
    erasing: float = 0.0
    """Share of the pictures in which a random rectangle is erased."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(0 < self.crop <= 1, "--train.crop must lie in (0, 1].")
        check(0 <= self.colour <= 1, "--train.colour must lie in [0, 1].")
        check(0 <= self.rand_augment <= 30, "--train.rand-augment must lie in 0 to 30.")
        check(0 <= self.erasing <= 1, "--train.erasing must lie in [0, 1].")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LossConfig, ContrastConfig, TuneConfig, AugmentConfig):
    """How an encoder is trained: against clusters, species or words."""

    mode: Literal["adapt", "finetune"] = "adapt"
    """Train a residual adapter on cached vectors (minutes on a CPU) or the image tower itself."""
    epochs: int = 16
    """Passes over the training pictures."""
    batch_size: int = 256
    """Samples per step at most: an epoch is cut into even batches, so every sample is used and no
    batch is tiny."""
    micro_batch: int = 0
    """Samples that go through the encoder at a time; the step is that of the whole batch (gradient
    caching). 0 takes as many as fit."""
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
    balance: Balance = "instance"
    """Each picture once an epoch, or classes (clusters) seen by the square root of their size, or
    all equally often; an epoch stays as long."""
    stream: int = 0
    """Read a catalogue that is larger than memory as it lies on the disk, and mix so many pictures
    at a time (16384 is usual); no vectors are computed before. 0 mixes all pictures."""
    rounds: int = 1
    """Clustering and training rounds: after each, the new encoder's vectors are clustered again."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """Newest checkpoints that are kept; all are deleted once the encoder is saved."""
    centres: Literal["auto", "copied", "split"] = "auto"
    """With several processes: each holds all class centres, or its share of the classes."""
    seed: int = 0
    """Seed of the order of samples, of the first weights and of all masks."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for part in (LossConfig, TuneConfig, AugmentConfig):
            part.__post_init__(self)
        check(self.epochs > 0, "--train.epochs must be at least 1.")
        check(self.batch_size > 1, "--train.batch-size must be at least 2.")
        check(self.lr > 0, "--train.lr must be positive.")
        check(self.centre_lr_factor > 0, "--train.centre-lr-factor must be positive.")
        check(self.weight_decay >= 0, "--train.weight-decay must be 0 or more.")
        check(0 <= self.warmup < 1, "--train.warmup must lie in [0, 1).")
        check(self.clip >= 0, "--train.clip must be 0 (off) or more.")
        check(self.hidden > 0, "--train.hidden must be at least 1.")
        check(self.checkpoint_every > 0, "--train.checkpoint-every must be at least 1.")
        check(self.micro_batch >= 0, "--train.micro-batch must be 0 (as many as fit) or more.")
        check(self.keep_checkpoints >= 1, "--train.keep-checkpoints must be at least 1.")
        check(self.rounds >= 1, "--train.rounds must be at least 1.")
        check(self.stream >= 0, "--train.stream must be 0 (off) or more.")
        check(
            not self.stream or (self.mode == "finetune" and self.rounds == 1),
            "--train.stream is for --train.mode finetune in one round: adapters and further rounds "
            "need vectors of all pictures first.",
        )
        check(
            not self.stream or self.balance == "instance",
            "--train.stream shows each picture once an epoch: leave out --train.balance.",
        )


KMeansOptions = Annotated[KMeansConfig, Parameter(group="Clusters")]
TrainOptions = Annotated[TrainConfig, Parameter(group="Training")]
