"""Memory of processes, bytes of folders, and an end to processes that this benchmark started."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        below = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return
    for child in below:
        yield from family(int(child))


def memory(pids: Sequence[int]) -> float:
    """MB of processes and those below them.

    Of one process what is resident; of several, their shares, as the pages of a server's buffers
    are in all of its processes.
    """
    found = sorted({one for pid in pids for one in family(pid)})
    kind, name = ("smaps_rollup", "Pss:") if len(found) > 1 else ("status", "VmRSS:")
    total = 0
    for pid in found:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/{kind}").read_text().splitlines():
                if line.startswith(name):
                    total += int(line.split()[1])
    return total / 1000


def disk(folder: Path) -> float:
    """MB of a folder's files, as they are allocated."""
    places = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sum(place.lstat().st_blocks * 512 for place in places) / 1e6


def kill(group: int, folder: Path) -> None:
    """SIGKILL to a process that we started as a session, and to the server of its folder."""
    pids: list[int] = []
    with contextlib.suppress(OSError):  # there is none
        first = (folder / "data" / "postmaster.pid").read_text().split()[0]
        if str(folder / "data").encode() in Path(f"/proc/{first}/cmdline").read_bytes():
            pids += family(int(first))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
