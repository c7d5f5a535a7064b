"""Where the metrics are served."""

from collections.abc import Iterator

from .document import Node
from .finding import Finding, warning
from .vault import looks_like_reference


def check(config: Node) -> Iterator[Finding]:
    """Look at `metrics.listen`."""
    # Only here: it brings gevent, which no other command needs.
    from yeastar_adapter.observability.exporter import Address

    listen = config.at("metrics", "listen")
    if listen is None or not isinstance(listen.value, str) or not listen.value.strip():
        return
    if looks_like_reference(listen.value):
        return
    try:
        Address.parse(listen.value.strip())
    except ValueError as problem:
        yield warning(
            "metrics-address", listen, f"{problem}; no metrics are served", "127.0.0.1:9542, for instance"
        )
