"""prometheus: counters and histograms of requests; the Admin API shows them at /metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kong.embedded.pdk import log
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange

_SHARED = "prometheus_metrics"
_UPSTREAM_BUCKETS = (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000)
_KONG_BUCKETS = (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)
_COUNTERS = {
    "bandwidth_bytes": "Total bandwidth (ingress/egress) throughput in bytes",
    "http_requests_total": "HTTP status codes per consumer/service/route in Kong",
}
_HISTOGRAMS = {
    "kong_latency_ms": (
        "Latency added by Kong and enabled plugins for each service/route in Kong",
        _KONG_BUCKETS,
    ),
    "request_latency_ms": (
        "Total latency incurred during requests for each service/route in Kong",
        _UPSTREAM_BUCKETS,
    ),
    "upstream_latency_ms": (
        "Latency added by upstream response for each service/route in Kong",
        _UPSTREAM_BUCKETS,
    ),
}


class _Metrics:
    """What one gateway has counted, by name and labels."""

    def __init__(self) -> None:
        self.counters: dict[str, dict[str, int]] = {name: {} for name in _COUNTERS}
        self.histograms: dict[str, dict[str, list[int]]] = {name: {} for name in _HISTOGRAMS}

    def add(self, name: str, labels: str, count: int = 1) -> None:
        counters = self.counters[name]
        counters[labels] = counters.get(labels, 0) + count

    def observe(self, name: str, labels: str, value: int) -> None:
        """The list has a count for each bucket, one for what is beyond them, and the sum."""
        _, buckets = _HISTOGRAMS[name]
        counts = self.histograms[name].setdefault(labels, [0] * (len(buckets) + 2))
        counts[bisect_left(buckets, value)] += 1
        counts[-1] += value


class Prometheus(BundledPlugin):
    name = "prometheus"
    priority = 13

    def log(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        metrics: _Metrics = self.worker.shared.setdefault(_SHARED, _Metrics())
        service, route = exchange.service, exchange.route
        name = (service.name or service.host) if service is not None else ""
        place = f'service="{_escape(name)}",route="{_escape((route.name or route.id) if route else "")}"'
        consumer = exchange.consumer if isinstance(exchange.consumer, dict) else {}
        username = str(consumer.get("username") or "") if config.get("per_consumer") else ""
        who = f'workspace="default",consumer="{_escape(username)}"'
        spent = log.latencies(exchange)
        if config.get("bandwidth_metrics"):
            metrics.add("bandwidth_bytes", f'{place},direction="egress",{who}', exchange.bytes_sent)
            metrics.add("bandwidth_bytes", f'{place},direction="ingress",{who}', exchange.request_length)
        if config.get("status_code_metrics"):
            source = "service" if exchange.source == "service" else "kong"
            code = f'code="{exchange.status}",source="{source}"'
            metrics.add("http_requests_total", f"{place},{code},{who}")
        if config.get("latency_metrics"):
            labels = f'{place},workspace="default"'
            metrics.observe("request_latency_ms", labels, spent["request"])
            metrics.observe("kong_latency_ms", labels, spent["kong"])
            if spent["proxy"] >= 0:
                metrics.observe("upstream_latency_ms", labels, spent["proxy"])


def metrics(shared: dict[str, Any], node_id: str) -> str:
    """All that has been counted, in Prometheus' text format."""
    return "\n".join(_lines(shared.get(_SHARED) or _Metrics(), node_id)) + "\n"


def _lines(metrics: _Metrics, node_id: str) -> Iterator[str]:
    for name, help_text in _COUNTERS.items():
        if metrics.counters[name]:
            yield from _head(name, help_text, "counter")
            for labels, count in sorted(metrics.counters[name].items()):
                yield f"kong_{name}{{{labels}}} {count}"
    yield from _head("node_info", "Kong Node metadata information", "gauge")
    yield f'kong_node_info{{node_id="{node_id}",version="3.9.1"}} 1'
    for name, (help_text, buckets) in _HISTOGRAMS.items():
        if metrics.histograms[name]:
            yield from _head(name, help_text, "histogram")
            for labels, counts in sorted(metrics.histograms[name].items()):
                yield from _histogram(name, labels, buckets, counts)


def _head(name: str, help_text: str, kind: str) -> tuple[str, str]:
    return f"# HELP kong_{name} {help_text}", f"# TYPE kong_{name} {kind}"


def _histogram(name: str, labels: str, buckets: tuple[int, ...], counts: list[int]) -> Iterator[str]:
    total = 0
    for bound, count in zip((*buckets, "+Inf"), counts[:-1], strict=True):
        total += count
        if total:
            yield f'kong_{name}_bucket{{{labels},le="{bound}"}} {total}'
    yield f"kong_{name}_count{{{labels}}} {total}"
    yield f"kong_{name}_sum{{{labels}}} {counts[-1]}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
