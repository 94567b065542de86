"""How models of species distributions are trained and scored."""

from dataclasses import dataclass
from typing import Literal

from syntype.configs.check import check

DistributionModel = Literal["maxent", "forest", "place", "climate", "place+climate"]


@dataclass(frozen=True, kw_only=True)
class DistributionConfig:
    """Choices of a comparison of distribution models."""

    predictors: Literal["published", "all"] = "published"
    """Variables: those that the published comparison kept, or all."""
    background: Literal["given", "target-group"] = "given"
    """Background of maxent and forest: the benchmark's random sites, or the sites where anything
    of the same group was recorded. The networks take the random sites, and records of other
    species beside."""
    strengths: tuple[float, ...] = (3.0, 30.0, 300.0)
    """Ridge penalties of maxent to choose from."""
    knots: int = 4
    """Hinges of maxent each way, per variable."""
    trees: int = 100
    """Trees of the forest, each grown on as many background sites as presences."""
    width: int = 128
    """Width of the networks."""
    depth: int = 4
    """Residual layers of the climate network."""
    dropout: float = 0.1
    """Share of units dropped in the climate network in training."""
    steps: int = 300
    """Most steps of a network; how many are taken is chosen on held-out blocks."""
    batch: int = 256
    """Records in a step of a network, and as many background sites."""
    learning_rate: float = 1e-3
    """Of the networks, Adam."""
    held_out: float = 0.25
    """Share of the map's blocks held out for choices; the test surveys are never looked at."""
    resamples: int = 200
    """Resamples of blocks behind each interval."""
    confidence: float = 0.95
    """Confidence of the intervals."""
    seed: int = 0
    """Seed of everything drawn."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(len(self.strengths) > 0 and min(self.strengths) > 0, "Penalties must be positive.")
        check(min(self.knots, self.trees, self.width, self.steps, self.batch) > 0, "At least 1.")
        check(0 < self.held_out < 1, "held_out must lie between 0 and 1.")
        check(self.resamples >= 100, "Fewer than 100 resamples give no honest interval.")
        check(0.5 <= self.confidence < 1, "confidence must lie in [0.5, 1).")
