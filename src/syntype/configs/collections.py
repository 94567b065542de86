"""What a download of a catalogue's addresses is planned with."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from syntype.configs.check import check


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """How politely, and how large pictures are taken to be."""

    rate: float = 10.0
    """Requests a second to one host at most."""
    parallel: int = 8
    """Files at a time, of all hosts together."""
    per_host: int = 4
    """Files at a time from one host."""
    kilobytes: float = 800.0
    """Kilobytes of a picture whose size nobody tells; a guess that the plan repeats."""
    seconds: float = 0.5
    """Seconds that one request takes; a guess that the plan repeats."""
    megabytes_per_second: float = 20.0
    """Megabytes a second that the connection brings."""
    gigabytes_per_day: float = 24.0
    """Gigabytes a day at most from a host of inaturalist.org, as it asks; 0 for no limit."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check(self.rate > 0, "--rate must be more than 0 requests a second.")
        check(self.parallel >= 1, "--parallel must be at least 1.")
        check(self.per_host >= 1, "--per-host must be at least 1.")
        check(self.kilobytes > 0, "--kilobytes must be more than 0.")
        check(self.seconds > 0, "--seconds must be more than 0.")
        check(self.megabytes_per_second > 0, "--megabytes-per-second must be more than 0.")
        check(self.gigabytes_per_day >= 0, "--gigabytes-per-day must be 0 (no limit) or more.")


PlanOptions = Annotated[PlanConfig, Parameter(name="*", group="Plan")]
