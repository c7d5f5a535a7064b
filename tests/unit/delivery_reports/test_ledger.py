"""Each report is counted once, and what waits for one is known without remembering it."""

from __future__ import annotations

import pytest
from redis.exceptions import RedisError
from yeastar_adapter.delivery_reports.address import Reference
from yeastar_adapter.delivery_reports.ledger import BOUNDS, FORGOTTEN, LocalLedger, bucket_of
from yeastar_adapter.delivery_reports.redis_ledger import RedisLedger
from yeastar_adapter.delivery_reports.report import Report
from yeastar_adapter.limits.settings import RedisSettings

from tests.harness.redis import RedisServer

START = 1_764_000_000.0


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock) -> LocalLedger:
    return LocalLedger(clock)


@pytest.fixture
def redis_server(tmp_path):
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def order(number: int, handed_over: float = START) -> Reference:
    return Reference("acme", f"{number:032x}", "", handed_over)


def report(status: str = "DELIVRD") -> Report:
    return Report("SDPS1", status, "")


def test_the_time_to_delivery_falls_into_its_bucket():
    assert [bucket_of(bound) for bound in BOUNDS] == list(range(len(BOUNDS)))
    assert bucket_of(BOUNDS[-1] + 1) == len(BOUNDS)


def test_only_deliveries_have_a_time(ledger, clock):
    ledger.enter(order(1), report(), "acme", START + 3)
    ledger.enter(order(2), report("EXPIRED"), "acme", START + 3)
    totals = ledger.totals()
    assert totals.seconds == {(bucket_of(3.0), "acme"): 1}
    assert totals.milliseconds == {"acme": 3000}
    assert totals.reports == {("acme", "DELIVRD"): 1, ("acme", "EXPIRED"): 1}


def test_an_order_without_a_report_is_outstanding_after_an_hour_and_for_a_day(ledger, clock):
    for _ in range(3):
        ledger.expect("acme", START)
    seen = []
    for minutes in (0, 59, 71, 600, FORGOTTEN // 60 + 11):
        clock.now = START + minutes * 60
        seen.append(ledger.totals().outstanding.get("acme", 0))
    assert seen == [0, 0, 3, 3, 0]


def test_a_report_takes_its_order_off_however_late_it_comes(ledger, clock):
    ledger.expect("acme", START)
    ledger.expect("acme", START)
    clock.now = START + 7200
    ledger.enter(order(1), report("UNDELIV"), "acme", clock.now)
    assert ledger.totals().outstanding == {"acme": 1}


def test_a_step_on_the_way_leaves_an_order_waiting(ledger, clock):
    ledger.expect("acme", START)
    ledger.enter(order(1), report("ENROUTE"), "acme", START)
    clock.now = START + 7200
    assert ledger.totals().outstanding == {"acme": 1}


def test_an_order_from_before_the_start_is_not_taken_off_what_waits_since(ledger, clock):
    ledger.enter(order(1, START - 60), report(), "acme", START)
    ledger.expect("acme", START)
    clock.now = START + 7200
    assert ledger.totals().outstanding == {"acme": 1}


def redis_ledger(server: RedisServer, clock) -> RedisLedger:
    return RedisLedger(RedisSettings(host=server.host, port=server.port), LocalLedger(clock))


def test_two_nodes_count_a_report_once(redis_server, clock):
    one, other = redis_ledger(redis_server, clock), redis_ledger(redis_server, clock)
    assert one.enter(order(1), report(), "acme", START + 3) is True
    assert other.enter(order(1), report(), "acme", START + 3) is False
    assert other.enter(order(2), report("EXPIRED"), "acme", START + 3) is True
    for node in (one, other):
        node.sync()
        assert node.totals_read.reports == {("acme", "DELIVRD"): 1, ("acme", "EXPIRED"): 1}
        assert node.totals_read.seconds == {(bucket_of(3.0), "acme"): 1}
        assert node.totals_read.milliseconds == {"acme": 3000}


def test_a_restart_forgets_nothing_that_redis_was_told(redis_server, clock):
    redis_ledger(redis_server, clock).enter(order(1), report(), "acme", START)
    restarted = redis_ledger(redis_server, clock)
    assert restarted.enter(order(1), report(), "acme", START) is False
    restarted.sync()
    assert restarted.totals_read.reports == {("acme", "DELIVRD"): 1}


def test_nodes_know_together_what_is_outstanding(redis_server, clock, monkeypatch):
    monkeypatch.setattr("time.time", clock)
    one, other = redis_ledger(redis_server, clock), redis_ledger(redis_server, clock)
    for _ in range(3):
        one.expect("acme", START)
    one.sync()
    other.enter(order(1), report(), "acme", START + 5)
    clock.now = START + 2 * 3600
    other.sync()
    assert other.totals_read.outstanding == {"acme": 2}


def test_a_report_is_counted_in_the_process_while_redis_is_away(redis_server, clock, caplog):
    ledger = redis_ledger(redis_server, clock)
    redis_server.stop()
    assert ledger.enter(order(1), report(), "acme", START) is True
    assert ledger.enter(order(1), report(), "acme", START) is False
    assert ledger.local.totals().reports == {("acme", "DELIVRD"): 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_what_was_counted_without_redis_is_not_counted_again_with_it(redis_server, clock):
    ledger = redis_ledger(redis_server, clock)
    ledger._away_until = float("inf")
    ledger.enter(order(1), report(), "acme", START)
    ledger._away_until = 0.0
    assert ledger.enter(order(1), report(), "acme", START) is False
    ledger.sync()
    assert not ledger.totals_read.reports


def test_what_was_expected_while_redis_was_away_is_written_later(redis_server, clock, monkeypatch):
    monkeypatch.setattr("time.time", clock)
    ledger = redis_ledger(redis_server, clock)
    ledger.expect("acme", START)
    redis_server.kill()
    with pytest.raises((OSError, RedisError)):
        ledger.sync()
    redis_server.start()
    ledger.sync()
    clock.now = START + 7200
    ledger.sync()
    assert ledger.totals_read.outstanding == {"acme": 1}
