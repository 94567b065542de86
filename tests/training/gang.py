"""Run a function in several processes that form a world, as tests need it."""

import os
import tempfile
import traceback
from pathlib import Path

import torch
import torch.multiprocessing as mp

from syntype.training.parallel import World, joined


def _work(world, work, folder, arguments):
    torch.set_num_threads(1)
    try:
        with joined(world, folder / "meeting", torch.device("cpu")):
            torch.save(work(world, *arguments), folder / f"{world.rank}.pt")
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def together(size, work, *arguments):
    """What `work(world, *arguments)` gives in each of `size` processes."""
    with tempfile.TemporaryDirectory() as name:
        folder, context = Path(name), mp.get_context("fork")
        processes = [
            context.Process(target=_work, args=(World(rank, size), work, folder, arguments))
            for rank in range(size)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * size
        return [torch.load(folder / f"{rank}.pt") for rank in range(size)]
