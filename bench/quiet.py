"""Measuring on a machine that does other things too: wait for a quiet moment, and see afterwards whether it
was one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

QUIET = 0.12
"""Cores that everything but the measurement may use for a moment to count as quiet."""

_PROBE = 0.25
"""Seconds that are looked at to tell whether a moment is quiet."""

T = TypeVar("T")


class Disturbance:
    """How many cores everything else has used since this was made: other processes, and the hypervisor's
    other guests."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._busy, self._own = _busy(), _own()

    def cores(self) -> float:
        return (_busy() - self._busy - (_own() - self._own)) / (time.monotonic() - self._start)


class Patience:
    """Seconds that may be spent waiting for quiet, by all measurements together."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def measure(self, measurement: Callable[[], T]) -> tuple[T, float]:
        """The first undisturbed outcome, or when patience has run out the least disturbed; and the cores
        that were taken."""
        best: tuple[T, float] | None = None
        while True:
            begun = time.monotonic()
            self._wait()
            disturbance = Disturbance()
            outcome = measurement()
            cores = disturbance.cores()
            if best is None or cores < best[1]:
                best = outcome, cores
            if cores <= QUIET or self.left <= 0:
                return best
            self.left -= time.monotonic() - begun

    def _wait(self) -> None:
        while self.left > 0:
            probe = Disturbance()
            time.sleep(_PROBE)
            if probe.cores() <= QUIET:
                return
            self.left -= _PROBE


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _own() -> float:
    """CPU seconds of this process and of what it has started."""
    me = psutil.Process()
    return float(sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True))))
