"""What every limiter is, wherever it counts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import gevent

from .settings import RateLimits
from .window import RateLimitResult


class LimiterUnavailable(Exception):
    """The counts are out of reach, and counting without them is not allowed (`fault_tolerant: false`)."""


@dataclass(slots=True)
class LimiterCounters:
    """What one limiter did since it was opened; read by the metrics."""

    local_requests: int = 0
    """Requests that were counted in this process, whoever asked."""
    waits: int = 0
    """Requests that came before their turn, and waited for it."""

    redis_requests: int = 0
    """Requests that Redis was asked about."""
    redis_round_trips: int = 0
    """Exchanges with Redis; fewer than requests when simultaneous ones share one."""
    redis_failures: int = 0
    """Requests that Redis did not answer in time, or not with a result."""
    redis_connections: int = 0
    """Connections that were established."""
    redis_losses: int = 0
    """How often Redis went away."""
    script_loads: int = 0
    """How often a server did not know the script, and was sent it."""
    fallbacks: int = 0
    """Requests that were counted in this process because Redis was away."""
    redis_away: bool = False
    """Whether Redis is away now."""


class Limiter(Protocol):
    """Decides whether a consumer's request may pass, and when."""

    counters: LimiterCounters

    def admit(self, key: str, limits: RateLimits, max_wait_seconds: float = 0) -> RateLimitResult:
        """Count one request under `key`, if all windows of `limits` have room for it within `max_wait_seconds`.

        Returns when it is the request's turn; other greenlets run meanwhile. The turn was reserved when the request
        came, and stays counted if whoever waits for it is gone. Raises LimiterUnavailable.
        """
        ...


def wait_for_turn(result: RateLimitResult) -> None:
    """Sleep until the turn that a result has reserved; never less than that."""
    turn = time.monotonic() + result.wait_microseconds / 1_000_000
    while (left := turn - time.monotonic()) > 0:
        gevent.sleep(left)
