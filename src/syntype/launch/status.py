"""How far a launch is: what SLURM says of its jobs, and what the jobs said of themselves."""

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from syntype.errors import UsageError
from syntype.launch.folder import Launch

# (part, job, state, node, restarts, since, message)
Row = tuple[str, str, str, str, str, str, str]
HEADER = ("part", "job", "state", "node", "restarts", "last heard of", "what it said")


def queued() -> dict[str, str]:
    """The state of each job that SLURM has in its queue; empty where there is no SLURM."""
    try:
        found = subprocess.run(
            ["squeue", "-h", "-r", "-o", "%i|%T"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return {}
    lines = [line.partition("|") for line in found.stdout.splitlines() if "|" in line]
    return {job.strip(): state.strip() for job, _, state in lines}


def status(launch: Launch) -> list[Row]:
    """A row for each part."""
    queue, jobs = queued(), launch.jobs()
    return [_row(launch, part, jobs.get(part, ""), queue) for part in launch.parts]


def _row(launch: Launch, part: str, job: str, queue: Mapping[str, str]) -> Row:
    last = launch.last(part)
    if last is None:
        state = queue.get(job, "not run" if job else "not begun").lower()
        return part, job, state, "", "", "", ""
    words = {"start": "running", "done": "done", "paused": "paused", "failed": "failed"}
    state = words[last["event"]]
    # A job that was killed could not say so.
    if state in ("running", "paused") and job:
        state = queue.get(job, "killed").lower()
    elif state == "running" and last["node"] == platform.node():
        state = "running" if _is_alive(int(last["job"])) else "killed"
    heard = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last["time"]))
    restarts = sum(one["event"] == "start" and one["part"] == part for one in launch.events()) - 1
    said = str(last.get("message", last.get("page", "")))
    return part, job or str(last["job"]), state, last["node"], str(restarts), heard, said


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def logs(launch: Launch, part: str, n_lines: int = 20) -> list[tuple[Path, str]]:
    """The log files of a part, and the last lines of each.

    Raises:
        UsageError: There is no such part, or it has not printed anything yet.
    """
    if part not in launch.parts:
        raise UsageError(f"There is no part {part}; there are {', '.join(launch.parts)}.")
    job = launch.jobs().get(part, "")
    folder = launch.folder / "logs"
    paths = sorted(folder.glob(f"{job}_*_log.*")) if job else []
    paths += sorted(folder.glob(f"{part}.log"))
    if not paths:
        raise UsageError(f"{part} has not printed anything yet: see `syntype launch --status`.")
    return [
        (path, "\n".join(path.read_text(errors="replace").splitlines()[-n_lines:]))
        for path in paths
    ]
