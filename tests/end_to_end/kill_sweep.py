"""Kill a sweep at random moments, start it again, and compare the report's data byte for byte.

    python tests/end_to_end/kill_sweep.py --kills 20

Each kill is a SIGKILL to the whole process group at a moment drawn uniformly from the duration of
an uninterrupted run, in a workspace of its own; then the same command runs to its end.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = (
    *("sweep", "--data", "synthetic:tiny", "--k", "6", "12", "--seeds", "0", "1", "--quiet"),
    *("--train.epochs", "3", "--train.checkpoint-every", "2", "--evaluate.resamples", "200"),
    *("--embed.shard-rows", "64", "--embed.batch-size", "16"),
)


def command(workspace: Path) -> list[str]:
    """The sweep, in a process of its own."""
    return [sys.executable, "-m", "syntype.cli", *SWEEP, "--workspace", str(workspace)]


def finish(workspace: Path) -> Path:
    """Run the sweep to its end; the folder of its report."""
    done = subprocess.run(command(workspace), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return Path(done.stdout.strip().splitlines()[-1]).parent


def kill_after(workspace: Path, seconds: float) -> bool:
    """Start the sweep and kill it; whether it was still running."""
    process = subprocess.Popen(
        command(workspace),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def data_of(report: Path) -> dict[str, bytes]:
    """The report's data: every file of numbers, by name."""
    return {
        str(path.relative_to(report)): path.read_bytes()
        for path in sorted(report.rglob("*"))
        if path.suffix in {".json", ".csv", ".tex", ".svg"} and path.name != "provenance.json"
    }


class Timed:
    """A sweep that nobody interrupts: how long it took, and what it reported."""

    def __init__(self, workspace: Path) -> None:
        start = time.monotonic()
        self.data = data_of(finish(workspace))
        self.seconds = time.monotonic() - start


def main() -> None:
    """Do as many kills as asked, and say what came of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as place:
        whole = Timed(Path(place) / "whole")
        print(f"uninterrupted: {whole.seconds:.1f} s, {len(whole.data)} files of data")
        for number in range(arguments.kills):
            workspace = Path(place) / f"killed-{number}"
            moment = draw.uniform(0, whole.seconds)
            state = "at work" if kill_after(workspace, moment) else "over"
            same = data_of(finish(workspace)) == whole.data
            outcome = "identical" if same else "DIFFERENT"
            print(f"kill {number + 1:2d} after {moment:5.1f} s, {state}: {outcome}", flush=True)
            if not same:
                sys.exit(1)


if __name__ == "__main__":
    main()
