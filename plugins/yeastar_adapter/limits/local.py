"""Counts kept in this process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from .limiter import LimiterCounters, wait_for_turn
from .settings import RateLimits
from .window import UNLIMITED, RateLimitResult, Window, admit

_INSPECTED = 2


def _monotonic_microseconds() -> int:
    return time.monotonic_ns() // 1000


class LocalLimiter:
    """One count for everybody in the process who asks; never raises LimiterUnavailable.

    It keeps state only of consumers whose requests still count: each call looks at two consumers in turn and drops
    those whose windows have run out, so that what is kept stays in proportion to the consumers that are active.

    `clock` returns microseconds; `wait` sleeps until the turn of a result. Greenlets of one thread may share a
    limiter, threads may not.
    """

    def __init__(
        self,
        clock: Callable[[], int] = _monotonic_microseconds,
        wait: Callable[[RateLimitResult], None] = wait_for_turn,
    ) -> None:
        self.counters = LimiterCounters()
        self._clock = clock
        self._wait = wait
        self._consumers: OrderedDict[str, dict[int, Window]] = OrderedDict()

    def __len__(self) -> int:
        """The number of consumers of which state is kept."""
        return len(self._consumers)

    def admit(self, key: str, limits: RateLimits, max_wait_seconds: float = 0) -> RateLimitResult:
        if not limits.windows:
            return UNLIMITED
        self.counters.local_requests += 1
        result = self._reserve(key, limits, max_wait_seconds)
        if result.wait_microseconds:
            self.counters.waits += 1
            self._wait(result)
        return result

    def _reserve(self, key: str, limits: RateLimits, max_wait_seconds: float) -> RateLimitResult:
        now = self._clock()
        self._drop_expired(now)
        windows = self._consumers.get(key)
        if windows is None:
            windows = self._consumers[key] = {}
        asked = []
        for limit, seconds in limits.windows:
            window = windows.get(seconds)
            if window is None:
                window = windows[seconds] = Window(seconds)
            asked.append((limit, window))
        try:
            return admit(asked, now, round(max_wait_seconds * 1_000_000))
        except BaseException:
            # Broken off in the middle of counting: it would be wrong for as long as this process lives.
            self._consumers.pop(key, None)
            raise

    def _drop_expired(self, now: int) -> None:
        consumers = self._consumers
        for _ in range(min(_INSPECTED, len(consumers))):
            consumer, windows = next(iter(consumers.items()))
            if all(window.expired(now) for window in windows.values()):
                del consumers[consumer]
            else:
                consumers.move_to_end(consumer)
