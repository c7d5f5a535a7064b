"""Rate limits that contradict each other, and the Redis server that counts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import pairwise

from yeastar_adapter.settings import KONGS_PATIENCE

from .environment import Environment
from .finding import Edit, Finding, error, hint, warning
from .node import Node

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
# How long Kong waits for the plugin server, in this project's kong.conf.
KONG_WAITS_MS = KONGS_PATIENCE * 1000
_WAIT_MS, _REDIS_MS = 1000, 200  # the schema's defaults


def check(config: Node, environment: Environment) -> Iterator[Finding]:
    """Look at `rate_limit` of the instance and of each consumer, and at the time that a request may take."""
    common = config.get("rate_limit")
    if common:
        yield from _agree({w: n for w in _SECONDS if (n := common.get(w))})
        yield from _redis(common, environment)
    entries = config.each("consumers")
    owns = [entry.get("rate_limit") for entry in entries]
    limited = any(record and record.get(w) for w in _SECONDS for record in (common, *owns))
    if not limited and (entries or config.get("merchant")):  # without either, nothing can be sent
        yield warning(
            "no-limit",
            common or config,
            "no rate limit at all: one PBX, or one stolen key, can send as fast as it likes",
            "set rate_limit.second and rate_limit.minute",
        )
    for entry, own in zip(entries, owns, strict=True):
        if own:
            both = {w: n for w in _SECONDS if (n := own.get(w) or (common.get(w) if common else None))}
            yield from _agree(both, of=f" of {entry.text('username')}")
    yield from _waits(config, entries)


def _agree(limits: dict[str, Node], of: str = "") -> Iterator[Finding]:
    """Longer windows against shorter ones; and whether a PBX can keep to the rate that the second allows."""
    numbers = [
        (w, n)
        for w, n in limits.items()
        if isinstance(n.value, (int, float)) and n.value > 0 and n.value is not True
    ]
    contradicted = False
    for (shorter, short), (longer, long) in pairwise(numbers):
        if long.value < short.value:
            contradicted = True
            yield warning(
                "rates-contradict",
                long,
                f"the limit{of} per {longer} ({long.value}) is below the one per {shorter} ({short.value}), which can"
                " never be reached",
                "raise the longer window's limit or lower the shorter one's",
            )
    second, minute = limits.get("second"), limits.get("minute")
    if contradicted or not second or not minute:
        return
    if isinstance(second.value, int) and isinstance(minute.value, int) and minute.value < 60 * second.value:
        yield warning(
            "rates-disagree",
            minute,
            f"a PBX{of} that sends {second.value} a second, as it may, meets the limit of {minute.value} a minute after"
            f" {minute.value / second.value:.0f} s; what is refused then is lost, for a PBX does not send it again",
            f"set `minute: {60 * second.value}` (60 times the limit per second), or the PBX's own rate to"
            f" {minute.value / 60:g} a second",
            Edit(f"minute: {minute.value}", f"minute: {60 * second.value}"),
        )


def _waits(config: Node, entries: list[Node]) -> Iterator[Finding]:
    """The time that a request may take in the adapter, against the time that Kong waits for it."""
    limit = config.get("rate_limit") or config.put({})
    redis = (limit.number("redis", "timeout_ms") or _REDIS_MS) if limit.text("policy") == "redis" else 0
    wait = limit.number("max_wait_ms")
    others = redis + (_WAIT_MS if wait is None else wait)
    for merchant in (config.get("merchant"), *(entry.get("merchant") for entry in entries)):
        node = merchant.get("timeout_ms") if merchant else None
        token = merchant.number("timeout_ms") if merchant else None
        if node is None or token is None:
            continue
        if token > KONG_WAITS_MS:
            yield error(
                "timeout-beyond-kong",
                node,
                f"timeout_ms is {token:g} ms, and Kong waits {KONG_WAITS_MS:g} ms for the adapter"
                " (nginx_http_lua_socket_read_timeout of kong.conf): Kong then refuses a message that the adapter may"
                " still place, and its user sends it once more",
                f"set timeout_ms below {KONG_WAITS_MS - others:g}, or raise the time in kong.conf",
            )
        elif token + others > KONG_WAITS_MS:
            yield warning(
                "timeout-beyond-kong",
                node,
                f"timeout_ms, rate_limit.max_wait_ms and rate_limit.redis.timeout_ms together are"
                f" {token + others:g} ms,"
                f" more than the {KONG_WAITS_MS:g} ms for which Kong waits for the adapter",
                "lower one of them, or raise nginx_http_lua_socket_read_timeout in kong.conf",
            )


def _redis(limit: Node, environment: Environment) -> Iterator[Finding]:
    redis = limit.get("redis")
    if limit.text("policy") != "redis":
        if redis and redis.value and limit.text("policy") in (None, "local"):
            yield warning(
                "redis-unused",
                redis,
                "policy is not redis, so each node counts for itself",
                "set `policy: redis`, or remove the redis record",
            )
        return
    if redis is None:
        return
    yield from _host(redis, environment)
    if redis.is_true("ssl") and redis.is_false("ssl_verify"):
        yield warning(
            "redis-tls",
            redis.get("ssl_verify") or redis,
            "the Redis server's certificate is not checked",
            "set `ssl_verify: true`",
            Edit("ssl_verify: false", "ssl_verify: true"),
        )
    if not redis.is_true("ssl") and redis.get("ca_certificates"):
        yield warning(
            "redis-tls",
            redis.get("ca_certificates") or redis,
            "without `ssl: true` there is no TLS",
            "set `ssl: true`",
        )
    if redis.get("username") and not redis.get("password"):
        yield error(
            "redis-login", redis, "a user name without a password: Redis refuses the log-in", "set password"
        )
    timeout = redis.number("timeout_ms")
    if timeout is not None and timeout > KONG_WAITS_MS / 2:
        yield hint(
            "redis-timeout",
            redis.get("timeout_ms") or redis,
            f"while Redis hangs, each message waits {timeout:g} ms",
            "200 ms are ten times what a near server needs",
        )


def _host(redis: Node, environment: Environment) -> Iterator[Finding]:
    node = redis.get("host")
    value = environment.text(node)
    if node is None or not value or "{" in value or "$" in value:
        return
    host, port = value.strip(), None
    if "://" in host:
        host = host.partition("://")[2].partition("/")[0].rpartition("@")[2]
    try:
        ipaddress.ip_address(value.strip("[]"))
        if not value.startswith("["):
            return
    except ValueError:
        if _HOST.fullmatch(value):
            return
        if re.fullmatch(r".+:\d+", host):
            host, _, port = host.rpartition(":")
    ssl = " and `ssl: true`" if value.startswith(("rediss://", "valkeys://")) else ""
    if value.startswith("/") or "unix:" in value:
        yield error(
            "redis-host",
            node,
            "host is a socket's path; the adapter connects by TCP",
            "write the server's name",
        )
        return
    yield error(
        "redis-host",
        node,
        f"host is {_kind(value, port)}, not a name: no server is found, and each node counts for itself",
        f"write `host: {host.strip('[]')}`" + (f" and `port: {port}`" if port else "") + ssl,
        Edit(value, host) if value == node.value and not port and not ssl and _HOST.fullmatch(host) else None,
    )


def _kind(value: str, port: str | None) -> str:
    if "://" in value:
        return "a URL"
    return "a name with a port" if port else "no host name"
