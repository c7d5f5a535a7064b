"""Rate limits that contradict each other."""

from collections.abc import Iterator
from itertools import pairwise

from .document import Node
from .finding import Finding, error, warning

_WINDOWS = ("second", "minute", "hour", "day")


def check(config: Node) -> Iterator[Finding]:
    """Look at `rate_limit` of the instance and of each consumer."""
    common = config.get("rate_limit")
    if common:
        yield from _ascending({w: n for w in _WINDOWS if (n := common.get(w))})
        yield from _redis(common)
    entries = config.each("consumers")
    limited = any(record and record.get(w) for w in _WINDOWS for record in (common, *_own(entries)))
    if not limited and (entries or config.get("merchant")):  # without either, nothing can be sent
        yield warning(
            "no-limit",
            common or config,
            "no rate limit at all: one PBX, or one stolen key, can send as fast as it likes",
            "set rate_limit.second and rate_limit.day",
        )
    for entry, own in zip(entries, _own(entries), strict=True):
        if own:
            both = {w: n for w in _WINDOWS if (n := own.get(w) or (common.get(w) if common else None))}
            yield from _ascending(both, of=f" of {entry.text('username')}")


def _own(entries: list[Node]) -> list[Node | None]:
    return [entry.get("rate_limit") for entry in entries]


def _ascending(limits: dict[str, Node], of: str = "") -> Iterator[Finding]:
    """A longer window with a lower limit makes the shorter one meaningless."""
    numbers = [(w, n) for w, n in limits.items() if isinstance(n.value, (int, float)) and n.value is not True]
    for (shorter, short), (longer, long) in pairwise(numbers):
        if long.value < short.value:
            yield warning(
                "rates-contradict",
                long,
                f"the limit{of} per {longer} ({long.value}) is below the one per {shorter} ({short.value}),"
                " which can never be reached",
                "raise the longer window's limit or lower the shorter one's",
            )


def _redis(limit: Node) -> Iterator[Finding]:
    redis = limit.get("redis")
    if limit.text("policy") != "redis":
        if redis:
            yield warning(
                "redis-unused",
                redis,
                "policy is not redis, so each node counts for itself",
                "set `policy: redis`, or remove the redis record",
            )
        return
    if redis is None:
        return
    ssl, verify = redis.get("ssl"), redis.get("ssl_verify")
    if ssl and ssl.value is True and verify and verify.value is False:
        yield warning(
            "redis-tls", verify, "the Redis server's certificate is not checked", "set ssl_verify: true"
        )
    if redis.get("username") and not redis.get("password"):
        yield error(
            "redis-login", redis, "a user name without a password: Redis refuses the login", "set password"
        )
