"""Many read or one writes, and a writer that waits is not kept waiting by readers that come."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from syntype.search.turns import Turns

PATIENCE = 20.0


def start(
    turn: Callable[[], AbstractContextManager[None]], do: Callable[[], object]
) -> threading.Thread:
    def work() -> None:
        with turn():
            do()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_readers_read_beside_one_another() -> None:
    turns, meeting = Turns(), threading.Barrier(3, timeout=PATIENCE)
    readers = [start(turns.reading, meeting.wait) for _ in range(3)]
    for reader in readers:
        reader.join(PATIENCE)
    assert not meeting.broken


def test_a_writer_waits_for_readers_and_goes_before_later_ones() -> None:
    turns, go, order = Turns(), threading.Event(), list[str]()
    first = start(turns.reading, lambda: go.wait(PATIENCE))
    until(lambda: turns._reading == 1)
    writer = start(turns.writing, lambda: order.append("written"))
    until(lambda: turns._waiting == 1)
    later = start(turns.reading, lambda: order.append("read"))
    time.sleep(0.05)
    assert order == []
    go.set()
    for thread in (first, writer, later):
        thread.join(PATIENCE)
    assert order == ["written", "read"]


def test_one_writes_at_a_time_and_nobody_reads_meanwhile() -> None:
    turns, inside, wrong = Turns(), list[str](), list[list[str]]()

    def be(kind: str) -> None:
        for _ in range(60):
            with turns.writing() if kind == "w" else turns.reading():
                inside.append(kind)
                time.sleep(0)
                if "w" in inside and len(inside) > 1:
                    wrong.append(list(inside))
                inside.remove(kind)

    threads = [threading.Thread(target=be, args=(kind,)) for kind in "wwrrr"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not wrong
    assert not inside


def test_an_error_inside_ends_the_turn() -> None:
    turns = Turns()
    for turn in (turns.reading, turns.writing):
        with pytest.raises(ZeroDivisionError), turn():
            raise ZeroDivisionError
    with turns.writing():
        pass
