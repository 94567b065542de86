"""How names are matched to a backbone, and what is then rewritten."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.configs.check import check
from syntype.configs.evaluation import Rank


@dataclass(frozen=True, kw_only=True)
class ResolveConfig:
    """Which matches count, and what becomes of the rows."""

    synonyms: Literal["accept", "keep"] = "accept"
    """A synonym becomes the accepted name, or keeps its own and gets the taxonomy above the
    genus only."""
    homonyms: Literal["evidence", "accepted"] = "evidence"
    """One name of several taxa is decided by lineage and authors as delivered and else left; or,
    where these say nothing, by being the accepted name of exactly one."""
    fuzzy: float = 0.8
    """Least likeness, 0 to 1, of a name that was misspelled; 1 takes none."""
    min_length: int = 5
    """Words with fewer letters must be spelled right; with three more, two errors are allowed."""
    same_initial: bool = True
    """Whether misspelled words must begin with the right letter."""
    lineage: Literal["overwrite", "fill", "keep"] = "overwrite"
    """Kingdom to family (and the genus of a name that is not found itself) take the backbone's
    names where it has one, only where they are empty, or never."""
    ranks: tuple[Rank, ...] = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
    """Ranks that may be rewritten; genus and species follow the name."""
    higher: bool = True
    """Whether names of which only the genus or a higher taxon is found get the ranks above."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(0 < self.fuzzy <= 1, "--resolve.fuzzy must be more than 0 and at most 1.")
        check(self.min_length >= 3, "--resolve.min-length must be at least 3.")
        check(len(self.ranks) == len(set(self.ranks)), "--resolve.ranks must name each rank once.")


ResolveOptions = Annotated[ResolveConfig, Parameter(name="resolve", group="Names")]
