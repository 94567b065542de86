"""Class centres copied to every process, or split over them: seconds of a step, in turns.

    python benchmarks/split_centres.py                   2 processes, 256 x 768
    python benchmarks/split_centres.py --processes 4

A step is the loss, its gradients at the vectors and the centres, and the centres' move, as training
does them; the encoder is left out, since it is the same for both. The processes talk by Gloo on one
machine, one thread each. Prints the median step of each way for each k: `centres auto` changes over
where splitting becomes faster.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from syntype.configs import TrainConfig
from syntype.training.discrimination import Discrimination
from syntype.training.parallel import World, joined

KS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


def step_seconds(objective: Discrimination, vectors: torch.Tensor, n: int, turns: int) -> float:
    """The median step."""
    rows, found = np.arange(n), []
    for step in range(turns + 1):
        distributed.barrier()
        begin = time.perf_counter()
        objective.pull(vectors.detach().requires_grad_(), rows, step)
        objective.move(1.0)
        distributed.barrier()
        found.append(time.perf_counter() - begin)
    return statistics.median(found[1:])


def work(options: argparse.Namespace) -> None:
    """One of the processes."""
    torch.set_num_threads(1)
    world = World(options.rank, options.processes)
    with joined(world, Path(options.meeting), torch.device("cpu")):
        for k in KS:
            source = torch.Generator().manual_seed(0)
            start = torch.randn(k, options.d, generator=source)
            labels = torch.randint(k, (options.n, 1), generator=source)
            vectors = torch.randn(options.n, options.d, generator=source)
            mine = vectors[world.share(options.n)]
            seconds: dict[str, list[float]] = {"copied": [], "split": []}
            for _ in range(options.rounds):
                for centres in ("copied", "split"):
                    config = TrainConfig(centres=centres)
                    objective = Discrimination(start, labels, config, world)
                    turns = 20 if k <= 3_000 else 5
                    seconds[centres].append(step_seconds(objective, mine, options.n, turns))
            if world.rank == 0:
                copied, split = (statistics.median(seconds[name]) for name in seconds)
                print(
                    f"k = {k:7,} ({k * options.d:11,} numbers): copied {1000 * copied:8.1f} ms, "
                    f"split {1000 * split:8.1f} ms, split / copied {split / copied:.2f}",
                    flush=True,
                )


def main() -> None:
    """Start the processes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--n", type=int, default=256, help="samples of a batch")
    parser.add_argument("--d", type=int, default=768, help="dimensions")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank is not None:
        work(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *sys.argv[1:], "--meeting", f"{folder}/meeting"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen([*command, "--rank", str(rank)], env=environment)
            for rank in range(options.processes)
        ]
        sys.exit(max(process.wait() for process in processes))


if __name__ == "__main__":
    main()
