"""Filling an index in a process of its own, beside the server that already answers.

The process runs `syntype index`, shows its progress, and writes to the index; the server takes in
what it acknowledged a second later. Killed or failed, it leaves what it acknowledged, and the next
one goes on there. With `watch` it is started anew after so many seconds, for what has come.
"""

import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path

from syntype.configs import IndexConfig, Workplace
from syntype.errors import IncompleteError
from syntype.provenance import content_hash
from syntype.search.opening import exists

_LOOK = 0.2  # seconds between two looks at the process
_PATIENCE = 10.0  # seconds that it has to end


class Feed:
    """Keeps an index up to date with its source, from a thread; `start_feed` makes one.

    Attributes:
        location: Of the index.
    """

    def __init__(self, command: list[str], location: str, watch: float) -> None:
        self.location = location
        self._command, self._watch = command, watch
        self._stopping = threading.Event()
        self._first: int | None = None  # exit code of the first run
        self._thread = threading.Thread(target=self._work, name="syntype-feed", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            code = self._run()
            if self._first is None:
                self._first = code
            if not self._watch or self._stopping.wait(self._watch):
                return

    def _run(self) -> int:
        """One run of the process; it ends with us."""
        process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        while process.poll() is None:
            if self._stopping.wait(_LOOK):
                process.terminate()
                try:
                    process.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        return process.returncode

    def wait_for_index(self) -> None:
        """Wait until there is an index to open.

        Raises:
            IncompleteError: The process ended without making one; it said why.
        """
        while not exists(self.location):
            if self._first is not None:
                raise IncompleteError(
                    f"There is no index at {self.location} yet, as the lines above say why. The "
                    "same command tries again."
                )
            self._stopping.wait(_LOOK)

    def stop(self) -> None:
        """End the process, if it still runs; what it acknowledged is kept."""
        self._stopping.set()
        self._thread.join(_PATIENCE + 5)


def start_feed(
    source: str, location: str, watch: float, config: IndexConfig, place: Workplace
) -> Feed:
    """Start filling an index.

    Args:
        source: What `syntype index` is given.
        location: Of the index; where empty, below the workspace under the source's name.
        watch: Seconds after which it is filled again; 0 for never.
        config: How.
        place: Where to work.
    """
    location = location or str(_default(source, place))
    command = [sys.executable, "-m", "syntype", "index", source, "--to", location]
    for options in (config, place):
        for field in fields(options):
            value = getattr(options, field.name)
            if value != field.default:
                command += _argument(field.name, value)
    return Feed(command, location, watch)


def _default(source: str, place: Workplace) -> Path:
    name = Path(source.rpartition(":")[2]).name or "collection"
    path = Path(source).expanduser()
    whole = str(path.resolve()) if path.exists() else source
    return place.workspace / "index" / f"{name}-{content_hash(whole, 8)}"


def _argument(name: str, value: object) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    values = value if isinstance(value, tuple) else (value,)
    return [part for one in values for part in (option, str(one))]
