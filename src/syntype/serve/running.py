"""uvicorn with an end to everything: headers that do not come, requests that run on, the process.

On SIGTERM health says "stopping" at once; after `drain_seconds` no new connection is taken, what
runs has `shutdown_seconds` to end, then the process does. The log is one JSON object a line on
standard error.
"""

import asyncio
import json
import logging
import sys
import time
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from syntype.configs.serve import ServeConfig
from syntype.search.asking import Asker
from syntype.search.index import Index
from syntype.serve.app import create_app
from syntype.serve.desk import Desk

HEADER_SECONDS = 10.0
"""Seconds to send a request's headers in, and to take some of an answer in."""
_FIELDS = ("method", "path", "status", "ms", "client", "error")


class JsonLines(logging.Formatter):
    """A record of the log as one line of JSON: whatever is in it, nothing makes a second line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def log_in_json(level: int = logging.INFO) -> None:
    """Send the server's log, and uvicorn's, to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("syntype.serve", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler] if name != "uvicorn.error" else [], False
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(level)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Patient(H11Protocol):
    """HTTP that does not wait for ever: not for headers, and not for who does not read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection begins."""
        super().connection_made(transport)
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection ended."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _look_again(self) -> None:
        self._cycle_seen = self.cycle
        self._unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(HEADER_SECONDS, self._look)

    def _look(self) -> None:
        """End the connection if nothing came of it for a whole while."""
        waits = self.cycle is self._cycle_seen and self.conn.their_state is h11.IDLE
        stuck = 0 < self._unsent == self.transport.get_write_buffer_size()
        if stuck:
            self.transport.abort()
        elif waits and not self.transport.is_closing():
            self.transport.close()
        else:
            self._look_again()


class Server(uvicorn.Server):
    """uvicorn that tells the application when it is told to stop.

    Args:
        config: uvicorn's.
        desk: Whose health says so.
    """

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop; the second ends what still runs.

        Unlike uvicorn's, it does not raise the signal again at the end: `serve` returns.
        """
        seconds = self._desk.config.drain_seconds
        if self._desk.stopping:
            self.should_exit = self.force_exit = True
        elif seconds:
            asyncio.get_running_loop().call_later(seconds, self._leave)
        else:
            self._leave()
        self._desk.stopping = True

    def _leave(self) -> None:
        self.should_exit = True


def serve(index: Index, asker: Asker, config: ServeConfig) -> None:
    """Answer over HTTP until a signal says to stop; the index stays open, for its opener to close.

    Args:
        index: The records.
        asker: Makes vectors of questions.
        config: Where, and within which limits.

    Raises:
        UsageError: The key for writes is no good.
    """
    # A person at a terminal reads what goes wrong; whoever collects the log wants every request.
    log_in_json(logging.WARNING if sys.stderr.isatty() else logging.INFO)
    app = create_app(index, asker, config)
    desk = app.state.desk
    server = Server(
        uvicorn.Config(
            app,
            host=config.host,
            port=config.port,
            http=Patient,
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=config.connections,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=max(1, round(config.shutdown_seconds)),
            h11_max_incomplete_event_size=32_768,
        ),
        desk,
    )
    try:
        server.run()
    finally:
        desk.close()
