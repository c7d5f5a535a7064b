"""What an administrator sets about rate limits: `config.rate_limit` of the plugin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Policy = Literal["redis", "local"]


@dataclass(frozen=True)
class RateLimits:
    """How many requests a consumer may make in any second, minute, hour and day; None means no such limit.

    Raises ValueError for a limit below 1.
    """

    second: int | None = None
    minute: int | None = None
    hour: int | None = None
    day: int | None = None
    windows: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    """(limit, length in seconds) of every limit that is set, the shortest window first."""

    def __post_init__(self) -> None:
        named = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400))
        limits = [(name, getattr(self, name), seconds) for name, seconds in named]
        for name, limit, _ in limits:
            if limit is not None and limit < 1:
                raise ValueError(f"a limit per {name} is at least 1, not {limit}")
        windows = tuple((limit, seconds) for _, limit, seconds in limits if limit is not None)
        object.__setattr__(self, "windows", windows)

    @property
    def per_second(self) -> float | None:
        """The rate that a PBX may keep up for ever: the least of second, minute/60, hour/3600 and day/86400."""
        return min((limit / seconds for limit, seconds in self.windows), default=None)


@dataclass(frozen=True)
class RedisSettings:
    """The Redis server that counts for all nodes together.

    `ca_certificates`: a PEM file with the authorities to trust; None: the system's bundle.
    `timeout_ms` bounds the whole time that a request waits for Redis, connecting included.
    """

    host: str = "redis"
    port: int = 6379
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    ssl: bool = False
    ssl_verify: bool = True
    ca_certificates: str | None = None
    timeout_ms: int = 200


@dataclass(frozen=True)
class RateLimitSettings:
    """Rate limits of the route and where they are counted; a consumer's own limits override `limits`."""

    second: int | None = 5
    minute: int | None = 300
    hour: int | None = None
    day: int | None = None
    max_wait_ms: int = 1000
    policy: Policy = "redis"
    fault_tolerant: bool = True
    hide_client_headers: bool = True
    redis: RedisSettings = field(default_factory=RedisSettings)

    @property
    def limits(self) -> RateLimits:
        return RateLimits(self.second, self.minute, self.hour, self.day)
