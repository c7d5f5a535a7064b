"""Counts kept in Redis, for all nodes together; in this process while Redis is away."""

from __future__ import annotations

import logging
import time
import weakref
from dataclasses import replace

import gevent
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, NoPermissionError

from .limiter import LimiterCounters, LimiterUnavailable, wait_for_turn
from .local import LocalLimiter
from .settings import RateLimits, RedisSettings
from .shared_connection import Answer, ScriptCall, SharedConnection
from .window import UNLIMITED, RateLimitResult

log = logging.getLogger(__name__)

PERMISSIONS = "+eval +evalsha +get +set +time ~yeastar-adapter:*"
"""What an ACL user has to be allowed, as `ACL SETUSER` takes it."""

# The number is that of the format: releases that keep their counts in different ones must not read each other's.
_PREFIX = "yeastar-adapter:2:"

_FIRST_PROBE_SECONDS, _LAST_PROBE_SECONDS = 0.5, 2.0
_PROBE_LIMITS = RateLimits(second=1_000_000)
_REDIRECTIONS = 3


class RedisLimiter:
    """One count for all processes that use the same Redis, in one round trip a request.

    A request waits for Redis at most `timeout_ms`. Once Redis has failed a request it counts as away, and no request
    waits for it, until it has answered a probe. Meanwhile requests are counted by `local`, which starts with nothing
    of what Redis had counted, or are refused with LimiterUnavailable (`fault_tolerant` false).

    A Redis Cluster may be named by any of its nodes: redirections are followed and remembered.
    """

    def __init__(self, settings: RedisSettings, fault_tolerant: bool, local: LocalLimiter) -> None:
        self.counters = LimiterCounters()
        self._settings = settings
        self._fault_tolerant = fault_tolerant
        self._local = local
        self._entrance = (settings.host, settings.port)
        self._connections: dict[tuple[str, int], SharedConnection] = {}
        self._owners: dict[int, tuple[str, int]] = {}

    def admit(self, key: str, limits: RateLimits, max_wait_seconds: float = 0) -> RateLimitResult:
        if not limits.windows:
            return UNLIMITED
        if not self.counters.redis_away:
            name = _PREFIX + f"{{{key}}}"
            self.counters.redis_requests += 1
            answer = self._ask(name, limits, round(max_wait_seconds * 1_000_000))
            if isinstance(answer, RateLimitResult):
                if answer.wait_microseconds:
                    self.counters.waits += 1
                    wait_for_turn(answer)
                return answer
            self.counters.redis_failures += 1
            self._lose(name, answer)
        if not self._fault_tolerant:
            raise LimiterUnavailable(f"Redis {self._address} is unavailable")
        self.counters.fallbacks += 1
        return self._local.admit(key, limits, max_wait_seconds)

    @property
    def _address(self) -> str:
        return "{}:{}".format(*self._entrance)

    def _ask(self, key: str, limits: RateLimits, longest_wait: int = 0) -> Answer:
        call = ScriptCall(key, limits, longest_wait, time.monotonic() + self._settings.timeout_ms / 1000)
        slot = key_slot(key.encode()) if self._owners else 0
        node = self._owners.get(slot, self._entrance)
        answer = self._connection_to(node).ask(call)
        for _ in range(_REDIRECTIONS):
            if not isinstance(answer, AskError):
                break
            node = (answer.host or node[0], answer.port)
            moved = isinstance(answer, MovedError)
            if moved:
                self._owners[answer.slot_id] = node
            answer = self._connection_to(node).ask(
                ScriptCall(key, limits, longest_wait, call.deadline, not moved)
            )
        return answer

    def _connection_to(self, node: tuple[str, int]) -> SharedConnection:
        connection = self._connections.get(node)
        if connection is None:
            host, port = node
            connection = self._connections[node] = SharedConnection(
                replace(self._settings, host=host, port=port), self.counters
            )
        return connection

    def _lose(self, key: str, error: Exception) -> None:
        # The address that was configured knows who has taken over from a node that failed.
        self._owners.clear()
        if self.counters.redis_away:
            return
        self.counters.redis_away = True
        self.counters.redis_losses += 1
        meanwhile = "counted in this process only" if self._fault_tolerant else "refused"
        if _is_forbidden(error):
            log.warning(
                "Redis %s does not let its user run the limiter (%s): it needs %s; until then requests are %s",
                self._address,
                error,
                PERMISSIONS,
                meanwhile,
            )
        else:
            log.warning(
                "Redis %s is unavailable (%s: %s): until it is back requests are %s",
                self._address,
                type(error).__name__,
                error,
                meanwhile,
            )
        gevent.spawn(_watch, weakref.ref(self), f"{key}:probe", time.monotonic())

    def _probe(self, key: str, since: float) -> bool:
        # A full or read-only server answers PING and even refuses requests well enough: only a write tells.
        if not isinstance(self._ask(key, _PROBE_LIMITS), RateLimitResult):
            self._owners.clear()
            return False
        self.counters.redis_away = False
        log.warning(
            "Redis %s is back after %.1f s: requests are counted there",
            self._address,
            time.monotonic() - since,
        )
        return True


def _is_forbidden(error: Exception) -> bool:
    """Whether the server is there and has something against the user: for a command, or for one inside the script."""
    # Redis 6 says "can't run this command", Redis 7 "ACL failure in script".
    words = str(error)
    return isinstance(error, NoPermissionError) or "ACL failure" in words or "can't run this command" in words


def _watch(limiter: weakref.ref[RedisLimiter], key: str, since: float) -> None:
    """Probe until Redis is back, or nobody has the limiter any more."""
    pause = _FIRST_PROBE_SECONDS
    while True:
        gevent.sleep(pause)
        watched = limiter()
        if watched is None or watched._probe(key, since):
            return
        del watched
        pause = min(2 * pause, _LAST_PROBE_SECONDS)
