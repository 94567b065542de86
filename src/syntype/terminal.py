"""What the command line shows: bars with throughput and time left, tables, one-line messages.

Everything goes to standard error except results, so that results can be piped. Rich is imported
when the first thing is shown, not before, so that `--help` stays fast.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table

from syntype.progress import SILENT, Progress, Task

EVERY = 60.0  # seconds between two lines of a log file


class _Bar:
    """One bar of `TerminalProgress`."""

    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, n: int = 1) -> None:
        self._bars.advance(self._task, n)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


class _Lines:
    """What stands for a bar in a log file: a line now and then."""

    def __init__(self, console: Console, title: str, total: int, done: int) -> None:
        self._console, self._title, self._total, self._done = console, title, total, done
        self._note, self._printed = "", time.monotonic()
        console.print(f"{title} ({total - done} of {total} to do)", markup=False)

    def advance(self, n: int = 1) -> None:
        self._done += n
        if time.monotonic() - self._printed >= EVERY:
            self._printed = time.monotonic()
            line = f"{self._title}: {self._done} of {self._total} {self._note}"
            self._console.print(line.rstrip(), markup=False)

    def note(self, text: str) -> None:
        self._note = text


class TerminalProgress:
    """Bars in a terminal; where there is none (a log file of a job), a line each minute."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, title: str, total: int, done: int = 0) -> Iterator[Task]:
        """A bar of `total` units, `done` of which are finished already."""
        if not self._console.is_terminal:
            yield _Lines(self._console, title, total, done)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        with RichProgress(*columns, console=self._console, transient=False) as bars:
            yield _Bar(bars, bars.add_task(title, total=total, completed=done, note=""))

    def say(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text, markup=False)


def progress_of(quiet: bool) -> Progress:
    """The progress that `--quiet` asks for."""
    return SILENT if quiet else TerminalProgress()


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output; its cells are text, never markup."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def show_error(text: str) -> None:
    """Print one readable line about what went wrong and what to do."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"syntype: {text}", style="red", markup=False
    )
