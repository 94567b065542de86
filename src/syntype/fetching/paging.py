"""Answers of a web service that come in pages, each saved as a file, so that a query goes on.

    FOLDER/page-000000.json      the first page, as the service sent it
    FOLDER/page-000001.json      the next ...
    FOLDER/.fetch/query.json     what was asked

One page is asked for at a time, at most `rate` times a second, with the patience of all downloads
(`hosts`, `transfer`): a busy host rests for as long as it says, and every other fault is tried
again after 1, 2, 4 ... seconds. A page gets its name when it is whole and is what was asked for: a
page whose JSON is cut is asked for again. The same query again asks for what is missing.

A service's data move while they are paged through. When the total that it states changes, records
may have been missed or sent twice; this is counted and told, and the readers take a record once.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2

from syntype import files
from syntype.configs import FetchConfig
from syntype.errors import IncompleteError, UsageError
from syntype.fetching.hosts import Hosts, Job
from syntype.fetching.ledger import Ledger
from syntype.fetching.transfer import Again, Done, Failed, Patience, attempt
from syntype.fetching.wanted import Wanted
from syntype.progress import SILENT, Progress, Task


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked of a service.

    Attributes:
        url: Of the service.
        parameters: Beside those of the page.
        page: Records of a page.
        most: Records that the service gives out in pages at all.
        above: What to do instead to have more; a sentence.
        results: What a page holds: its records, and the total that it states; raises a
            `ValueError`, `KeyError` or `TypeError` for what is no page.
    """

    url: str
    parameters: Mapping[str, str]
    page: int
    most: int
    above: str
    results: Callable[[Any], tuple[int, int]]

    def address(self, offset: int, limit: int) -> str:
        """The address of a page."""
        return f"{self.url}?{urlencode({**self.parameters, 'limit': limit, 'offset': offset})}"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a query came to.

    Attributes:
        folder: Where the pages are.
        n_records: Records in them.
        n_pages: Pages that are here now.
        n_new: Pages that came this time.
        total: Records that the service says it has, by the last page.
        totals: The least and the most that it said while it was asked.
        seconds: How long it took.
    """

    folder: Path
    n_records: int
    n_pages: int
    n_new: int
    total: int
    totals: tuple[int, int]
    seconds: float

    @property
    def moved(self) -> bool:
        """Whether the total changed on the way: records may be missing, or be here twice."""
        return self.totals[0] != self.totals[1]


def polite(config: FetchConfig, most: float) -> FetchConfig:
    """A config that asks one thing at a time, and at most `most` times a second."""
    return replace(config, parallel=1, per_host=1, rate=min(config.rate, most))


def fetch_pages(
    query: Query,
    folder: Path,
    config: FetchConfig,
    session: httpx2.Client,
    *,
    limit: int | None = None,
    patience: Patience | None = None,
    progress: Progress = SILENT,
) -> Answered:
    """Have the pages of a query in a folder.

    Args:
        query: What is asked.
        folder: Where the pages go; it holds those of one query.
        config: How often, and how many times.
        session: What makes the requests, of `transfer.client`.
        limit: Records at most; None for all.
        patience: How long to wait for what.
        progress: Where to show how far it is.

    Raises:
        UsageError: The folder holds another query's answer, or the service does not give out that
            many records in pages.
        IncompleteError: A page does not come; those before it are here, and the same call goes on.
        ResourceError: The disk is full, the folder may not be written, or another query into it
            is under way.
    """
    if limit is not None and limit < 1:
        raise UsageError("--limit must be at least 1 record.")
    start = time.monotonic()
    _check_most(query, limit or 0)
    with Ledger(folder).locked():
        _same_query(query, folder)
        pager = _Pager(query, folder, config, patience or Patience())
        pager.run(session, limit, progress)
    return Answered(
        folder=folder,
        n_records=pager.n_records,
        n_pages=pager.n_pages,
        n_new=pager.n_new,
        total=pager.totals[-1],
        totals=(min(pager.totals), max(pager.totals)),
        seconds=time.monotonic() - start,
    )


def fetch_one(
    url: str,
    path: Path,
    config: FetchConfig,
    session: httpx2.Client,
    *,
    patience: Patience | None = None,
) -> Any:
    """One JSON answer, saved as a file and read; what is here is not asked for again.

    Raises:
        IncompleteError: It does not come.
    """
    query = Query(url=url, parameters={}, page=1, most=1, above="", results=lambda _: (1, 1))
    if (content := _json(path)) is not None:
        return content
    pager = _Pager(query, path.parent, config, patience or Patience())
    return pager.have(session, url, path, 1)


def _check_most(query: Query, n: int) -> None:
    if n > query.most:
        raise UsageError(
            f"{n:,} records are more than the {query.most:,} that {query.url} gives out in pages. "
            f"Ask for fewer with --limit, or narrow the query. {query.above}"
        )


def _same_query(query: Query, folder: Path) -> None:
    """Write down what is asked; refuse a folder of another query."""
    path = folder / ".fetch" / "query.json"
    # A mirror answers the same query, so the host does not count.
    service = urlsplit(query.url).path
    asked = {"service": service, "parameters": dict(query.parameters), "page": query.page}
    known = _json(path)
    if known is not None and known != asked:
        raise UsageError(
            f"{folder} holds the answer to another query ({known.get('parameters')}). Name another "
            "folder with --to, or delete this one."
        )
    files.write_json(path, asked)


def _json(path: Path) -> Any:
    """The content of a JSON file; None if there is none, or if it is cut."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, FileNotFoundError):
        return None


@dataclass
class _Pager:
    query: Query
    folder: Path
    config: FetchConfig
    patience: Patience
    n_records: int = 0
    n_pages: int = 0
    n_new: int = 0
    totals: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._hosts = Hosts(self.config, [])
        self._random = random.Random(0)
        self._stop = threading.Event()

    def run(self, session: httpx2.Client, limit: int | None, progress: Progress) -> None:
        """Page after page, until there is no more or enough."""
        offset = 0
        wanted = self._next(0, limit)
        number = 0
        content = self._page(session, number, offset, wanted)
        n, total = self.query.results(content)
        if limit is None:
            _check_most(self.query, total)
        aim = total if limit is None else min(total, limit)
        with progress.task("ask for records", max(1, aim), min(n, aim)) as task:
            while True:
                self._count(n, total, task if number else None)
                offset += n
                number += 1
                enough = total if limit is None else min(total, limit)
                # An empty page is behind the last one, whatever total is stated.
                if n == 0 or offset >= min(enough, self.query.most):
                    return
                wanted = self._next(offset, limit)
                content = self._page(session, number, offset, wanted)
                n, total = self.query.results(content)

    def _next(self, offset: int, limit: int | None) -> int:
        """Records to ask for from an offset on."""
        least = min(self.query.page, self.query.most - offset)
        return least if limit is None else min(least, limit - offset)

    def _count(self, n: int, total: int, task: Task | None) -> None:
        self.n_records += n
        self.n_pages += 1
        self.totals.append(total)
        if task is not None:
            task.advance(n)

    def _page(self, session: httpx2.Client, number: int, offset: int, limit: int) -> Any:
        """A page: the one that is here, if it holds what is asked for now, else a new one."""
        path = self.folder / f"page-{number:06d}.json"
        content = self._checked(path, limit)
        if content is not None:
            n, total = self.query.results(content)
            # A short page was the last one, or ended a query with a smaller limit.
            if n == limit or offset + n >= total:
                return content
        self.n_new += 1
        return self.have(session, self.query.address(offset, limit), path, limit)

    def _checked(self, path: Path, limit: int) -> Any:
        """The content of a page; None if it is none, or has more than was asked for."""
        content = _json(path)
        try:
            n, _ = self.query.results(content)
        except (ValueError, KeyError, TypeError):
            return None
        return content if n <= limit else None

    def have(self, session: httpx2.Client, url: str, path: Path, limit: int) -> Any:
        """Ask for a page until it is here and whole.

        Raises:
            IncompleteError: It does not come.
        """
        # It gets its own name only when its JSON is whole.
        wanted = Wanted(url=url, path=f"coming-{path.name}")
        place = path.parent / ".fetch" / wanted.path
        place.unlink(missing_ok=True)
        job = Job(wanted)
        self._hosts.put(job, 0.0)
        while True:
            time.sleep(max(0.0, self._hosts.due() - time.monotonic()))
            job = self._hosts.take(time.monotonic())
            outcome = attempt(wanted, place, session, self.patience, self._stop, lambda _: None)
            content = None
            if isinstance(outcome, Done):
                content = self._checked(place, limit)
                if content is None:
                    place.unlink()
                    outcome = Again("the answer is cut, or is not what was asked for")
            self._hosts.ended(job, came=content is not None)
            if content is not None:
                place.replace(path)
                return content
            assert not isinstance(outcome, Done)
            self._again(job, outcome)

    def _again(self, job: Job, outcome: Again | Failed) -> None:
        """Let a page wait for its next attempt, or give up."""
        job.tries += 1
        if isinstance(outcome, Failed):
            raise IncompleteError(self._in_words(job, outcome.reason))
        if job.tries >= self.config.tries:
            reason = f"{outcome.reason} ({job.tries} attempts in a row)"
            raise IncompleteError(self._in_words(job, reason))
        wait = min(self.patience.longest, self.patience.first * 2 ** (job.tries - 1))
        wait *= self._random.uniform(0.5, 1)
        if outcome.rest is not None:
            if outcome.rest > self.patience.rest:
                reason = f"{outcome.reason}, and wants to be left alone for {outcome.rest:.0f} s"
                raise IncompleteError(self._in_words(job, reason))
            wait = max(wait, outcome.rest)
        until = time.monotonic() + wait
        if outcome.busy:
            self._hosts.rest(job, until)
        self._hosts.put(job, until)

    def _in_words(self, job: Job, reason: str) -> str:
        return (
            f"{job.wanted.url} does not answer: {reason}. {self.n_pages} pages with "
            f"{self.n_records} records are in {self.folder}; the same command goes on from there."
        )
