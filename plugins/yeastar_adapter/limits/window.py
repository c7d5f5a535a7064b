"""A sliding window: no interval as long as the window ever holds more requests than the limit.

The arithmetic alone: it knows neither where the counts are kept nor what time it is. `sliding_window.lua` is the
same arithmetic for counts that are kept in Redis; change both or neither.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

RECORDS = 512
"""So many requests a window remembers one by one; of a higher limit it remembers every second, third, … of them."""

LONGEST_WAIT = 5_000_000
"""No turn is further ahead, in microseconds: `rate_limit.max_wait_ms` is at most 5000."""

NAMES = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}


class RateLimitResult(NamedTuple):
    """Whether one request may pass, and what to tell its sender about the most restrictive window."""

    allowed: bool
    limit: int | None
    """Requests a window; None if the consumer has no limit at all, and the numbers below say nothing."""
    remaining: int
    """Requests that may follow at once."""
    reset_seconds: int
    """Whole seconds, rounded up, until `remaining` grows."""
    retry_after_seconds: int
    """0 for an allowed request; else at least 1, and then, if nothing else came in between, the request passes."""
    window_seconds: int
    """Length of the most restrictive window."""
    wait_microseconds: int
    """How long an allowed request has to wait for its turn."""

    @property
    def window(self) -> str:
        """The name of the most restrictive window: `second`."""
        return NAMES.get(self.window_seconds, f"{self.window_seconds} s")


UNLIMITED = RateLimitResult(True, None, 0, 0, 0, 0, 0)


class Window:
    """The turns that one consumer was given in the last `seconds`, in a state of bounded size.

    A turn is when a request passes: now, or a little later if it was told to wait. It counts from then until a whole
    period later. The period is a thousandth shorter than the window is called, so that a sender that keeps to the
    rate by a clock that is a little fast never runs ahead of it.

    Up to a limit of `RECORDS` each turn is remembered. Above it, those of a batch (a `RECORDS`-th of the limit) are
    remembered by the first of them, and count no longer than that one: never longer than they should, and of the
    limit at most a `RECORDS`-th too short. So there are at most `RECORDS` records of a period (somewhat more after a
    limit was raised), and of a short window as many for each period that requests wait ahead.

    Time is in integer microseconds of any clock. Should the clock be set back by more than a wait can be long, turns
    of what is now the future count as given now: for a whole period more, but no longer.
    """

    __slots__ = ("next", "ordinals", "period", "seconds", "times")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.period = seconds * 999_000
        self.times: list[int] = []
        self.ordinals: list[int] = []
        """Which turn each of `times` is, counted from the last time that the window was empty."""
        self.next = 0

    def advance(self, now: int) -> None:
        """Forget the turns of a period or longer ago."""
        times = self.times
        if not times:
            return
        if times[-1] > now + LONGEST_WAIT:
            self.times = times = [min(time, now) for time in times]
        if times[0] <= now - self.period:
            gone = bisect_right(times, now - self.period)
            del times[:gone], self.ordinals[:gone]
            if not times:
                self.next = 0

    def turn(self, limit: int, now: int) -> int:
        """When there is room for one request more, if none is given a turn meanwhile: `now`, or later."""
        has_to_be_gone = self.next - limit
        if not self.times or has_to_be_gone < self.ordinals[0]:
            return now
        return self.times[bisect_right(self.ordinals, has_to_be_gone) - 1] + self.period

    def give(self, turn: int, limit: int) -> None:
        """Count a request that passes at `turn`; `advance` comes first."""
        batch = -(-limit // RECORDS)
        if not self.times or self.next - self.ordinals[-1] >= batch:
            # Only a clock that was set back, or a limit that was raised, makes a later request's turn an earlier one.
            self.times.append(max(turn, self.times[-1]) if self.times else turn)
            self.ordinals.append(self.next)
        self.next += 1

    def count(self) -> int:
        """The turns that count."""
        return self.next - self.ordinals[0] if self.times else 0

    def expired(self, now: int) -> bool:
        """Whether no turn counts any more."""
        return not self.times or self.times[-1] <= now - self.period


def admit(windows: Iterable[tuple[int, Window]], now: int, longest_wait: int = 0) -> RateLimitResult:
    """Give one request its turn, if every window has one within `longest_wait` microseconds; otherwise none counts it.

    `windows`: (limit, window), at least one, the shortest window first.
    """
    windows = tuple(windows)
    turn, narrowest = now, windows[0]
    for limit, window in windows:
        window.advance(now)
        ready = window.turn(limit, now)
        if ready > turn:
            turn, narrowest = ready, (limit, window)
    wait = turn - now
    if wait > longest_wait:
        limit, window = narrowest
        retry_after = _whole_seconds(wait - longest_wait)
        return RateLimitResult(False, limit, 0, _whole_seconds(wait), retry_after, window.seconds, 0)

    tightest, least = windows[0]
    fewest = None
    for limit, window in windows:
        window.give(turn, limit)
        left = max(limit - window.count(), 0)
        if fewest is None or left <= fewest:
            fewest, tightest, least = left, limit, window
    reset = _whole_seconds(least.times[0] + least.period - now)
    return RateLimitResult(True, tightest, fewest or 0, reset, 0, least.seconds, wait)


def _whole_seconds(microseconds: int) -> int:
    return max(1, -(-microseconds // 1_000_000))
