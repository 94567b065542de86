"""Several processes that train one encoder together.

Legend: n rows in all, b of this process, ... whatever follows.

Each process holds a contiguous share of whatever is split: the rows of a batch, the classes. Shares
are even, the first ones one longer, so every process can compute every other's. A world of one
process needs no process group, and all of it costs nothing there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed

_T = TypeVar("_T")
# How long a process waits for the others: evaluating and clustering happen between steps.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class World:
    """The processes of one training, and which of them this is.

    Attributes:
        rank: This process, from 0; the first one writes what is written once.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, n: int) -> slice:
        """This process's share of `n` rows."""
        return self.shares(n)[self.rank]

    def shares(self, n: int) -> list[slice]:
        """Each process's share of `n` rows."""
        least, more = divmod(n, self.size)
        stops = [least * (rank + 1) + min(rank + 1, more) for rank in range(self.size)]
        return [slice(start, stop) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]

    def gather(self, part: Shaped[Tensor, "b ..."], n: int) -> Shaped[Tensor, "n ..."]:
        """All rows, of which this process has the share `part`; without gradient."""
        part = part.detach()
        if self.size == 1:
            return part
        shares = self.shares(n)
        longest = shares[0].stop
        padded = part.new_zeros(longest, *part.shape[1:])
        padded[: len(part)] = part
        found = [torch.empty_like(padded) for _ in shares]
        distributed.all_gather(found, padded)
        lengths = [share.stop - share.start for share in shares]
        return torch.cat([rows[:length] for rows, length in zip(found, lengths, strict=True)])

    def total(self, value: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The sum of every process's `value`, which is changed in place."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def largest(self, value: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The largest of every process's `value`, which is changed in place."""
        if self.size > 1:
            distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return value

    def told(self, value: _T) -> _T:
        """What the first process says; the others' `value` is not looked at."""
        if self.size == 1:
            return value
        said = [value]
        distributed.broadcast_object_list(said)
        return said[0]

    def collect(self, value: _T) -> list[_T]:
        """What each process says, on all of them."""
        if self.size == 1:
            return [value]
        said: list[_T] = [value] * self.size
        distributed.all_gather_object(said, value)
        return said


SOLO = World()


@contextmanager
def joined(world: World, meeting: Path, device: torch.device) -> Iterator[World]:
    """Meet the other processes; what is left of the world is taken down at the end.

    Args:
        world: Which process this is.
        meeting: A file that all of them can write, new for each world, by which they meet.
        device: Where this process computes; CUDA talks by NCCL, everything else by Gloo.
    """
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    # Gloo beside NCCL, for what lies on the CPU: labels, objects, hashes.
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    distributed.init_process_group(
        backend,
        init_method=f"file://{meeting}",
        rank=world.rank,
        world_size=world.size,
        timeout=_PATIENCE,
    )
    try:
        yield world
    finally:
        distributed.destroy_process_group()
