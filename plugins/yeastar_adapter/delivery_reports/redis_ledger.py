"""The ledger of all nodes together, in Redis; in this process while Redis is away."""

from __future__ import annotations

import json
import logging
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import gevent
import redis
from redis.exceptions import RedisError

from ..limits.settings import RedisSettings
from ..limits.tls import TlsConnection
from .address import Reference
from .ledger import FORGOTTEN, SLOT, LocalLedger, Totals, bucket_of, seen_key, slot_of, slots, waited
from .report import Report
from .statuses import Outcome

log = logging.getLogger(__name__)

SCRIPT = files(__package__).joinpath("enter.lua").read_text(encoding="utf-8")

_PREFIX = "yeastar-adapter:{reports}:"
"""One slot of a Redis Cluster: a report is entered in one step."""

_REMEMBERED = 3 * 86400
"""Seconds that Redis knows of an order that its report has come; FutureSMS repeats one within minutes."""

_KEPT = FORGOTTEN + 2 * SLOT
_SYNC_SECONDS = 2.0
_AWAY_SECONDS = 2.0
_SCANNED = 500
_SUM = "sum"


class RedisLedger:
    """One count for all nodes that use the same Redis, which a restart does not lose: one round trip a report.

    A report waits for Redis at most `timeout_ms`. While Redis is away, `local` counts, beside it.
    What is read and written in the background is at most two seconds late: the orders that wait for a report (a
    process that is killed loses those of the last two seconds), and the totals for the metrics.
    """

    counted_in = "redis"

    def __init__(self, settings: RedisSettings, local: LocalLedger) -> None:
        self.local = local
        self.totals_read = Totals()
        self._address = f"{settings.host}:{settings.port}"
        self._client = _client(settings)
        self._script = self._client.register_script(SCRIPT)
        self._expected: dict[tuple[int, str], int] = defaultdict(int)
        self._away_until = 0.0
        self._away = False
        gevent.spawn(_keep_in_step, weakref.ref(self))

    def expect(self, consumer: str, now: float) -> None:
        self._expected[slot_of(now), consumer] += 1

    def enter(self, reference: Reference, report: Report, consumer: str, now: float) -> bool:
        if self.local.knows(reference, report):
            return False
        if time.monotonic() >= self._away_until:
            try:
                counted = bool(self._script(*_arguments(reference, report, consumer, now)) == 1)
            except (RedisError, OSError) as error:
                self._lose(error)
            else:
                self._found()
                self.local.remember(reference, report)
                return counted
        return self.local.enter(reference, report, consumer, now)

    def sync(self) -> None:
        """Write what is expected, and read what all nodes have counted. Raises RedisError, OSError."""
        expected, self._expected = self._expected, defaultdict(int)
        try:
            self._write(expected)
        except (RedisError, OSError):
            for key, orders in expected.items():
                self._expected[key] += orders
            raise
        self.totals_read = self._read()

    def _write(self, expected: dict[tuple[int, str], int]) -> None:
        if not expected:
            return
        with self._client.pipeline(transaction=True) as pipeline:
            for (slot, consumer), orders in expected.items():
                key = _waiting_key(slot)
                pipeline.hincrby(key, consumer, orders)
                pipeline.expire(key, _KEPT)
            pipeline.execute()

    def _read(self) -> Totals:
        totals = Totals()
        for name, value in self._scan(f"{_PREFIX}counted"):
            consumer, status = json.loads(name)
            totals.reports[consumer, status] = value
        for name, value in self._scan(f"{_PREFIX}seconds"):
            consumer, bucket = json.loads(name)
            if bucket == _SUM:
                totals.milliseconds[consumer] = value
            else:
                totals.seconds[bucket, consumer] = value
        for slot in slots(time.time()):
            for consumer, orders in self._scan(_waiting_key(slot)):
                totals.outstanding[consumer] += orders
        return totals

    def _scan(self, key: str) -> Iterator[tuple[str, int]]:
        # Piece by piece: a thousand consumers at once would hold up the event loop.
        for name, value in self._client.hscan_iter(key, count=_SCANNED):
            yield name, int(value)

    def _lose(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _AWAY_SECONDS
        if not self._away:
            self._away = True
            log.warning(
                "Redis %s is unavailable (%s: %s): delivery reports are counted in this process only",
                self._address,
                type(error).__name__,
                error,
            )

    def _found(self) -> None:
        if self._away:
            self._away = False
            log.warning("Redis %s is back: delivery reports are counted there", self._address)


def _keep_in_step(ledger: weakref.ref[RedisLedger]) -> None:
    """Every two seconds, for as long as somebody has the ledger."""
    while True:
        kept = ledger()
        if kept is None:
            return
        if time.monotonic() >= kept._away_until:
            try:
                kept.sync()
                kept._found()
            except (RedisError, OSError) as error:
                kept._lose(error)
        del kept
        gevent.sleep(_SYNC_SECONDS)


def _arguments(
    reference: Reference, report: Report, consumer: str, now: float
) -> tuple[list[str | bytes], list[str | int]]:
    seconds = waited(reference, now)
    delivered = report.outcome is Outcome.DELIVERED
    interim = report.outcome is Outcome.INTERIM
    keys: list[str | bytes] = [
        f"{_PREFIX}seen:".encode() + seen_key(reference, report).hex().encode(),
        f"{_PREFIX}counted",
        f"{_PREFIX}seconds",
        _waiting_key(slot_of(reference.handed_over)),
    ]
    arguments: list[str | int] = [
        _REMEMBERED,
        json.dumps([consumer, report.status]),
        json.dumps([consumer, bucket_of(seconds)]) if delivered else "",
        round(seconds * 1000),
        json.dumps([consumer, _SUM]),
        # Of an order that is forgotten there is nothing to be taken off any more.
        "" if interim or seconds > FORGOTTEN else consumer,
        _KEPT,
    ]
    return keys, arguments


def _waiting_key(slot: int) -> str:
    return f"{_PREFIX}waiting:{slot}"


def _client(settings: RedisSettings) -> Any:
    seconds = settings.timeout_ms / 1000
    tls: dict[str, Any] = {}
    if settings.ssl:
        tls = {
            "connection_class": TlsConnection,
            "ssl_verify": settings.ssl_verify,
            "ca_certificates": settings.ca_certificates,
        }
    pool = redis.ConnectionPool(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password,
        db=settings.database,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        decode_responses=True,
        encoding_errors="surrogateescape",
        protocol=2,
        **tls,
    )
    return redis.Redis.from_pool(pool)
