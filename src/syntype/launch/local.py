"""The parts of a sweep as processes of this machine, in the order that SLURM would keep."""

import subprocess
import sys
import time

from syntype.errors import IncompleteError
from syntype.launch.folder import REPORT, Launch
from syntype.progress import SILENT, Progress

_LOOK = 0.2  # seconds between two looks at the processes


def run_processes(launch: Launch, n_parallel: int, progress: Progress = SILENT) -> str:
    """Run all parts that are not done, so many at a time.

    Args:
        launch: What to run.
        n_parallel: Parts that run at a time.
        progress: Where to say what starts and what ends.

    Returns:
        The path of the report's page.

    Raises:
        IncompleteError: Some part failed; unless it is the embedding, a report of the others is
            written.
    """
    launch.write()
    (launch.folder / "logs").mkdir(exist_ok=True)
    failed = set[str]()
    for wave in launch.waves:
        if not failed & set(wave.after):
            failed |= set(_all_of(launch, launch.left(wave), n_parallel, progress))
    if failed:
        raise IncompleteError(_failures(launch, sorted(failed)))
    done = launch.last(REPORT)
    assert done is not None, "the report is done"
    return str(done["page"])


def _failures(launch: Launch, failed: list[str]) -> str:
    said = []
    for part in failed:
        last = launch.last(part)
        message = last.get("message", "It was killed.") if last else "It never began."
        said.append(f"{part}: {message} (see {launch.folder / 'logs' / part}.log)")
    return f"{'; '.join(said)} The same command goes on where it stopped."


def _all_of(launch: Launch, parts: list[str], n_parallel: int, progress: Progress) -> list[str]:
    """Run parts; those that failed."""
    waiting, running, failed = list(parts), dict[str, "subprocess.Popen[bytes]"](), list[str]()
    try:
        while waiting or running:
            while waiting and len(running) < n_parallel:
                part = waiting.pop(0)
                progress.say(f"{part} starts")
                running[part] = _start(launch, part)
            time.sleep(_LOOK)
            for part, process in list(running.items()):
                if (code := process.poll()) is not None:
                    del running[part]
                    progress.say(f"{part} {'is done' if code == 0 else 'failed'}")
                    failed += [part] if code else []
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
    return failed


def _start(launch: Launch, part: str) -> "subprocess.Popen[bytes]":
    log = (launch.folder / "logs" / f"{part}.log").open("ab")
    with log:
        command = [sys.executable, "-m", "syntype", "part", str(launch.folder), part]
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
