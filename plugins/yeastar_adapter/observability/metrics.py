"""The metrics of this process in Prometheus' words. Nothing is computed before Prometheus asks."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import gevent
from kong_plugin_server.counters import Histogram
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from .. import __version__
from ..futuresms.sessions import open_sessions
from ..futuresms.tokens import AccessTokens
from ..limits import limiters
from . import requests as request_records
from .delivery_metrics import Deliveries

if TYPE_CHECKING:
    from kong_plugin_server.server import Server

_PREFIX = "yeastar_adapter_"

_SAMPLES_AT_ONCE = 100

# Metric, field of `limits.LimiterCounters`, documentation.
_REDIS = (
    ("redis_losses", "redis_losses", "How often Redis went away."),
    (
        "redis_failures",
        "redis_failures",
        "Requests that Redis did not answer in time, or not with a result.",
    ),
    ("redis_fallbacks", "fallbacks", "Requests counted in this process because Redis was away."),
    ("redis_round_trips", "redis_round_trips", "Exchanges with Redis."),
    ("redis_connections", "redis_connections", "Connections to Redis that were established."),
    ("redis_script_loads", "script_loads", "How often Redis did not know the script, and was sent it."),
)


def registry_of(server: Server | None) -> CollectorRegistry:
    """Everything that is exported: of requests, of what they use, and of the plugin server and its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Unhurried(Requests()))
    registry.register(_Unhurried(Resources()))
    registry.register(_Unhurried(Deliveries()))
    if server is not None:
        registry.register(_Unhurried(PluginServer(server)))
    ProcessCollector(registry=registry)
    return registry


class _Unhurried(Collector):
    """Lets the event loop run while a scrape is written: a thousand consumers take 50 ms."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        for metric in self._collector.collect():
            metric.samples = _Pausing(metric.samples)
            yield metric


class _Pausing(list[Sample]):
    def __iter__(self) -> Iterator[Sample]:
        for index, sample in enumerate(super().__iter__()):
            if index % _SAMPLES_AT_ONCE == 0:
                gevent.sleep(0)
            yield sample


class Requests(Collector):
    """What became of requests: `requests.counters`."""

    def collect(self) -> Iterator[Metric]:
        counts = request_records.counters
        yield _counter(
            "orders_forwarded",
            "Orders handed to Kong, which proxies them to FutureSMS.",
            counts.forwarded,
            "consumer",
        )
        yield _counter("orders_accepted", "Orders that FutureSMS has taken.", counts.accepted)
        yield _gauge(
            "last_order_accepted_timestamp_seconds",
            "When FutureSMS took the last order, in Unix time; 0: none since the start.",
            counts.accepted_last,
        )
        yield _counter("keys_verified", "Keys that a PBX had verified.", counts.verified, "consumer")
        yield _counter(
            "refusals",
            "Errors answered to a PBX. consumer: empty where nobody was authenticated; endpoint: empty where "
            "nobody looked; fault: who can correct it (pbx, setup, futuresms, gateway).",
            counts.refused,
            "consumer",
            "endpoint",
            "code",
            "fault",
        )
        yield _counter(
            "upstream_answers",
            "Answers of FutureSMS to orders, by HTTP status and the Yeastar code that they became (empty: "
            "accepted).",
            counts.answers,
            "status",
            "code",
        )
        yield _counter(
            "tokens_rejected",
            "Orders that FutureSMS answered 401. Each is submitted once more, if a new token is available.",
            counts.tokens_rejected,
        )
        yield _histogram(
            "limiter_wait_seconds", "What a request waited for its rate to be counted.", counts.limiter_wait
        )
        yield _histogram(
            "turn_wait_seconds",
            "What a request that came before its turn waited for it (rate_limit.max_wait_ms).",
            counts.turn_wait,
        )
        yield _counter(
            "destinations",
            "Messages by the recipient's country, and outcome: forwarded, or refused for that country.",
            counts.destinations,
            "country",
            "outcome",
        )
        yield _histogram(
            "token_wait_seconds",
            "What a message waited for an access token: next to nothing, or a log-in.",
            counts.token_wait,
        )


class Resources(Collector):
    """What requests use: rate limiters and Merchant sessions."""

    def collect(self) -> Iterator[Metric]:
        yield from self._limiters()
        yield from self._sessions()

    def _limiters(self) -> Iterator[Metric]:
        counters = [limiter.counters for limiter in limiters()]

        def total(name: str) -> int:
            return sum(getattr(one, name) for one in counters)

        requests = {"local": total("local_requests"), "redis": total("redis_requests")}
        yield _counter("limiter_requests", "Requests counted, by where.", requests, "counted_in")
        if len(counters) > 1:  # the first one is local
            away = any(one.redis_away for one in counters)
            yield _gauge(
                "redis_up", "Whether the limiter's Redis answers (0: one of them does not).", not away
            )
        for name, field, documentation in _REDIS:
            yield _counter(name, documentation, total(field))

    def _sessions(self) -> Iterator[Metric]:
        labels = ("account", "address")
        # More than one for an account and address while its password is being changed.
        sessions: dict[tuple[str, str], list[AccessTokens]] = {}
        for session in open_sessions():
            address = urlsplit(session.account.base_url)
            sessions.setdefault((session.account.username, address.netloc.rpartition("@")[2]), []).append(
                session
            )

        def total(name: str) -> dict[tuple[str, str], float]:
            return {key: sum(getattr(one, name) for one in group) for key, group in sessions.items()}

        yield _counter("session_logins", "Log-ins at FutureSMS that were tried.", total("logins"), *labels)
        yield _counter(
            "session_refreshes", "Tokens renewed with a refresh token.", total("refreshes"), *labels
        )
        yield _counter("session_failures", "Attempts to get a token that failed.", total("failures"), *labels)
        yield _gauge(
            "session_token_seconds",
            "What is left of the access token's life, in seconds; 0: there is none.",
            {key: max(one.token_seconds_left for one in group) for key, group in sessions.items()},
            *labels,
        )
        yield _gauge(
            "session_paused",
            "Whether FutureSMS has refused the last attempt, or could not be reached, and the next one has to wait.",
            {key: any(one.paused for one in group) for key, group in sessions.items()},
            *labels,
        )


class PluginServer(Collector):
    """The process itself: events, PDK calls, instances."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        server, of_server = self._server, self._server.counters
        versions = {(__version__, platform.python_version()): 1}
        yield _gauge("build_info", "The plugin's version, and Python's.", versions, "version", "python")
        yield _counter("events", "Events of Kong that were handled.", of_server.events, "phase")
        yield _histogram(
            "event_duration_seconds",
            "From an event's first message to its last, Kong's PDK calls included.",
            of_server.durations,
            "phase",
        )
        ended = {
            "failed": of_server.failed,
            "timed_out": of_server.timed_out,
            "abandoned": of_server.abandoned,
        }
        yield _counter(
            "events_lost",
            "Events that did not end as they should: failed (an exception; the PBX got 10007), timed_out (no answer "
            "in time), abandoned (Kong never came back).",
            ended,
            "how",
        )
        yield _gauge("open_events", "Events under way.", len(server.events))
        yield _counter("pdk_calls", "PDK calls made.", of_server.pdk_calls)
        yield _counter("pdk_errors", "PDK calls that Kong answered with an error.", of_server.pdk_errors)
        yield _gauge(
            "instances", "Configurations that are loaded, one for each nginx worker.", len(server.instances)
        )
        yield _counter("instances_started", "Configurations that were loaded.", of_server.started_instances)
        yield _counter(
            "instances_failed",
            "Configurations that could not be used: their requests are refused.",
            of_server.failed_instances,
        )
        yield _gauge("kong_connections", "Connections of Kong's that are open.", len(server.connections))
        yield _counter(
            "kong_connections_accepted", "Connections that Kong has made.", of_server.accepted_connections
        )
        yield _counter(
            "kong_connections_malformed",
            "Connections closed because what came was not the protocol.",
            of_server.malformed,
        )


def _samples(values: Mapping[Any, Any] | float) -> Iterable[tuple[list[str], Any]]:
    if not isinstance(values, Mapping):
        return [([], values)]
    return [([key] if isinstance(key, str) else list(key), value) for key, value in list(values.items())]


def _counter(
    name: str, documentation: str, values: Mapping[Any, float] | float, *labels: str
) -> CounterMetricFamily:
    family = CounterMetricFamily(_PREFIX + name, documentation, labels=labels)
    for key, value in _samples(values):
        family.add_metric(key, value)
    return family


def _gauge(
    name: str, documentation: str, values: Mapping[Any, float] | float, *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(_PREFIX + name, documentation, labels=labels)
    for key, value in _samples(values):
        family.add_metric(key, float(value))
    return family


def _histogram(
    name: str, documentation: str, values: Mapping[str, Histogram] | Histogram, *labels: str
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(_PREFIX + name, documentation, labels=labels)
    if isinstance(values, Histogram):
        family.add_metric([], _buckets(values), values.seconds)
    else:
        for key, histogram in list(values.items()):
            family.add_metric([key], _buckets(histogram), histogram.seconds)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Upper bound → how many are not above it."""
    so_far = 0
    buckets = []
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        so_far += count
        buckets.append((bound, float(so_far)))
    return buckets
