"""What verbs do with catalogues."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from syntype.configs.check import check


@dataclass(frozen=True, kw_only=True)
class ChoiceConfig:
    """Which rows of a set are taken."""

    taxon: tuple[str, ...] = ()
    """Only these taxa, by their names at any rank: Lepidoptera, Danaus, "Danaus plexippus"."""
    per_species: int = 0
    """Take at most so many pictures a species, chosen by hash; 0 takes all."""
    limit: int = 0
    """Take at most so many pictures in all, chosen by hash; 0 takes all."""
    only_split: tuple[str, ...] = ()
    """Only these splits: train, val, test."""
    here: bool = False
    """Only rows whose picture is here."""
    seed: int = 0
    """Seed of the choice."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check(self.per_species >= 0, "--per-species must be 0 (all) or more.")
        check(self.limit >= 0, "--limit must be 0 (all) or more.")
        check(
            set(self.only_split) <= {"train", "val", "test"},
            "--only-split takes train, val and test.",
        )


@dataclass(frozen=True, kw_only=True)
class ShardsConfig:
    """How webdataset shards are written."""

    split: str = "train"
    """Pictures of this split; "" takes all."""
    size: int = 224
    """Height and width of the pictures, pixels: they are squashed."""
    quality: int = 92
    """Quality of the JPEGs."""
    rows: int = 10_000
    """Pictures in a shard."""
    mixed: int = 65_536
    """Pictures that are mixed at a time, from blocks in random order."""
    seed: int = 0
    """Seed of the order."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check(self.size >= 1, "--size must be at least 1.")
        check(1 <= self.quality <= 100, "--quality lies in 1 to 100.")
        check(self.rows >= 1, "--rows must be at least 1.")
        check(self.mixed >= 1, "--mixed must be at least 1.")
        check(
            self.split in ("", "train", "val", "test"),
            f'--split {self.split}: it is train, val, test, or "" for all.',
        )


ShardsOptions = Annotated[ShardsConfig, Parameter(name="*", group="Shards")]
ChoiceOptions = Annotated[ChoiceConfig, Parameter(name="*", group="Choice")]
