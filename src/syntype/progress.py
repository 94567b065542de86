"""Progress as the work reports it and as the terminal shows it.

Code that works takes a `Progress` and calls `advance`; it never prints. The command line passes
one that draws bars, tests and libraries pass none. Only the standard library is imported here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Task(Protocol):
    """One bar."""

    def advance(self, n: int = 1) -> None:
        """Say that `n` more units are done."""

    def note(self, text: str) -> None:
        """Show a few words behind the bar, for example the loss."""


@runtime_checkable
class Progress(Protocol):
    """Where work says how far it is."""

    @contextmanager
    def task(self, title: str, total: int, done: int = 0) -> Iterator[Task]:
        """A bar of `total` units, `done` of which are finished already."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Print one line above the bars."""


class _SilentTask:
    def advance(self, n: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """Shows nothing, keeps nothing: the default of every library function."""

    @contextmanager
    def task(self, title: str, total: int, done: int = 0) -> Iterator[Task]:
        """A bar that is not drawn."""
        del title, total, done
        yield _SilentTask()

    def say(self, text: str) -> None:
        """Drop the line."""


SILENT: Progress = Silent()
