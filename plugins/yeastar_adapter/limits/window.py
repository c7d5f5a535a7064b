"""A sliding window: no interval as long as the window ever holds more requests than the limit.

The arithmetic alone: it knows neither where the counts are kept nor what time it is. `sliding_window.lua` is the
same arithmetic for counts that are kept in Redis; change both or neither.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

SLOTS = 32
"""A window that holds too many requests to remember each remembers them by slots of a 32nd of its length."""

EXACT = 64
"""So many requests (or slots of them) a window remembers one by one."""


class Verdict(NamedTuple):
    """Whether one request may pass, and what to tell its sender about the most restrictive window."""

    allowed: bool
    limit: int | None
    """Requests a window; None if the consumer has no limit at all, and the three numbers below say nothing."""
    remaining: int
    """Requests that may follow at once."""
    reset_seconds: int
    """Whole seconds, rounded up, until `remaining` grows."""
    retry_after_seconds: int
    """0 for an allowed request; else at least 1, and then, if nothing else came in between, the request passes."""


UNLIMITED = Verdict(True, None, 0, 0, 0)


class Window:
    """What was granted to one consumer in the last `period` microseconds, in a state of bounded size.

    A request counts from the moment it is granted until a whole period later. Up to `EXACT` requests are remembered
    one by one; of more, those in the same slot are remembered together, as if all had come with the last of them:
    some then count for up to one slot longer than a period, none shorter.

    Time is in integer microseconds of any clock. Should the clock be set back, requests of what is now the future
    count as if granted now: for a whole period more, but no longer.
    """

    __slots__ = ("counts", "period", "times", "total")

    def __init__(self, period: int) -> None:
        self.period = period
        self.times: list[int] = []
        self.counts: list[int] = []
        self.total = 0

    def advance(self, now: int) -> None:
        """Forget what was granted a period or longer ago."""
        times, counts = self.times, self.counts
        if not times:
            return
        if times[-1] > now:
            self._set_back(now)
        if times[0] <= now - self.period:
            gone = bisect_right(times, now - self.period)
            self.total -= sum(counts[:gone])
            del times[:gone], counts[:gone]

    def wait(self, limit: int, now: int) -> int:
        """Microseconds until there is room for one request more, if none is granted meanwhile; 0: there is room."""
        surplus = self.total - limit
        if surplus < 0:
            return 0
        for time, count in zip(self.times, self.counts, strict=True):
            surplus -= count
            if surplus < 0:
                return time + self.period - now
        raise ValueError(f"a limit is at least 1, not {limit}")

    def grant(self, now: int) -> None:
        """Count a request; `advance` to `now` comes first."""
        if len(self.times) >= EXACT:
            self._coalesce()
        self.times.append(now)
        self.counts.append(1)
        self.total += 1

    def expired(self, now: int) -> bool:
        """Whether nothing of what was granted counts any more."""
        return not self.times or self.times[-1] <= now - self.period

    def _set_back(self, now: int) -> None:
        times, counts = self.times, self.counts
        late = 0
        while times and times[-1] > now:
            times.pop()
            late += counts.pop()
        times.append(now)
        counts.append(late)

    def _coalesce(self) -> None:
        slot = self.period // SLOTS
        times: list[int] = []
        counts: list[int] = []
        for time, count in zip(self.times, self.counts, strict=True):
            if times and times[-1] // slot == time // slot:
                times[-1] = time
                counts[-1] += count
            else:
                times.append(time)
                counts.append(count)
        self.times, self.counts = times, counts


def admit(windows: Iterable[tuple[int, Window]], now: int) -> Verdict:
    """Grant one request if every window has room for it; otherwise none of them counts it.

    `windows`: (limit, window), at least one, the shortest window first.
    """
    windows = tuple(windows)
    longest, narrowest = 0, 0
    for limit, window in windows:
        window.advance(now)
        wait = window.wait(limit, now)
        if wait > longest:
            longest, narrowest = wait, limit
    if longest:
        seconds = _whole_seconds(longest)
        return Verdict(False, narrowest, 0, seconds, seconds)

    tightest, least = windows[0]
    for limit, window in windows:
        window.grant(now)
        if limit - window.total <= tightest - least.total:
            tightest, least = limit, window
    return Verdict(
        True, tightest, tightest - least.total, _whole_seconds(least.times[0] + least.period - now), 0
    )


def _whole_seconds(microseconds: int) -> int:
    return -(-microseconds // 1_000_000)
