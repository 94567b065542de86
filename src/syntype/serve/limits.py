"""Limits: tokens by address, and pools of threads whose queue has an end.

Memory is bounded whatever comes: the addresses that are remembered, the work that waits.
"""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from syntype.serve.problems import Problem

P = ParamSpec("P")
T = TypeVar("T")

MOST_CLIENTS = 20_000
"""Addresses whose tokens are remembered; the one not seen longest is forgotten first."""


class Buckets:
    """Token buckets: each client has a minute's tokens at most, which come back evenly.

    Used from the event loop only, so no lock is needed.

    Args:
        per_minute: Tokens a minute; 0 for no limit.
        most: Clients that are remembered.
        clock: Seconds, ever growing.
    """

    def __init__(
        self,
        per_minute: float,
        most: int = MOST_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._full, self._most, self._clock = max(1.0, per_minute), most, clock
        self._rate = per_minute / 60
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, client: str, cost: float = 1.0) -> int:
        """Take tokens of a client's: 0, or the seconds to wait until there are enough."""
        if not self._rate:
            return 0
        now = self._clock()
        left, then = self._left.pop(client, (self._full, now))
        left = min(self._full, left + (now - then) * self._rate)
        enough = left >= cost
        self._left[client] = (left - cost if enough else left, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0 if enough else max(1, math.ceil((cost - left) / self._rate))


def client_of(peer: str, forwarded: str, proxies: int) -> str:
    """The address that a request is counted by.

    Args:
        peer: Address of the other end of the connection.
        forwarded: The header X-Forwarded-For.
        proxies: How many proxies stand before the server. Each adds the address that it was asked
            from at the end; what stands before these was written by the client, as it liked.

    Returns:
        An address; of IPv6 the network of 64 bits that it lies in, which one household has.
    """
    if proxies:
        hops = [hop.strip() for hop in forwarded.split(",")] if forwarded else []
        if len(hops) >= proxies:
            peer = hops[-proxies]
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Pool:
    """Threads with a queue that ends: what comes when it is full is told to come again.

    Args:
        name: What it does, for the names of its threads and the metrics.
        threads: How many.
        waiting: Pieces of work that may wait besides.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._most = threads + waiting
        self._inside = 0
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    @property
    def queued(self) -> int:
        """Pieces of work that wait for a thread."""
        return max(0, self._inside - self._threads)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a piece of work in a thread.

        Raises:
            Problem: 503, the queue is full.
        """
        if self._inside >= self._most:
            raise Problem(
                503, "The server has too much to do. Try again in a moment.", {"Retry-After": "2"}
            )
        self._inside += 1
        loop = asyncio.get_running_loop()
        # The place is given back when the work ends, not when the visitor turns away before.
        future = loop.run_in_executor(self._executor, partial(work, *args, **kwargs))
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def _leave(self, future: "asyncio.Future[T]") -> None:
        self._inside -= 1
        if not future.cancelled():
            future.exception()  # seen: a visitor who left is not told

    def close(self) -> None:
        """Let the threads end; what waits is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class Gate:
    """So many at a time, and no queue.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most, self._inside = most, 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be one of them.

        Raises:
            Problem: 503, there are as many already.
        """
        if self._inside >= self._most:
            raise Problem(
                503, "Too many uploads at once. Try again in a moment.", {"Retry-After": "5"}
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
