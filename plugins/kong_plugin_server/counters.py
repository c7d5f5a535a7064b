"""What the plugin server counts of itself, for logs and metrics."""

from __future__ import annotations

from bisect import bisect_left

DURATION_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Counts of seconds by upper bound (inclusive, ascending); the last count is of everything above the
    last bound."""

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: tuple[float, ...] = DURATION_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds


class ServerCounters:
    """Running totals since the process started; plain attributes, read at any time."""

    __slots__ = (
        "abandoned",
        "accepted_connections",
        "durations",
        "events",
        "failed",
        "failed_instances",
        "malformed",
        "pdk_calls",
        "pdk_errors",
        "started_instances",
        "timed_out",
    )

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        """Events handled, by phase."""
        self.durations: dict[str, Histogram] = {}
        """Seconds from an event's first message to its last, by phase: Kong's PDK calls included."""
        self.pdk_calls = 0
        self.pdk_errors = 0
        """PDK calls that Kong answered with an error."""
        self.failed = 0
        """Events ended by an exception in their handler, or whose instance could not be started."""
        self.timed_out = 0
        """Events ended because their handler did not return in time."""
        self.abandoned = 0
        """Events that Kong never came back to."""
        self.started_instances = 0
        self.failed_instances = 0
        self.accepted_connections = 0
        self.malformed = 0
        """Connections closed because of what was sent on them."""
