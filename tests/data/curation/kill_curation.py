"""Curate a catalogue in child processes that are killed while they measure.

    python kill_curation.py CATALOGUE OUT WORKSPACE KILLS

Each child measures slowly, a few pictures to a part of the memory, and is killed with SIGKILL when
it has remembered some. Prints one line of JSON: how many pictures were measured after each kill,
and what the last child, which is left alone, still had to measure.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from syntype.configs.curate import CurateConfig
from syntype.data.catalogue import Catalogue
from syntype.data.curation import measuring
from syntype.data.curation.curate import curate, memory_folder
from syntype.data.curation.memory import Memory


def slowly(log: Path):
    """Measure as ever, take a while for it, and write down that it was done."""
    measure = measuring.measure

    def slow(content: bytes):
        time.sleep(0.01)
        with log.open("a") as handle:
            handle.write("x")
        return measure(content)

    return slow


def child(catalogue: Path, out: Path, workspace: Path, log: Path) -> None:
    measuring._CHUNK, measuring._BATCH, measuring._SECONDS = 32, 2, 0.0
    measuring.measure = slowly(log)
    curate(Catalogue.open(catalogue), out, CurateConfig(), workspace=workspace, workers=2)
    os._exit(0)


def main(catalogue: Path, out: Path, workspace: Path, kills: int) -> None:
    remembered = []
    for _ in range(kills):
        before = len(Memory(memory_folder(workspace)))
        pid = os.fork()
        if pid == 0:
            child(catalogue, out, workspace, workspace.with_name("log"))
        until = time.monotonic() + 20
        while len(Memory(memory_folder(workspace))) < before + 8 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        remembered.append(len(Memory(memory_folder(workspace))))
    pid = os.fork()
    log = workspace.with_name("last")
    if pid == 0:
        child(catalogue, out, workspace, log)
    os.waitpid(pid, 0)
    print(json.dumps({"remembered": remembered, "last": len(log.read_text())}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
