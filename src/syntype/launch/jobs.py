"""What one job runs: a part of a sweep, by itself, from what the launch's folder says.

SLURM sends USR1 some minutes before it ends a job. While a training goes on, it is asked to save a
checkpoint and stop, and only then the job is queued again, which submitit does. Every other stage
writes its results whole and goes on from what is there, so there the job is queued again at once.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from syntype.errors import SyntypeError
from syntype.launch.folder import REPORT, Launch
from syntype.progress import Progress
from syntype.terminal import progress_of
from syntype.training import pausing


def run_job(launch: Launch, part: str, progress: Progress) -> None:
    """Do a part, and write down how it went.

    Raises:
        SyntypeError: It failed.
        Paused: It was asked to pause, and can go on.
    """
    from syntype.sweep import run_part, run_sweep

    os.chdir(launch.cwd())
    launch.note(part, "start")
    try:
        if part == REPORT:  # as a rule on a machine that is not made for training
            page = run_sweep(launch.config, launch.place, progress, may_train=False)
            launch.note(part, "done", page=str(page))
        else:
            run_part(launch.config, launch.place, part, progress)
            launch.note(part, "done")
    except pausing.Paused:
        launch.note(part, "paused")
        raise
    except SyntypeError as error:
        launch.note(part, "failed", message=str(error))
        raise


@dataclass(frozen=True)
class SlurmJob:
    """What submitit pickles and calls: nothing but the path of the launch, and the part."""

    folder: str
    part: str

    def __call__(self) -> None:
        """Run the part under SLURM."""
        launch = Launch.read(Path(self.folder))
        again = signal.getsignal(signal.SIGUSR1)
        assert callable(again), "submitit queues the job again"

        def pause(number: int, frame: FrameType | None) -> None:
            if pausing.is_watched():
                pausing.request()
            else:
                launch.note(self.part, "paused")
                again(number, frame)

        signal.signal(signal.SIGUSR1, pause)
        try:
            run_job(launch, self.part, progress_of(quiet=False))
        except pausing.Paused:
            again(signal.SIGUSR1, None)

    def checkpoint(self) -> Any:
        """What submitit queues again: the same, since the folders know how far it is."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
