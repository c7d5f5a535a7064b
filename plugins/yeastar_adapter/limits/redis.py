"""Counts kept in Redis, for all nodes together; in this process while Redis is away."""

from __future__ import annotations

import logging
import time
import weakref
from dataclasses import replace

import gevent
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError

from .limiter import LimiterUnavailable, Statistics
from .link import Answer, Link, Question
from .local import LocalLimiter
from .settings import Rates, RedisSettings
from .window import UNLIMITED, Verdict

log = logging.getLogger(__name__)

_FIRST_PROBE_SECONDS, _LAST_PROBE_SECONDS = 0.5, 2.0
_PROBE_RATES = Rates(second=1_000_000)
_REDIRECTIONS = 3


class RedisLimiter:
    """One count for all processes that use the same Redis, in one round trip a request.

    A request waits for Redis at most `timeout_ms`. Once Redis has failed a request it counts as away, and no request
    waits for it, until it has answered a probe. Meanwhile requests are counted by `local`, which starts with nothing
    of what Redis had counted, or are refused with LimiterUnavailable (`fault_tolerant` false).

    A Redis Cluster may be named by any of its nodes: redirections are followed and remembered.
    """

    def __init__(self, settings: RedisSettings, fault_tolerant: bool, local: LocalLimiter) -> None:
        self.statistics = Statistics()
        self._settings = settings
        self._fault_tolerant = fault_tolerant
        self._local = local
        self._entrance = (settings.host, settings.port)
        self._links: dict[tuple[str, int], Link] = {}
        self._owners: dict[int, tuple[str, int]] = {}

    def admit(self, consumer: str, rates: Rates) -> Verdict:
        if not rates.windows:
            return UNLIMITED
        if not self.statistics.redis_away:
            key = f"yeastar-adapter:{{{consumer}}}"
            self.statistics.redis_requests += 1
            answer = self._ask(key, rates)
            if isinstance(answer, Verdict):
                return answer
            self.statistics.redis_failures += 1
            self._lose(key, answer)
        if not self._fault_tolerant:
            raise LimiterUnavailable(f"Redis {self._address} is away")
        self.statistics.fallbacks += 1
        return self._local.admit(consumer, rates)

    @property
    def _address(self) -> str:
        return "{}:{}".format(*self._entrance)

    def _ask(self, key: str, rates: Rates) -> Answer:
        question = Question(key, rates, time.monotonic() + self._settings.timeout_ms / 1000)
        slot = key_slot(key.encode()) if self._owners else 0
        node = self._owners.get(slot, self._entrance)
        answer = self._link(node).ask(question)
        for _ in range(_REDIRECTIONS):
            if not isinstance(answer, AskError):
                break
            node = (answer.host or node[0], answer.port)
            moved = isinstance(answer, MovedError)
            if moved:
                self._owners[answer.slot_id] = node
            answer = self._link(node).ask(Question(key, rates, question.deadline, asking=not moved))
        return answer

    def _link(self, node: tuple[str, int]) -> Link:
        link = self._links.get(node)
        if link is None:
            host, port = node
            link = self._links[node] = Link(replace(self._settings, host=host, port=port), self.statistics)
        return link

    def _lose(self, key: str, error: Exception) -> None:
        # The address that was configured knows who has taken over from a node that failed.
        self._owners.clear()
        if self.statistics.redis_away:
            return
        self.statistics.redis_away = True
        self.statistics.redis_losses += 1
        log.warning(
            "Redis %s is away (%s: %s): until it is back requests are %s",
            self._address,
            type(error).__name__,
            error,
            "counted in this process alone" if self._fault_tolerant else "refused",
        )
        gevent.spawn(_watch, weakref.ref(self), f"{key}:probe", time.monotonic())

    def _probe(self, key: str, since: float) -> bool:
        # A full or read-only server answers PING and even refuses requests well enough: only a write tells.
        if not isinstance(self._ask(key, _PROBE_RATES), Verdict):
            self._owners.clear()
            return False
        self.statistics.redis_away = False
        log.warning(
            "Redis %s is back after %.1f s: requests are counted there",
            self._address,
            time.monotonic() - since,
        )
        return True


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
