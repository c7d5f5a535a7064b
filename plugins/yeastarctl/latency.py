"""Latencies of many requests, summed up."""

import math
from collections.abc import Iterable


def summary(seconds: Iterable[float]) -> dict[str, float]:
    """`min`, `p50`, `p95`, `p99`, `max` in milliseconds (nearest rank); empty for no values."""
    values = sorted(seconds)
    if not values:
        return {}
    ranks = {"min": 0.0, "p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(values[max(0, math.ceil(share * len(values)) - 1)] * 1000, 2)
        for name, share in ranks.items()
    }
