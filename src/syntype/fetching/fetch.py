"""Many files at once: what is missing, politely, until each is here or is known not to come.

One thread decides whose turn it is and keeps the books; `parallel` others make one attempt at one
file each and report. An attempt that fails puts its file back with a time before which it is not
tried again, so nobody waits asleep, and a file that fails for good never holds up another.
"""

import math
import queue
import random
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from syntype.configs import FetchConfig
from syntype.errors import IncompleteError, ResourceError, UsageError
from syntype.fetching.hosts import Hosts, Job
from syntype.fetching.ledger import Ledger
from syntype.fetching.transfer import (
    Again,
    Done,
    Failed,
    Patience,
    Stopped,
    attempt,
    client,
    said_size,
)  # fmt: skip
from syntype.fetching.wanted import Wanted
from syntype.progress import SILENT, Progress, Task

_MB = 1_000_000
_SPARE = 500 * _MB  # room that a download leaves on the disk
_ASKED = 16  # files whose size is asked for before
_NAMED = 5  # failures that the message names; the list has all
_LOOK = 0.5  # seconds between two looks at whether somebody wants us to stop


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a download came to.

    Attributes:
        folder: Where the files are.
        n_files: Files that are here now.
        n_new: Files that came this time.
        n_bytes: Bytes of those.
        seconds: How long it took.
    """

    folder: Path
    n_files: int
    n_new: int
    n_bytes: int
    seconds: float


def fetch(
    wanted: Sequence[Wanted],
    folder: Path,
    config: FetchConfig,
    *,
    source: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    patience: Patience | None = None,
) -> Fetched:
    """Have files in a folder, whole and as published.

    The same call again does what is missing. What is there and right is left alone.

    Args:
        wanted: The files; no two may have the same path.
        folder: Where they go.
        config: How many at a time, how often.
        source: What to write down about where they come from: name, page, licence ...
        progress: Where to show how far it is.
        patience: How long to wait for what.

    Raises:
        IncompleteError: Some files did not come; all others are here, and a list names each with
            its reason.
        ResourceError: The disk is or would be full, the folder may not be written, or another
            download into it is under way. What came is kept.
        UsageError: Two files have the same path.
    """
    _refuse_twins(wanted)
    ledger = Ledger(folder)
    begun, start = datetime.now(UTC), time.monotonic()
    with ledger.locked():
        missing = [one for one in wanted if not ledger.has(one)]
        sized = with_sizes(missing)
        check_room(sized, ledger)
        work = _Work(ledger, config, patience or Patience(), missing)
        if missing:
            work.run(progress, len(wanted) - len(missing), [one.size for one in sized])
        listed = ledger.fail(work.failures)
        ledger.describe(
            dict(source or {})
            | {
                "begun": begun.isoformat(timespec="seconds"),
                "ended": datetime.now(UTC).isoformat(timespec="seconds"),
                "files": len(wanted) - len(work.failures),
                "failed": len(work.failures),
            }
        )
    if listed is not None:
        raise IncompleteError(_in_words(work.failures, len(wanted), listed))
    seconds = time.monotonic() - start
    return Fetched(
        folder=folder, n_files=len(wanted), n_new=len(missing), n_bytes=work.came, seconds=seconds
    )


def with_sizes(wanted: Sequence[Wanted]) -> Sequence[Wanted]:
    """The files with what their servers say of their sizes, where nothing is published.

    Asked only of few files, once and without patience: it serves the plan and the look at the disk,
    and no file is measured by it.
    """
    unknown = [one for one in wanted if one.size is None]
    if not unknown or len(unknown) > _ASKED:
        return wanted
    found = {}
    with client(Patience(connect=5.0, silence=5.0), len(unknown)) as session:
        for one in unknown:
            found[one.path] = said_size(one, session)
    return [replace(one, size=found.get(one.path, one.size)) for one in wanted]


def _refuse_twins(wanted: Sequence[Wanted]) -> None:
    places: dict[str, Wanted] = {}
    for one in wanted:
        other = places.setdefault(one.path, one)
        if other is not one:
            raise UsageError(f"{other.url} and {one.url} would both become {one.path}.")


def check_room(missing: Sequence[Wanted], ledger: Ledger) -> None:
    """Check that what is missing fits on the disk, as far as its size is known.

    Raises:
        ResourceError: It does not.
    """
    needed = sum(max(0, (one.size or 0) - ledger.part(one)) for one in missing)
    place = ledger.folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed and needed + _SPARE > free:
        raise ResourceError(
            f"The download needs {needed / 1e9:.1f} GB more, and {ledger.folder} has "
            f"{free / 1e9:.1f} GB left (0.5 of them stay free). Make room, name another folder "
            "with --to, or take less of the set."
        )


def _in_words(failures: Sequence[tuple[Wanted, str]], n: int, listed: Path) -> str:
    named = "; ".join(f"{one.path}: {reason}" for one, reason in failures[:_NAMED])
    more = "" if len(failures) <= _NAMED else f"; and {len(failures) - _NAMED} more"
    return (
        f"{len(failures)} of {n} files did not come ({named}{more}). The others are here. "
        f"{listed} lists them; the same command tries them again."
    )


Outcome = Done | Again | Failed | BaseException


@dataclass
class _Work:
    """A download under way."""

    ledger: Ledger
    config: FetchConfig
    patience: Patience
    missing: Sequence[Wanted]
    failures: list[tuple[Wanted, str]] = field(default_factory=list)
    came: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._ended: queue.SimpleQueue[tuple[Job, Outcome]] = queue.SimpleQueue()
        self._hosts = Hosts(self.config, self.missing)
        self._open, self._active = len(self.missing), 0
        self._random = random.Random(0)
        self._bytes, self._guard = 0, threading.Lock()

    def run(self, progress: Progress, n_here: int, sizes: Sequence[int | None]) -> None:
        """Until each file is here or has failed.

        Args:
            progress: Where to show how far it is.
            n_here: Files that were here before.
            sizes: Of those that were not, as far as anybody knows.
        """
        here = sum(self.ledger.part(one) for one in self.missing)
        known = [size for size in sizes if size is not None]
        in_bytes = len(known) == len(self.missing)
        n = len(self.missing)
        if n_here:
            progress.say(f"{n_here} of {n_here + n} files are here already.")
        total, done = (math.ceil(sum(known) / _MB), here // _MB) if in_bytes else (n, 0)
        title = f"download {n} files" + (", MB" if in_bytes else "")
        session = client(self.patience, self.config.parallel)
        pool = ThreadPoolExecutor(self.config.parallel, thread_name_prefix="syntype-fetch")
        with session, progress.task(title, total, done) as task:
            shown = _Shown(task, in_bytes, here, done)
            try:
                while self._open:
                    self._start(pool, session)
                    self._take(shown)
            finally:
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, pool: ThreadPoolExecutor, session: httpx2.Client) -> None:
        """Start what is due."""
        while self._active < self.config.parallel and self._hosts.due() <= time.monotonic():
            job = self._hosts.take(time.monotonic())
            self._active += 1
            pool.submit(self._attempt, job, session)

    def _attempt(self, job: Job, session: httpx2.Client) -> None:
        """In a thread of its own; whatever happens is reported."""
        target = self.ledger.folder / job.wanted.path
        try:
            outcome: Outcome = attempt(
                job.wanted, target, session, self.patience, self._stop, self._going
            )
            if isinstance(outcome, Done):
                self.ledger.add(job.wanted, outcome.sha256)
        except BaseException as error:
            outcome = error
        self._ended.put((job, outcome))

    def _going(self, n_bytes: int) -> None:
        with self._guard:
            self._bytes += n_bytes

    def _take(self, shown: "_Shown") -> None:
        """Wait for something to end or to become due; take what has ended."""
        wait = _LOOK
        if self._active < self.config.parallel:
            wait = min(_LOOK, max(0.0, self._hosts.due() - time.monotonic()))
        try:
            job, outcome = self._ended.get(timeout=wait)
        except queue.Empty:
            pass
        else:
            self._active -= 1
            self._hosts.ended(job, came=isinstance(outcome, Done))
            self._settle(job, outcome)
        shown.update(self._bytes, len(self.missing) - self._open, self._words())

    def _words(self) -> str:
        again = sum(bool(job.reason) for job in self._hosts.waiting()) if self._open < 1000 else 0
        done = f"{len(self.missing) - self._open} of {len(self.missing)} files"
        return done + (f", {again} to be tried again" if again else "")

    def _settle(self, job: Job, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            self._open -= 1
            self.came += outcome.size
        elif isinstance(outcome, Failed):
            self._give_up(job, outcome.reason)
        elif isinstance(outcome, Again):
            self._again(job, outcome)
        elif not isinstance(outcome, Stopped):
            raise outcome

    def _give_up(self, job: Job, reason: str) -> None:
        self._open -= 1
        self.failures.append((job.wanted, reason))

    def _again(self, job: Job, outcome: Again) -> None:
        """Let a file wait for its next attempt, or give it up."""
        job.tries = 1 if outcome.have > job.have else job.tries + 1
        job.have, job.reason = max(job.have, outcome.have), outcome.reason
        job.spoiled += outcome.spoiled
        if job.spoiled >= self.patience.spoils:
            return self._give_up(job, f"{outcome.reason} ({job.spoiled} times)")
        if job.tries >= self.config.tries:
            return self._give_up(job, f"{outcome.reason} ({job.tries} attempts in a row)")
        wait = min(self.patience.longest, self.patience.first * 2 ** (job.tries - 1))
        wait *= self._random.uniform(0.5, 1)  # so that they do not all come back at once
        if outcome.rest is not None:
            if outcome.rest > self.patience.rest:
                return self._give_up(
                    job, f"{outcome.reason}, and wants to be left alone for {outcome.rest:.0f} s"
                )
            wait = max(wait, outcome.rest)
        until = time.monotonic() + wait
        if outcome.busy:
            self._hosts.rest(job, until)
        return self._hosts.put(job, until)


@dataclass
class _Shown:
    """The bar: of megabytes where all sizes are known, else of files."""

    task: Task
    in_bytes: bool
    before: int
    done: int

    def update(self, n_bytes: int, n_files: int, words: str) -> None:
        """Show how far it is."""
        now = (self.before + n_bytes) // _MB if self.in_bytes else n_files
        if now != self.done:
            self.task.advance(now - self.done)
            self.done = now
        self.task.note(words)
