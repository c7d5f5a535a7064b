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


class _Consumer:
    """The windows of one consumer, by their length; those of limits that were taken away count on."""

    __slots__ = ("_limited", "_limits", "_windows")

    def __init__(self) -> None:
        self._windows: dict[int, Window] = {}
        self._limits: RateLimits | None = None
        self._limited: tuple[tuple[int, Window], ...] = ()

    def limited(self, limits: RateLimits) -> tuple[tuple[int, Window], ...]:
        """Each limit with its window, the shortest first."""
        if limits is not self._limits:
            windows = self._windows
            self._limited = tuple(
                (limit, windows.setdefault(seconds, Window(seconds))) for limit, seconds in limits.windows
            )
            self._limits = limits
        return self._limited

    def expired(self, now: int) -> bool:
        """Whether no request counts any more."""
        return all(window.expired(now) for window in self._windows.values())


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
        self._consumers: OrderedDict[str, _Consumer] = OrderedDict()

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
        consumer = self._consumers.get(key)
        if consumer is None:
            consumer = self._consumers[key] = _Consumer()
        try:
            return admit(consumer.limited(limits), now, round(max_wait_seconds * 1_000_000))
        except BaseException:
            # Broken off in the middle of counting: it would be wrong for as long as this process lives.
            self._consumers.pop(key, None)
            raise

    def _drop_expired(self, now: int) -> None:
        consumers = self._consumers
        for _ in range(min(_INSPECTED, len(consumers))):
            key = next(iter(consumers))
            if consumers[key].expired(now):
                del consumers[key]
            else:
                consumers.move_to_end(key)
