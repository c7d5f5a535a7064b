"""Rate limits: so many requests of a consumer in any second, minute, hour and day.

limiter = open_limiter(settings)
result = limiter.admit("acme-manila", RateLimits(second=5, minute=300), max_wait_seconds=1)
if not result.allowed:
    ...  # 429, Retry-After: result.retry_after_seconds
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from .limiter import Limiter, LimiterCounters, LimiterUnavailable
from .local import LocalLimiter
from .settings import RateLimits, RateLimitSettings, RedisSettings
from .window import RateLimitResult

if TYPE_CHECKING:
    from .redis import RedisLimiter

__all__ = [
    "Limiter",
    "LimiterCounters",
    "LimiterUnavailable",
    "RateLimitResult",
    "RateLimitSettings",
    "RateLimits",
    "RedisSettings",
    "limiters",
    "open_limiter",
]

_local = LocalLimiter()
_shared: WeakValueDictionary[tuple[RedisSettings, bool], RedisLimiter] = WeakValueDictionary()


def open_limiter(settings: RateLimitSettings) -> Limiter:
    """The limiter of this process for these settings, the same one however often it is asked for.

    The limits themselves are no part of what makes settings equal: they come with each request, and a changed limit
    applies to what was counted before.
    """
    if settings.policy == "local":
        return _local
    # Imported late: whoever only reads settings would wait for Redis' client, longer than for all the rest.
    from .redis import RedisLimiter

    key = (settings.redis, settings.fault_tolerant)
    limiter = _shared.get(key)
    if limiter is None:
        limiter = _shared[key] = RedisLimiter(*key, local=_local)
    return limiter


def limiters() -> list[Limiter]:
    """All limiters in use in this process, for the metrics; the first one counts locally."""
    return [_local, *_shared.values()]
