"""The command line as a process of its own, which starts others; for tests that stop and kill."""

import os
import subprocess
import sys
import time
from pathlib import Path


def syntype(*arguments):
    """The command, started."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "syntype", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process):
    """What it printed, once it has ended well."""
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return out.strip().splitlines()


def workers(process):
    """The processes that a process has started."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        return [int(one) for one in path.read_text().split()]
    except FileNotFoundError:
        return []


def until(check, process, seconds=120):
    """What `check` gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never came: {process.communicate()}")


def is_alive(pid):
    """Whether a process runs; one that has ended but whom nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids, seconds=30):
    """Whether processes end before long."""
    end = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    return not any(map(is_alive, pids))
