"""What Prometheus reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from kong_plugin_server.counters import Histogram, ServerCounters
from prometheus_client import CollectorRegistry, generate_latest
from yeastar_adapter import __version__
from yeastar_adapter.futuresms.merchant import Account, LoginRefused, Tokens
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.limits import RateLimitSettings, RedisSettings, open_limiter
from yeastar_adapter.observability import metrics
from yeastar_adapter.observability.counters import RequestCounters
from yeastar_adapter.observability.metrics import registry_of

from .scrape import samples, value


def exported(server: Any = None) -> str:
    return generate_latest(registry_of(server)).decode()


def test_requests_are_exported_as_they_are_counted(counts: RequestCounters) -> None:
    counts.forwarded["acme-manila"] += 3
    counts.verified["acme-manila"] += 1
    counts.accepted, counts.accepted_last = 2, 1774434612.5
    counts.refused["acme-manila", "sendmessage", "10005", "setup"] += 1
    counts.answers["202", ""] += 2
    counts.answers["403", "10005"] += 1
    text = exported()
    assert value(text, "orders_forwarded_total", consumer="acme-manila") == 3
    assert value(text, "keys_verified_total", consumer="acme-manila") == 1
    assert value(text, "orders_accepted_total") == 2
    assert value(text, "last_order_accepted_timestamp_seconds") == 1774434612.5
    assert (
        value(
            text,
            "refusals_total",
            consumer="acme-manila",
            endpoint="sendmessage",
            code="10005",
            fault="setup",
        )
        == 1
    )
    assert value(text, "upstream_answers_total", status="202", code="") == 2
    assert value(text, "upstream_answers_total", status="403", code="10005") == 1


def test_names_with_odd_characters_are_exported(counts: RequestCounters) -> None:
    counts.forwarded['a "quoted"\nname\\'] += 1
    assert value(exported(), "orders_forwarded_total", consumer='a "quoted"\nname\\') == 1


def test_histograms_are_cumulative(counts: RequestCounters) -> None:
    for seconds in (0.0001, 0.0003, 0.0003, 5.0):
        counts.limiter_wait.observe(seconds)
    text = exported()
    assert value(text, "limiter_wait_seconds_bucket", le="0.0001") == 1
    assert value(text, "limiter_wait_seconds_bucket", le="0.0005") == 3
    assert value(text, "limiter_wait_seconds_bucket", le="1.0") == 3
    assert value(text, "limiter_wait_seconds_bucket", le="+Inf") == 4
    assert value(text, "limiter_wait_seconds_count") == 4
    assert value(text, "limiter_wait_seconds_sum") == pytest.approx(5.0007)


def test_without_a_redis_limiter_nothing_is_said_of_redis_being_up(monkeypatch: pytest.MonkeyPatch) -> None:
    local = open_limiter(RateLimitSettings(policy="local"))
    monkeypatch.setattr(metrics, "limiters", lambda: [local])
    assert "yeastar_adapter_redis_up" not in exported()


def test_a_redis_that_is_away_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    local = open_limiter(RateLimitSettings(policy="local"))
    settings = RateLimitSettings(policy="redis", redis=RedisSettings(host="redis.invalid"))
    limiter = open_limiter(settings)
    monkeypatch.setattr(metrics, "limiters", lambda: [local, limiter])
    assert value(exported(), "redis_up") == 1
    limiter.counters.redis_away = True
    limiter.counters.fallbacks = 7
    text = exported()
    assert value(text, "redis_up") == 0
    assert value(text, "redis_fallbacks_total") == 7


class Api:
    """FutureSMS, which gives tokens of 100 s or refuses to."""

    refuses = False

    def log_in(self) -> Tokens:
        if self.refuses:
            raise LoginRefused("no")
        return Tokens("access", "", 1000.0, 100.0, 0.0)


def session(monkeypatch: pytest.MonkeyPatch, **account: Any) -> tuple[MerchantSession, Api, list[float]]:
    api, now = Api(), [1000.0]
    made = MerchantSession(
        Account("https://user:secret@api.futuresms.example:8443/x", "yeastar-gateway", "pw", **account),
        api,  # type: ignore[arg-type]
        clock=lambda: now[0],
        start=lambda work: work(),
    )
    monkeypatch.setattr(metrics, "open_sessions", lambda: [made.tokens])
    return made, api, now


LABELS = {"account": "yeastar-gateway", "address": "api.futuresms.example:8443"}


def test_a_session_shows_what_is_left_of_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, now = session(monkeypatch)
    assert value(exported(), "session_token_seconds", **LABELS) == 0
    made.token()
    now[0] += 40
    text = exported()
    assert value(text, "session_token_seconds", **LABELS) == 60
    assert value(text, "session_logins_total", **LABELS) == 1
    assert value(text, "session_paused", **LABELS) == 0
    assert "secret" not in text


def test_a_session_that_is_refused_is_paused_until_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    made, api, now = session(monkeypatch)
    api.refuses = True
    with pytest.raises(LoginRefused):
        made.token()
    text = exported()
    assert value(text, "session_paused", **LABELS) == 1
    assert value(text, "session_failures_total", **LABELS) == 1
    now[0] += 60
    assert value(exported(), "session_paused", **LABELS) == 0


def plugin_server(**changes: Any) -> Any:
    counters = ServerCounters()
    for name, changed in changes.items():
        setattr(counters, name, changed)
    return SimpleNamespace(counters=counters, events=[1, 2], instances=[1], connections=[])


def test_the_plugin_server_shows_its_events_and_calls() -> None:
    durations = Histogram()
    durations.observe(0.002)
    text = exported(
        plugin_server(pdk_calls=9, failed=1, events={"access": 5}, durations={"access": durations})
    )
    assert value(text, "pdk_calls_total") == 9
    assert value(text, "events_total", phase="access") == 5
    assert value(text, "event_duration_seconds_count", phase="access") == 1
    assert value(text, "events_lost_total", how="failed") == 1
    assert value(text, "events_lost_total", how="abandoned") == 0
    assert value(text, "open_events") == 2
    assert value(text, "instances") == 1
    [build] = [key for key in samples(text) if key[0] == "yeastar_adapter_build_info"]
    assert ("version", __version__) in build[1]


def test_a_scrape_of_a_thousand_consumers_lets_the_event_loop_run(counts: RequestCounters) -> None:
    for number in range(1000):
        counts.forwarded[counts.label(f"pbx-{number}")] += 1
    turns = []

    def others() -> None:
        while True:
            turns.append(1)
            gevent.sleep(0)

    registry: CollectorRegistry = registry_of(None)
    meanwhile = gevent.spawn(others)
    generate_latest(registry)
    meanwhile.kill()
    assert len(turns) >= 10


def test_consumers_may_come_while_a_scrape_is_written(counts: RequestCounters) -> None:
    for number in range(500):
        counts.forwarded[counts.label(f"pbx-{number}")] += 1

    def others() -> None:
        for number in range(500, 900):
            counts.forwarded[counts.label(f"pbx-{number}")] += 1
            gevent.sleep(0)

    meanwhile = gevent.spawn(others)
    for _ in range(20):
        exported()
    meanwhile.kill()
    assert value(exported(), "orders_forwarded_total", consumer="pbx-0") == 1
