"""A line in front of a few places: first come, first served, each as long as it can wait."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Line:
    """Lets at most `width()` in at once; `width` may change, and `look_again` says in how many seconds it may."""

    def __init__(
        self,
        width: Callable[[], int],
        look_again: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._width = width
        self._look_again = look_again
        self._clock = clock
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
        end = self._clock() + seconds
        while not turn.is_set():
            left = end - self._clock()
            if left <= 0 or turn.wait(min(left, max(self._look_again(), 0.01))):
                break
            with self._lock:
                self._admit()
        return turn.is_set()

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
