"""The Redis server that counts requests for all nodes."""

import re
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from yeastar_adapter import trust
from yeastar_adapter.limits.settings import RedisSettings
from yeastar_adapter.limits.shared_connection import SCRIPT

from .line import Line

_ROUNDS = 7
# Under the limiter's own prefix, for users whose ACL names keys; it is gone after two seconds.
_KEY = "yeastar-adapter:{yeastarctl-doctor}:probe"
_MANY_A_SECOND = (1_000_000, 1)
_ACL = "ACL SETUSER NAME on >PASSWORD ~yeastar-adapter:* {}"


def check(settings: RedisSettings) -> Iterator[Line]:
    """Log in, count with the limiter's own script, take the latency and look at the memory."""
    subject = f"Redis {settings.host}:{settings.port}"
    try:
        client = _client(settings)
    except OSError as error:
        yield Line(
            "fail",
            subject,
            str(error),
            "rate_limit.redis.ca_certificates names a PEM file that Kong can read",
        )
        return
    try:
        missing = list(_missing_commands(client))
        if "time" in missing:
            missing.remove("time")
            yield Line(
                "warn",
                subject,
                f"the user {settings.username or 'default'} may not use time: each node counts by its own clock",
                f"allow it: {_ACL.format(' '.join('+' + name for name in _commands()))}",
            )
        if missing:
            yield Line(
                "fail",
                subject,
                f"the user {settings.username or 'default'} may not use {', '.join(missing)}: nothing is counted there",
                f"allow it: {_ACL.format(' '.join('+' + name for name in _commands()))}",
            )
            return
        yield _latency(subject, client, settings.timeout_ms)
        yield from _memory(subject, client)
    except redis.AuthenticationError as error:
        yield Line(
            "fail", subject, f"log-in refused: {error}", "check rate_limit.redis.username and password"
        )
    except redis.exceptions.NoPermissionError as error:
        yield Line(
            "fail",
            subject,
            f"not allowed: {error}",
            f"the limiter needs: {_ACL.format(' '.join('+' + name for name in _commands()))}",
        )
    except redis.TimeoutError:
        yield Line(
            "fail", subject, "no answer within 2 s", "check the address, and whether a firewall blocks it"
        )
    except redis.ConnectionError as error:
        yield Line(
            "fail",
            subject,
            f"not reachable: {error}",
            "check the address, whether the server runs, and whether it speaks TLS",
        )
    except redis.RedisError as error:
        yield Line("fail", subject, f"counting fails: {error}", "see the server's log")
    finally:
        client.close()


def _client(settings: RedisSettings) -> Any:
    return redis.Redis(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password,
        db=settings.database,
        ssl=settings.ssl,
        ssl_cert_reqs="required" if settings.ssl_verify else "none",
        ssl_check_hostname=settings.ssl_verify,
        ssl_ca_certs=settings.ca_certificates or trust.default_bundle(),
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )


def _commands() -> list[str]:
    """The Redis commands that counting takes: those that send the script, and those inside it."""
    inside = re.findall(rb"redis\.p?call\('(\w+)'", SCRIPT)
    return ["evalsha", "eval", *sorted({name.decode().lower() for name in inside})]


def _missing_commands(client: Any) -> Iterator[str]:
    """The commands that the user may not use, found by trying each. Raises RedisError for anything else."""
    trials: dict[str, tuple[Any, ...]] = {
        "evalsha": ("EVALSHA", "0" * 40, 1, _KEY),
        "eval": ("EVAL", "return 1", 1, _KEY),
        "time": ("TIME",),
        "get": ("GET", _KEY),
        "set": ("SET", _KEY, "", "PX", 1000),
    }
    for name in _commands():
        if name not in trials:
            continue  # the script itself will tell
        try:
            client.execute_command(*trials[name])
        except redis.exceptions.NoScriptError:
            pass
        except redis.exceptions.NoPermissionError as error:
            if "key" in str(error) and "command" not in str(error):
                raise
            yield name


def _count(client: Any) -> None:
    """One question as the limiter asks it: without a wait, for one of very many requests a second."""
    arguments = (0, *_MANY_A_SECOND)
    try:
        client.eval(SCRIPT, 1, _KEY, *arguments)
    except redis.ResponseError as error:
        if not str(error).startswith("NOTIME"):
            raise
        client.eval(SCRIPT, 1, _KEY, *arguments, time.time_ns() // 1000)


def _latency(subject: str, client: Any, timeout_ms: int) -> Line:
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        _count(client)
        times.append((time.perf_counter() - started) * 1000)
    middle, worst = median(times), max(times)
    detail = f"counts in {middle:.1f} ms (median), {worst:.1f} ms (worst of {_ROUNDS})"
    if middle > timeout_ms / 2:
        return Line(
            "warn",
            subject,
            f"{detail}; the limit is {timeout_ms} ms",
            "move Redis nearer to Kong, or raise rate_limit.redis.timeout_ms",
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
