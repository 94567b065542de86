"""A request to pause: training looks for it after each step, saves a checkpoint, and stops.

Schedulers announce the end of a job's time by a signal. A signal may arrive in the middle of a
step, where nothing can be saved; so all that its handler does is to note it here.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from syntype.errors import SyntypeError

_asked = threading.Event()
_watchers: list[object] = []


class Paused(SyntypeError):
    """The training stopped because it was asked to; a checkpoint is written.

    The exit code is that of sysexits.h for "try again" (EX_TEMPFAIL).
    """

    exit_code = 75


def request() -> None:
    """Ask for a pause."""
    _asked.set()


def requested() -> bool:
    """Whether a pause was asked for."""
    return _asked.is_set()


def reset() -> None:
    """Forget the request."""
    _asked.clear()


@contextmanager
def watched() -> Iterator[None]:
    """While this is entered, somebody looks for a request and pauses soon after it."""
    mark = object()
    _watchers.append(mark)
    try:
        yield
    finally:
        _watchers.remove(mark)


def is_watched() -> bool:
    """Whether a request would be seen."""
    return bool(_watchers)


def pause_on_signal() -> None:
    """Take USR1 as a request to pause; only the main thread may say so."""

    def note(number: int, frame: FrameType | None) -> None:
        del number, frame
        request()

    signal.signal(signal.SIGUSR1, note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


@contextmanager
def held_back() -> Iterator[None]:
    """A process that is started inside gets no USR1 until its `pause_on_signal`: it would die."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
