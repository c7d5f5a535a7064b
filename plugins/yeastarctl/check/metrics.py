"""Where the metrics are served."""

from __future__ import annotations

from collections.abc import Iterator

from .environment import Environment
from .finding import Finding, warning
from .node import Node


def check(config: Node, environment: Environment) -> Iterator[Finding]:
    """Look at `metrics.listen`."""
    # Only here: it brings gevent, which no other command needs.
    from yeastar_adapter.observability.exporter import Address

    listen = config.at("metrics", "listen")
    value = environment.text(listen)
    if listen is None or not value or not value.strip():
        return
    try:
        Address.parse(value.strip())
    except ValueError as problem:
        yield warning(
            "metrics-address", listen, f"{problem}; no metrics are served", "127.0.0.1:9542, for instance"
        )
