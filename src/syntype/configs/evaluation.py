"""How encoders are scored."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.configs.check import check

Rank = Literal["species", "genus", "family", "order", "class", "phylum", "kingdom"]
Task = Literal["retrieval", "knn", "clustering", "few-shot", "linear-probe", "zero-shot"]


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What all tasks of an evaluation share: neighbours, ranks, depths, intervals."""

    protocol: Literal["leave-one-out", "gallery"] = "leave-one-out"
    """Neighbours (retrieval, knn) in the same split, the picture's own unit left out; or in the
    training split."""
    ranks: tuple[Rank, ...] = ("species", "genus", "family")
    """Taxonomic ranks to score."""
    recall_at: tuple[int, ...] = (1, 5, 10)
    """Depths of Recall@k (retrieval)."""
    top_at: tuple[int, ...] = (1, 3, 5)
    """Depths of top-k accuracy (tasks that answer with a species)."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    confidence: float = 0.95
    """Confidence of the intervals."""
    seed: int = 0
    """Seed of the resamples; all models share them, so differences are paired."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(
            0 < len(self.ranks) == len(set(self.ranks)),
            "--evaluate.ranks must name at least one rank, each once.",
        )
        check(
            0 < len(self.recall_at) == len(set(self.recall_at)) and min(self.recall_at) > 0,
            "--evaluate.recall-at must name depths of 1 or more, each once.",
        )
        check(
            0 < len(self.top_at) == len(set(self.top_at)) and min(self.top_at) > 0,
            "--evaluate.top-at must name depths of 1 or more, each once.",
        )
        check(self.resamples >= 100, "--evaluate.resamples below 100 give no honest interval.")
        check(0.5 <= self.confidence < 1, "--evaluate.confidence must lie in [0.5, 1).")
        check(
            (self.resamples + 1) * (1 - self.confidence) >= 2,
            f"--evaluate.resamples {self.resamples} cannot show the ends of an interval of "
            f"confidence {self.confidence}: take more resamples.",
        )


@dataclass(frozen=True, kw_only=True)
class KnnConfig:
    """Votes of the nearest neighbours."""

    neighbours: int = 5
    """Neighbours that vote."""
    temperature: float = 0.07
    """A neighbour's vote weighs exp(cosine / temperature), as in DINO; 0 gives all the same."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(self.neighbours > 0, "--knn.neighbours must be at least 1.")
        check(self.temperature >= 0, "--knn.temperature must be 0 (equal votes) or more.")


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
    """Classifiers that see k pictures of each species."""

    shots: tuple[int, ...] = (1, 5)
    """Pictures of each species to learn from."""
    episodes: int = 5
    """Draws of these pictures."""
    mode: Literal["clean", "published"] = "clean"
    """Draw from the training split, for one fixed set of queries; or as BioCLIP's script does:
    from all pictures, the rest of them the queries, each draw depending on those before it."""
    classifier: Literal["simpleshot", "ridge", "mahalanobis"] = "simpleshot"
    """Nearest class mean after centring (SimpleShot), ridge regression, or nearest class mean
    under the shrunk covariance of the classes."""
    penalty: float = 1.0
    """Ridge penalty on the weights (classifier ridge)."""
    seed: int = 0
    """Seed of the draws (mode clean)."""
    replay: str = ""
    """Draws to repeat exactly: the episodes.parquet of an earlier run, or one that was published.
    Empty draws them."""
    order: str = ""
    """A table whose order of pictures the draws follow (mode published): the label file of the
    published run. Empty takes the order of the ids."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(
            0 < len(self.shots) == len(set(self.shots)) and min(self.shots) > 0,
            "--few-shot.shots must name numbers of 1 or more, each once.",
        )
        check(self.episodes > 0, "--few-shot.episodes must be at least 1.")
        check(self.penalty > 0, "--few-shot.penalty must be positive.")
        check(
            not self.order or self.mode == "published",
            "--few-shot.order has a meaning for --few-shot.mode published only: clean draws depend "
            "on no order.",
        )


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """A linear classifier on the vectors."""

    strengths: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0, 1000.0)
    """Values of C, the inverse of the L2 penalty, to choose from on the validation split."""
    iterations: int = 1000
    """Iterations of L-BFGS at most."""
    tolerance: float = 1e-4
    """Largest entry of the mean loss's gradient at which a fit has converged."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(
            len(self.strengths) > 0 and min(self.strengths) > 0,
            "--probe.strengths must name positive numbers.",
        )
        check(self.iterations > 0, "--probe.iterations must be at least 1.")
        check(self.tolerance > 0, "--probe.tolerance must be positive.")


@dataclass(frozen=True, kw_only=True)
class ZeroShotConfig:
    """Names in words, compared with pictures, for encoders that read text."""

    names: Literal[
        "as-is", "scientific", "common", "taxonomic", "scientific+common", "taxonomic+common"
    ] = "taxonomic+common"
    """How a species is put into words; as-is takes the label as delivered."""
    templates: Literal["openai", "none"] = "openai"
    """Average over CLIP's 80 sentences for ImageNet, or the bare name."""
    higher: Literal["sum", "embed"] = "sum"
    """Genus and above: sum the probabilities of their species, or put their names into words."""


@dataclass(frozen=True, kw_only=True)
class LeakageConfig:
    """When two pictures are taken for copies."""

    bits: int = 31
    """Bits of 256 by which perceptual hashes of near copies may differ."""
    cosine: float = 0.98
    """Least cosine of the vectors of near copies, where an encoder is named."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(
            0 <= self.bits < 128, "--leakage.bits must lie in [0, 128): 128 is what chance gives."
        )
        check(0 < self.cosine <= 1, "--leakage.cosine must lie in (0, 1].")


EvaluateOptions = Annotated[EvaluateConfig, Parameter(group="Scores")]
KnnOptions = Annotated[KnnConfig, Parameter(group="Nearest neighbours")]
FewShotOptions = Annotated[FewShotConfig, Parameter(group="Few-shot")]
ProbeOptions = Annotated[ProbeConfig, Parameter(group="Linear probe")]
LeakageOptions = Annotated[LeakageConfig, Parameter(group="Copies")]
ZeroShotOptions = Annotated[ZeroShotConfig, Parameter(group="Zero-shot")]


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """How each task of an evaluation is done."""

    evaluate: EvaluateOptions = EvaluateConfig()
    """What all tasks share."""
    knn: KnnOptions = KnnConfig()
    """Nearest neighbours that vote."""
    few_shot: FewShotOptions = FewShotConfig()
    """Classifiers that see a few pictures of each species."""
    probe: ProbeOptions = ProbeConfig()
    """A linear classifier."""
    zero_shot: ZeroShotOptions = ZeroShotConfig()
    """Names in words."""
