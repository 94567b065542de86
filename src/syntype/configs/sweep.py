"""The main job's options: all the other parts together."""

from dataclasses import dataclass
from typing import Literal

from syntype.configs.check import check
from syntype.configs.evaluation import EvaluateConfig, EvaluateOptions
from syntype.configs.samples import EmbedConfig, EmbedOptions, Samples
from syntype.configs.training import (
    KMeansConfig,
    KMeansOptions,
    Objective,
    TrainConfig,
    TrainOptions,
)

Reference = Literal["floor", "base", "baseline"]

# The encoder without weights that every learned one must beat.
FLOOR = "pixels"


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
    """What to train against: the clusters; as controls the species labels and a random permutation
    of the chosen k's cluster labels; as a baseline the species' names (contrastive)."""
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
        check(len(self.k) > 0, "Name at least one number of clusters: --k 100 500 1000.")
        check(min(self.k) >= 2, "--k must be at least 2: one cluster separates nothing.")
        check(len(set(self.k)) == len(self.k), f"--k names a number twice: {self.k}.")
        check(len(self.seeds) > 0, "Name at least one seed: --seeds 0.")
        check(len(set(self.seeds)) == len(self.seeds), f"--seeds names one twice: {self.seeds}.")
        check(
            self.train.form != "mlcd" or self.cluster.top > 1,
            "The multi-label loss (--train.form mlcd) wants several labels a picture: set "
            "--cluster.top 8.",
        )
        check(
            "contrastive" not in self.objective or self.train.mode == "finetune",
            "The objective contrastive trains both towers: set --train.mode finetune, or leave it "
            "out.",
        )
        check(
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
