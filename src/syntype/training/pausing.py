"""A request to pause: training looks for it after each step, saves a checkpoint, and stops.

Schedulers announce the end of a job's time by a signal. A signal may arrive in the middle of a
step, where nothing can be saved; so all that its handler does is to note it here.
"""

import signal
import threading
from types import FrameType

from syntype.errors import SyntypeError

_asked = threading.Event()


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


def pause_on_signal(number: int = signal.SIGUSR1) -> None:
    """Take a signal as a request to pause; only the main thread may say so."""

    def note(number: int, frame: FrameType | None) -> None:
        del number, frame
        request()

    signal.signal(number, note)
