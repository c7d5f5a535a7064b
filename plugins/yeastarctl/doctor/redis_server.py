"""The Redis server that counts requests for all nodes."""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from yeastar_adapter.limits.settings import RedisSettings

from .line import Line

_ROUNDS = 7


def check(settings: RedisSettings) -> Iterator[Line]:
    """Log in, run a script as the limiter does, take the latency and look at the memory."""
    subject = f"Redis {settings.host}:{settings.port}"
    client = redis.Redis(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password,
        db=settings.database,
        ssl=settings.ssl,
        ssl_cert_reqs="required" if settings.ssl_verify else "none",
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
        yield _latency(subject, client, settings.timeout_ms)
        client.eval("return 1", 0)
        yield from _memory(subject, client)
    except redis.AuthenticationError as error:
        yield Line("fail", subject, f"login refused: {error}", "check rate_limit.redis.username and password")
    except redis.exceptions.NoPermissionError as error:
        yield Line(
            "fail", subject, f"not allowed: {error}", "the user needs the commands EVALSHA, EVAL and PING"
        )
    except redis.TimeoutError:
        yield Line("fail", subject, "no answer within 2 s", "is the address right, is a firewall between?")
    except redis.ConnectionError as error:
        yield Line("fail", subject, f"not reachable: {error}", "is the address right, does the server run?")
    except redis.RedisError as error:
        yield Line("fail", subject, str(error), "see the server's log")
    finally:
        client.close()


def _latency(subject: str, client: Any, timeout_ms: int) -> Line:
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        client.ping()
        times.append((time.perf_counter() - started) * 1000)
    middle, worst = median(times), max(times)
    detail = f"answers in {middle:.1f} ms (median), {worst:.1f} ms (worst of {_ROUNDS})"
    if worst > timeout_ms / 2:
        return Line(
            "warn",
            subject,
            f"{detail}; the limit is {timeout_ms} ms",
            "put Redis nearer to Kong, or raise rate_limit.redis.timeout_ms",
        )
    return Line("ok", subject, detail)


def _memory(subject: str, client: Any) -> Iterator[Line]:
    try:
        memory = client.info("memory")
    except redis.RedisError:
        return  # INFO is often not allowed, and not needed
    used, limit = memory.get("used_memory", 0), memory.get("maxmemory", 0)
    if limit and used > 0.9 * limit:
        yield Line(
            "warn",
            subject,
            f"{used / limit:.0%} of its memory is in use (policy {memory.get('maxmemory_policy', '?')})",
            "counters can be lost or refused: give it more memory, or a server of its own",
        )
