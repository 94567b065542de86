"""What every request works with: the index, who makes vectors of questions, pools, limits."""

import hashlib
import hmac
import logging
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from fastapi import Request

from syntype.configs.serve import KEY_VARIABLE, ServeConfig
from syntype.errors import SyntypeError, UsageError
from syntype.provenance import bytes_hash
from syntype.search.asking import Asker
from syntype.search.calibration import Calibration
from syntype.search.index import Card, Index
from syntype.serve.limits import Buckets, Gate, Pool
from syntype.serve.metrics import Metrics
from syntype.serve.problems import Problem
from syntype.serve.thumbnails import Thumbnails
from syntype.version import __version__

log = logging.getLogger("syntype.serve")

REFRESH_SECONDS = 1.0
"""What other processes wrote is taken in so often at most."""
REMEMBERED = 32_000_000
"""Bytes of answers that are kept for others who ask the same."""
_SHORTEST_KEY = 16


class View(NamedTuple):
    """What an index was like when it was looked at.

    Attributes:
        state: A text that changes with every write, of records or of the card.
        card: What it says of itself.
        n: Its records.
        calibration: What similarities mean, where the card's notes know.
    """

    state: str
    card: Card
    n: int
    calibration: Calibration | None


def look_at(index: Index) -> View:
    """Take in what other processes wrote, and what the index is like then."""
    index.refresh()
    card = index.card
    state = f"{index.state} {bytes_hash(repr(card).encode(errors='surrogateescape'))}"
    return View(state, card, len(index), Calibration.from_notes(card.notes))


@dataclass(kw_only=True)
class Desk:
    """What every request works with.

    Attributes:
        index: The records; every call of it may wait, so only threads make one.
        view: What it was like a second ago.
        asker: Makes vectors of questions.
        config: Limits and places.
        key: That allows writes; "" where nothing is written.
        metrics: Counts.
        thumbnails: Small pictures that were made.
        searching: Threads that ask the index.
        decoding: Threads that decode and shrink pictures.
        encoding: The thread that asks the encoder.
        writing: The thread that writes: one write at a time.
        buckets: Tokens by address.
        uploads: Bodies that are read at once.
        stopping: Whether the server was told to end.
        remembered: Answers by their ETag.
    """

    index: Index
    view: View
    asker: Asker
    config: ServeConfig
    key: str
    metrics: Metrics
    thumbnails: Thumbnails
    searching: Pool
    decoding: Pool
    encoding: Pool
    writing: Pool
    buckets: Buckets
    uploads: Gate
    stopping: bool = False
    remembered: OrderedDict[str, tuple[bytes, ...]] = field(default_factory=OrderedDict, repr=False)
    _remembered: int = field(default=0, repr=False)
    _looked: float = field(default=0.0, repr=False)
    _n_looks: int = field(default=0, repr=False)
    _newest: int = field(default=0, repr=False)

    @property
    def pools(self) -> tuple[Pool, ...]:
        """All pools."""
        return self.searching, self.decoding, self.encoding, self.writing

    async def fresh(self) -> View:
        """The index as it is, with what other processes wrote until a second ago.

        The first request after that second looks, off the event loop; those that come meanwhile do
        not wait for it.
        """
        if time.monotonic() - self._looked >= REFRESH_SECONDS:
            await self.look()
        return self.view

    async def look(self) -> None:
        """Look what the index is like now; a write does it before it is answered.

        Raises:
            Problem: 503, the index cannot say.
        """
        self._looked, self._n_looks = time.monotonic(), self._n_looks + 1
        number = self._n_looks
        try:
            view = await self.searching.run(look_at, self.index)
        except SyntypeError as error:
            log.error("the index cannot be read", exc_info=error)
            again = {"Retry-After": "5"}
            raise Problem(503, "The records cannot be read now. Try again.", again) from error
        if number >= self._newest:  # one that began later may have ended before
            self.view, self._newest = view, number

    def state(self, *parts: str) -> str:
        """A hash that changes when the records do, the version, or what was asked."""
        whole = "\0".join((__version__, self.view.state, *parts))
        return hashlib.sha256(whole.encode(errors="surrogateescape")).hexdigest()[:32]

    def remember(self, tag: str, answer: tuple[bytes, ...]) -> None:
        """Keep an answer for others who ask the same; the oldest go first."""
        n_bytes = sum(map(len, answer))
        if tag in self.remembered or n_bytes > REMEMBERED / 8:
            return
        self.remembered[tag] = answer
        self._remembered += n_bytes
        while self._remembered > REMEMBERED:
            _, oldest = self.remembered.popitem(last=False)
            self._remembered -= sum(map(len, oldest))

    def opens(self, authorization: str) -> bool:
        """Whether an Authorization header has the key; takes as long for a wrong one."""
        scheme, _, given = authorization.partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.key.encode())
        return bool(self.key) and scheme.lower() == "bearer" and right

    def gauge(self) -> None:
        """Bring the metrics up to date."""
        self.metrics.records.set(self.view.n)
        for pool in self.pools:
            self.metrics.queued.labels(pool.name).set(pool.queued)

    def close(self) -> None:
        """Let the threads end; the index stays open: it is its opener's."""
        for pool in self.pools:
            pool.close()


def make_desk(index: Index, asker: Asker, config: ServeConfig) -> Desk:
    """What requests work with.

    Raises:
        UsageError: The key for writes cannot be read, or is too short.
    """
    threads, waiting = config.threads, config.waiting
    return Desk(
        index=index,
        view=look_at(index),
        asker=asker,
        config=config,
        key=read_key(config),
        metrics=Metrics(),
        thumbnails=Thumbnails(config.cache_folder, int(config.cache_megabytes * 1e6)),
        searching=Pool("search", threads, waiting),
        decoding=Pool("decode", threads, waiting),
        encoding=Pool("encode", 1, waiting),
        writing=Pool("write", 1, waiting),
        buckets=Buckets(config.requests_per_minute),
        uploads=Gate(config.uploads_at_once),
    )


def read_key(config: ServeConfig) -> str:
    """The key that allows writes; "" where none is set.

    Raises:
        UsageError: It cannot be read, or is too short.
    """
    if config.key_file is None:
        key = os.environ.get(KEY_VARIABLE, "").strip()
    else:
        try:
            key = config.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"The key cannot be read from {config.key_file}: --key-file."
            ) from error
        if not key:
            raise UsageError(f"{config.key_file} is empty; write a key in it: --key-file.")
    if key and len(key) < _SHORTEST_KEY:
        raise UsageError(
            f"A key for writes has {_SHORTEST_KEY} characters or more, drawn at random, as from "
            "`openssl rand -hex 32`."
        )
    return key


def desk_of(request: Request) -> Desk:
    """The desk of the application that a request came to."""
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk
