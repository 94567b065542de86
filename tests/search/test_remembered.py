"""What was counted is counted again only when it may have changed."""

import threading

from syntype.search.remembered import Remembered


class Counter:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> int:
        self.n += 1
        return self.n


def test_a_count_is_taken_once_for_each_state_and_question() -> None:
    kept, count = Remembered(), Counter()
    assert [kept.get("a", "x", count) for _ in range(3)] == [1, 1, 1]
    assert kept.get("a", "y", count) == 2
    assert kept.get("b", "x", count) == 3, "somebody wrote"
    assert kept.get("b", "x", count) == 3


def test_only_what_was_wanted_last_is_kept() -> None:
    kept, count = Remembered(most=2), Counter()
    for asked in ("x", "y", "x", "z"):
        kept.get("a", asked, count)
    assert count.n == 3
    kept.get("a", "x", count)
    assert count.n == 3, "x was wanted after y"
    kept.get("a", "y", count)
    assert count.n == 4


def test_what_was_counted_of_an_older_state_is_not_kept_as_the_newer_ones() -> None:
    kept, begun, written = Remembered(), threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert written.wait(10)
        return 1

    reader = threading.Thread(target=kept.get, args=("old", "x", slow))
    reader.start()
    assert begun.wait(10)
    assert kept.get("new", "y", lambda: 5) == 5
    written.set()
    reader.join()
    assert kept.get("new", "x", lambda: 2) == 2
