"""One training in several processes: started together, watched, ended together.

The process that owns the training's folder starts the others and waits. Each of them opens the same
workshop from the order it is given, whose stages up to the training are done, and trains its share;
what they learn lies in the checkpoints. Then the owner reads the last checkpoint, as it would after
a kill. So nothing needs to be sent back, and no stage but this one knows of more than one process.

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

from syntype import files
from syntype.configs import (
    ClusterConfig,
    DataConfig,
    EmbedConfig,
    Objective,
    TrainConfig,
    Workplace,
    rebuild,
)
from syntype.errors import TrainingError
from syntype.progress import Progress
from syntype.provenance import plain
from syntype.training import pausing

_WATCH = 0.2  # seconds between two looks at the processes
_GRACE = 10.0  # seconds that the others get to end once one has failed


@dataclass(frozen=True)
class Order:
    """What a gang is to train, in plain types.

    Attributes:
        samples: The data set.
        embed: How its pictures became vectors.
        place: Where to work.
        base: Spec of the encoder to start from.
        objective: What to train against.
        cluster: The clustering, where there is one.
        train: How.
        folder: Where the checkpoints go.
    """

    samples: DataConfig
    embed: EmbedConfig
    place: Workplace
    base: str
    objective: Objective
    cluster: ClusterConfig | None
    train: TrainConfig
    folder: Path

    @classmethod
    def read(cls, path: Path) -> "Order":
        """The order in a file."""
        content = files.as_mapping(files.read_json(path), path)
        cluster = content["cluster"]
        return cls(
            samples=rebuild(DataConfig, content["samples"]),
            embed=rebuild(EmbedConfig, content["embed"]),
            place=rebuild(Workplace, content["place"]),
            base=content["base"],
            objective=content["objective"],
            cluster=None if cluster is None else rebuild(ClusterConfig, cluster),
            train=rebuild(TrainConfig, content["train"]),
            folder=Path(content["folder"]),
        )


def march(order: Order, progress: Progress) -> None:
    """Train in `order.place.processes` processes, to the end.

    Raises:
        TrainingError: One of them failed.
        Paused: A signal asked for a pause; each has stopped after the same step.
    """
    with tempfile.TemporaryDirectory(prefix="syntype-gang-") as name:
        folder = Path(name)
        files.write_json(folder / "order.json", plain(order))
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

    from syntype.sweep.make import Lesson, train_on
    from syntype.sweep.streamed import work_streamed
    from syntype.sweep.workshop import Workshop
    from syntype.training.parallel import World, joined

    _end_with(owner)
    pausing.pause_on_signal()
    order = Order.read(path)
    place = replace(order.place, device=_own_device(order.place.device, rank))
    world = World(rank, place.processes)
    with joined(world, path.with_name("meeting"), torch.device(place.device)):
        if order.train.stream:
            work_streamed(replace(order, place=place), world, progress)
            return
        workshop = Workshop.open(order.samples, order.embed, place)
        base = workshop.model(order.base, "base")
        clustering = None
        if order.cluster is not None:
            clustering = workshop.clusters(base, order.cluster)
        if world.rank == 0:
            workshop.progress = progress
        lesson = Lesson(base, order.objective, clustering, order.train)
        train_on(workshop, lesson, order.folder, world)


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
