"""prometheus: counts requests; the Admin API shows the counters at /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kong.embedded.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong.embedded.entities import PluginInstance
    from kong.embedded.exchange import Exchange

_HELP = "HTTP status codes per service/route in Kong"


class Prometheus(BundledPlugin):
    name = "prometheus"
    priority = 13

    def log(self, exchange: Exchange, instance: PluginInstance) -> None:
        counters: dict[tuple[str, ...], int] = self.worker.shared.setdefault("prometheus_metrics", {})
        service, route = exchange.service, exchange.route
        consumer = exchange.consumer if isinstance(exchange.consumer, dict) else {}
        labels = (
            (service.name or service.host) if service is not None else "",
            (route.name or route.id) if route is not None else "",
            str(exchange.status),
            "service" if exchange.source == "service" else "kong",
            str(consumer.get("username") or ""),
        )
        counters[labels] = counters.get(labels, 0) + 1


def metrics(shared: dict[str, Any]) -> str:
    """The counters in Prometheus' text format."""
    lines = [f"# HELP kong_http_requests_total {_HELP}", "# TYPE kong_http_requests_total counter"]
    names = ("service", "route", "code", "source", "consumer")
    for labels, count in sorted(shared.get("prometheus_metrics", {}).items()):
        text = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, labels, strict=True))
        lines.append(f'kong_http_requests_total{{{text},workspace="default"}} {count}')
    return "\n".join(lines) + "\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
