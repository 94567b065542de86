"""How files are fetched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from syntype.configs.check import check


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """How many files at a time, and how politely."""

    to: Path = Path("data")
    """Folder for the files; each set gets one of its own in it."""
    parallel: int = 8
    """Files at a time, of all hosts together."""
    per_host: int = 4
    """Files at a time from one host."""
    rate: float = 10.0
    """Requests a second to one host at most; one that says it is busy gets fewer."""
    tries: int = 8
    """Attempts in a row that gain nothing before a file is given up."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check(self.parallel >= 1, "--parallel must be at least 1.")
        check(self.per_host >= 1, "--per-host must be at least 1.")
        check(self.rate > 0, "--rate must be more than 0 requests a second.")
        check(self.tries >= 1, "--tries must be at least 1.")
        check(
            not self.to.is_file(), f"{self.to} is a file. Name a folder, there or to be made: --to."
        )


FetchOptions = Annotated[FetchConfig, Parameter(name="*", group="Download")]
