"""The load generator: connections to 127.0.0.1 that ask one question after the other.

It runs in a process of its own, writes requests and reads replies byte by byte and parses them
afterwards, so that it takes little of the machine that it shares with the server.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from search_candidates.load_mix import FACETS, Mix, path_of, told
from search_candidates.world import recall, row_of

_MOST = 100_000  # requests of a run
_PATIENCE = 60.0  # seconds for a reply


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of a reply."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return int(lines[0].split(b" ")[1]), await reader.readexactly(length)


class Client:
    """Asks for some seconds.

    Args:
        port: Of the server.
        mix: The questions.
        seed: Of the order in which they are asked.
    """

    def __init__(self, port: int, mix: Mix, seed: int) -> None:
        self._port, self._mix = port, mix
        self._asked = iter(mix.drawn(seed, _MOST))
        self._times: dict[str, list[float]] = defaultdict(list)
        self._errors: Counter[str] = Counter()
        self._bodies: dict[tuple[str, int], bytes] = {}

    async def _connection(self, until: float) -> None:
        """Ask over one connection, which is opened again when the server closed it."""
        writer: asyncio.StreamWriter | None = None
        for kind, number in self._asked:
            start = time.perf_counter()
            if start >= until:
                break
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                request = (
                    f"GET {path_of(self._mix, kind, number)} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                )
                start = time.perf_counter()
                writer.write(request.encode())
                status, body = await asyncio.wait_for(_read(reader), _PATIENCE)
            except (TimeoutError, OSError, EOFError, ValueError):
                status, body = 0, b""
                if writer is not None:
                    writer.close()
                writer = None
            if status == 200:
                self._times[kind].append(1000 * (time.perf_counter() - start))
                if kind != FACETS:
                    self._bodies.setdefault((kind, number), body)
            else:
                self._errors[kind] += 1
        if writer is not None:
            writer.close()

    async def run(self, concurrency: int, seconds: float) -> dict[str, Any]:
        """What came of so many connections in so many seconds."""
        begin = time.perf_counter()
        until = begin + seconds
        await asyncio.gather(*(self._connection(until) for _ in range(concurrency)))
        times = {kind: self._times[kind] for kind in self._mix.kinds}
        found = told(times, self._errors, time.perf_counter() - begin)
        for kind, truth in self._mix.truths.items():
            numbers = sorted(number for of, number in self._bodies if of == kind)
            rows = [self._rows(kind, number) for number in numbers]
            if rows:
                found[kind]["recall"] = recall(rows, truth[numbers])
        return found

    def _rows(self, kind: str, number: int) -> list[int]:
        reply = json.loads(self._bodies[kind, number])
        return [row_of(record["id"]) for record in reply["records"]]


def ask(folder: Path, port: int, concurrency: int, seconds: float) -> dict[str, Any]:
    """Load the server; what came of it."""
    mix = Mix.open(folder)
    return asyncio.run(Client(port, mix, seed=concurrency).run(concurrency, seconds))
