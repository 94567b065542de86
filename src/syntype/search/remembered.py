"""What was counted of an index, remembered until somebody writes to it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_T = TypeVar("_T")
_MOST = 256


class Remembered:
    """Results by what was asked, of one state of an index; threads may share it.

    Args:
        most: Results that are kept; those that were wanted last.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._state = ""
        self._found: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, state: str, asked: Hashable, count: Callable[[], _T]) -> _T:
        """What `count` gives, or gave before in the same state.

        Args:
            state: Of the index, read before this call; so what is written while `count` runs is
                counted anew the next time.
            asked: What `count` depends on besides.
            count: Counts.
        """
        with self._lock:
            if state != self._state:
                self._state = state
                self._found.clear()
            if asked in self._found:
                self._found.move_to_end(asked)
                found: _T = self._found[asked]
                return found
        found = count()
        with self._lock:
            if state == self._state:
                self._found[asked] = found
                while len(self._found) > self._most:
                    self._found.popitem(last=False)
        return found
