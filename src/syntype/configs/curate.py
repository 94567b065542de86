"""What curation leaves out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.configs.check import check

Mixed = Literal["keep", "drop"]


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """Which rows of a catalogue are no use, are copies, or are too many of a kind."""

    min_side: int = 0
    """Leave out pictures with a side of fewer pixels; 0 keeps all, TreeOfLife-200M took 224."""
    blank: float = 4.0
    """Leave out pictures in which nothing stands out by so many of 255 levels: a frame of grey,
    of noise, of light that falls off to the sides. 0 keeps them."""
    copies: bool = True
    """Of pictures with the same bytes keep one: that of test before val before train, then the
    one with more ranks named, the larger, the lowest id."""
    near: int = 20
    """Bits of 256 by which perceptual hashes of near copies within the set may differ; of them
    one is kept by the same rule. Pictures of one unit are let be, use a cap. -1 looks for none."""
    against_near: int = 31
    """The same for near copies of the sets named by --against; -1 looks for none."""
    cosine: float = 0.98
    """Least cosine of the vectors of near copies, where vectors are given."""
    mixed: Mixed = "keep"
    """Copies and near copies under several species: keep one of each species, or drop them all.
    They are told either way."""
    per_burst: int = 0
    """Most pictures of a burst, those that differ most; 0 sets no cap."""
    burst_seconds: float = 0.0
    """Pictures of one camera at most so many seconds apart are a burst, where eventDate has a
    time of day; 0 looks for none."""
    burst_by: str = "recordedBy+locality"
    """Columns that together name a camera or an observer, joined by +."""
    per_unit: int = 0
    """Most pictures of a unit (camera-trap sequence, track, observation); 0 sets no cap."""
    per_unit_species: int = 0
    """Most pictures of one species in a unit; 0 sets no cap."""
    per_species: int = 0
    """Most pictures of a species in each split; 0 sets no cap."""
    vectors: tuple[Path, ...] = ()
    """Folders of vectors of one encoder (embedding stores): the first of this set, then one for
    each --against, in their order."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(self.min_side >= 0, "--curate.min-side must be 0 (all) or more pixels.")
        check(0 <= self.blank < 256, "--curate.blank must lie in [0, 256): levels of 255.")
        for name, bits in (("near", self.near), ("against-near", self.against_near)):
            check(
                -1 <= bits < 64,
                f"--curate.{name} must lie in [0, 64), or be -1 for none: unrelated pictures "
                "differ in about 128 bits, some in far fewer.",
            )
        check(0 < self.cosine <= 1, "--curate.cosine must lie in (0, 1].")
        for cap in ("per_burst", "per_unit", "per_unit_species", "per_species"):
            option = cap.replace("_", "-")
            check(getattr(self, cap) >= 0, f"--curate.{option} must be 0 (no cap) or more.")
        check(self.burst_seconds >= 0, "--curate.burst-seconds must be 0 (none) or more.")
        check(
            bool(self.per_burst) == bool(self.burst_seconds),
            "A cap on bursts needs both --curate.per-burst N and --curate.burst-seconds SECONDS.",
        )


CurateOptions = Annotated[CurateConfig, Parameter(group="Curation")]
