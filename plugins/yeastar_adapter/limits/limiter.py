"""What every limiter is, wherever it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .settings import Rates
from .window import Verdict


class LimiterUnavailable(Exception):
    """The counts are out of reach, and counting without them is not allowed (`fault_tolerant: false`)."""


@dataclass(slots=True)
class Statistics:
    """What one limiter did since it was opened; read by the metrics."""

    local_requests: int = 0
    """Requests that were counted in this process, whoever asked."""

    redis_requests: int = 0
    """Requests that Redis was asked about."""
    redis_round_trips: int = 0
    """Exchanges with Redis; fewer than requests when simultaneous ones share one."""
    redis_failures: int = 0
    """Requests that Redis did not answer in time, or not with a verdict."""
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
    """Decides whether a consumer's request may pass."""

    statistics: Statistics

    def admit(self, consumer: str, rates: Rates) -> Verdict:
        """Count one request of `consumer`, if all windows of `rates` have room for it.

        Raises LimiterUnavailable.
        """
        ...
