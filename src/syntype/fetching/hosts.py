"""When which host may be asked: politely, and none keeps another waiting.

A host is asked `rate` times a second at most, and for `per_host` files at a time. When it says that
it is busy it rests for as long as it says, and is asked half as often from then on; each file that
comes lets it be asked a little more often again. (The rules of distributed-downloader, Imageomics:
a limit for each server, and never all workers on one.)
"""

import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from syntype.configs import FetchConfig
from syntype.fetching.wanted import Wanted

_SLOWEST = 30.0  # seconds between two requests to a host that keeps complaining


@dataclass
class Job:
    """A file that is not here yet.

    Attributes:
        wanted: The file.
        tries: Attempts in a row that gained nothing.
        have: The most bytes of it that were here so far.
        spoiled: Times that all of it came and was wrong.
        reason: Why the last attempt failed.
    """

    wanted: Wanted
    tries: int = 0
    have: int = 0
    spoiled: int = 0
    reason: str = ""


@dataclass
class _Host:
    interval: float
    next_at: float = 0.0
    active: int = 0
    waiting: list[tuple[float, int, Job]] = field(default_factory=list)

    def due(self, per_host: int) -> float:
        """When it may be asked for its next file; infinity for "not before one has ended"."""
        if not self.waiting or self.active >= per_host:
            return math.inf
        return max(self.next_at, self.waiting[0][0])


class Hosts:
    """Files that wait for their turn, by host. Times are seconds of one clock."""

    def __init__(self, config: FetchConfig, files: Iterable[Wanted]) -> None:
        self._config = config
        self._hosts: dict[str, _Host] = {}
        self._number = itertools.count()
        for wanted in files:
            self.put(Job(wanted), 0.0)

    def _of(self, job: Job) -> _Host:
        return self._hosts.setdefault(job.wanted.host, _Host(1 / self._config.rate))

    def put(self, job: Job, not_before: float) -> None:
        """Let a file wait for its turn, at the earliest at a time."""
        heapq.heappush(self._of(job).waiting, (not_before, next(self._number), job))

    def due(self) -> float:
        """When the next file may be asked for; infinity for "not before one has ended"."""
        return min((h.due(self._config.per_host) for h in self._hosts.values()), default=math.inf)

    def take(self, now: float) -> Job:
        """The file whose turn it is; only if `due() <= now`."""
        host = min(self._hosts.values(), key=lambda one: one.due(self._config.per_host))
        assert host.due(self._config.per_host) <= now, "nothing is due"
        host.active += 1
        host.next_at = now + host.interval
        return heapq.heappop(host.waiting)[2]

    def ended(self, job: Job, *, came: bool) -> None:
        """An attempt has ended; `came` if the file is here."""
        host = self._of(job)
        host.active -= 1
        if came:
            host.interval = max(1 / self._config.rate, 0.9 * host.interval)

    def rest(self, job: Job, until: float) -> None:
        """The host said that it is busy: ask it for nothing until then, and half as often after."""
        host = self._of(job)
        host.next_at = max(host.next_at, until)
        host.interval = min(2 * host.interval, max(_SLOWEST, 1 / self._config.rate))

    def waiting(self) -> list[Job]:
        """All files that wait."""
        return [job for host in self._hosts.values() for _, _, job in host.waiting]
