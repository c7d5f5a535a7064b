"""A line in front of a few places: first come, first served, each as long as it can wait."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .timer import later


class Line:
    """Lets at most `width()` in at once; `width` may change, and `look_again` says in how many seconds it may."""

    def __init__(
        self,
        width: Callable[[], int],
        look_again: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None] = later,
    ) -> None:
        self._width = width
        self._look_again = look_again
        self._later = later
        self._looking = False
        self._lock = threading.Lock()
        self._inside = 0
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def place(self, seconds: float) -> Iterator[bool]:
        """A place for the block, after at most `seconds`; False: there was none in time."""
        turn = threading.Event()
        got = False
        try:
            got = self._enter(turn, seconds)
            yield got
        finally:
            self._leave(turn)

    def _enter(self, turn: threading.Event, seconds: float) -> bool:
        with self._lock:
            self._waiting.append(turn)
            self._admit()
        return turn.wait(seconds)

    def _leave(self, turn: threading.Event) -> None:
        with self._lock:
            if turn.is_set():
                self._inside -= 1
            else:
                self._waiting.remove(turn)
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._inside < self._width():
            self._inside += 1
            self._waiting.popleft().set()
        # One for all: everybody with an alarm of his own, a thousand would wake to look at the same door.
        if self._waiting and not self._looking and (seconds := self._look_again()) < math.inf:
            self._looking = True
            self._later(max(seconds, 0.01), self._look)

    def _look(self) -> None:
        with self._lock:
            self._looking = False
            self._admit()
