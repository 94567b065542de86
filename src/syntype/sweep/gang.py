"""One training in several processes: started together, watched, ended together.

The process that owns the training's folder starts the others and waits. Each of them reads its
order (`orders`), opens what the owner has open, and trains its share; what they learn lies in the
checkpoints. Then the owner reads the last checkpoint, as it would after a kill. So nothing needs to
be sent back, and no stage but the training knows of more than one process.

    <temporary folder>/order.json     what to train
    <temporary folder>/worker-R.log   what process R printed
    <temporary folder>/meeting        by which they find each other

The processes are children of the owner, on its machine, and end with it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from syntype.configs import Workplace
from syntype.errors import TrainingError, UsageError
from syntype.progress import SILENT, Progress
from syntype.sweep.orders import Order, read_order, write_order
from syntype.training import pausing

_WATCH = 0.2  # seconds between two looks at the processes
_GRACE = 10.0  # seconds that the others get to end once one has failed


def march(order: Order, progress: Progress) -> None:
    """Train in `order.place.processes` processes, to the end.

    Raises:
        UsageError: There are fewer GPUs than processes.
        TrainingError: One of them failed.
        Paused: A signal asked for a pause; each has stopped after the same step.
    """
    _check_devices(order.place)
    with tempfile.TemporaryDirectory(prefix="syntype-gang-") as name:
        folder = Path(name)
        write_order(order, folder / "order.json")
        n = order.place.processes
        progress.say(f"training in {n} processes")
        gang = _Gang([_start(folder, rank, n) for rank in range(n)], folder)
        with pausing.watched(), gang.told_of_signals():
            gang.wait()


def _start(folder: Path, rank: int, size: int) -> "subprocess.Popen[bytes]":
    """Start one process; only the first one draws its progress."""
    command = [sys.executable, "-m", "syntype", "worker"]
    command += [str(folder / "order.json"), str(rank), str(os.getpid())]
    log = (folder / f"worker-{rank}.log").open("wb")
    environment = os.environ | {
        # They share the processors; without this each takes all of them.
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // size)),
    }
    with log, pausing.held_back():
        return subprocess.Popen(
            command, env=environment, stdout=log, stderr=None if rank == 0 else log
        )


@dataclass
class _Gang:
    processes: Sequence["subprocess.Popen[bytes]"]
    folder: Path

    @contextmanager
    def told_of_signals(self) -> Iterator[None]:
        """Pass a request to pause on to the processes; end them whatever happens here."""
        if pausing.requested():
            self._tell()
        previous = signal.getsignal(signal.SIGUSR1)

        def tell(number: int, frame: FrameType | None) -> None:
            self._tell()
            if callable(previous):
                previous(number, frame)

        main = threading.current_thread() is threading.main_thread()
        if main:
            signal.signal(signal.SIGUSR1, tell)
        try:
            yield
        finally:
            if main:
                signal.signal(signal.SIGUSR1, previous)
            self._end()

    def _tell(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGUSR1)

    def wait(self) -> None:
        """Wait until all have ended.

        Raises:
            TrainingError: One failed; the others are ended too.
            Paused: All paused.
        """
        while any(process.poll() is None for process in self.processes):
            time.sleep(_WATCH)
            if any(process.poll() not in (None, 0) for process in self.processes):
                self._await(_GRACE)
                break
        codes = [process.poll() for process in self.processes]
        if pausing.Paused.exit_code in codes:
            raise pausing.Paused(
                "Paused, as asked, with a checkpoint. The same command goes on from there."
            )
        failed = [(code, rank) for rank, code in enumerate(codes) if code not in (0, None)]
        if failed:  # a killed one (its code is negative) first: the others failed for its silence
            code, rank = min(failed)
            raise TrainingError(self._failure(rank, len(codes), code))

    def _await(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(one.poll() is None for one in self.processes):
            time.sleep(_WATCH)

    def _failure(self, rank: int, size: int, code: int) -> str:
        how = f"ended with status {code}"
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        lines = (self.folder / f"worker-{rank}.log").read_text(errors="replace").splitlines()
        said = f" It said: {lines[-1]}" if lines else ""
        return (
            f"Process {rank} of {size} of the training {how}.{said} Run the same command again: "
            "it goes on from the last checkpoint, with any number of --processes."
        )

    def _end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        for process in self.processes:
            process.wait()


def work(path: Path, rank: int, owner: int, progress: Progress) -> None:
    """Train this process's share of an order.

    Args:
        path: The order.
        rank: Which process this is.
        owner: The process that started it.
        progress: Where the first process shows how far it is.
    """
    import torch

    from syntype.training.parallel import World, joined

    _end_with(owner)
    pausing.pause_on_signal()
    order = read_order(path)
    place = replace(order.place, device=_own_device(order.place.device, rank))
    world = World(rank, place.processes)
    shown = progress if rank == 0 and not place.quiet else SILENT
    with joined(world, path.with_name("meeting"), torch.device(place.device)):
        order.work(place, world, shown)


def _check_devices(place: Workplace) -> None:
    """Refuse a gang whose processes could not have a GPU each."""
    import torch

    from syntype.encoders.load import resolve_device

    n = torch.cuda.device_count() if resolve_device(place.device).type == "cuda" else 0
    if 0 < n < place.processes:
        raise UsageError(
            f"{place.processes} processes want a GPU each, and this machine has {n}: take "
            f"--processes {n}, or --device cpu."
        )


def _own_device(device: str, rank: int) -> str:
    """The device of this process: on CUDA one for each."""
    from syntype.encoders.load import resolve_device

    kind = resolve_device(device).type
    return f"cuda:{rank}" if kind == "cuda" else kind


def _end_with(owner: int) -> None:
    """End this process once its owner is gone: two gangs must never write the same checkpoints."""

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(_WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
