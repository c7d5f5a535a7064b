"""correlation-id: a header that names the request, towards the service and back."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from typing import TYPE_CHECKING

from kong.embedded.pdk import request, response, service
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange, Worker


class CorrelationId(BundledPlugin):
    name = "correlation-id"
    priority = 100001

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._worker_id = str(uuid.uuid4())
        self._counter = itertools.count(1)

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        name = instance.config["header_name"]
        value = request.header(exchange, name)
        if not value:
            value = self._make(exchange, instance.config.get("generator", "uuid#counter"))
            service.set_header(exchange, name, value)
        if instance.config.get("echo_downstream"):
            exchange.correlation_ids[instance.id] = value

    def header_filter(self, exchange: Exchange, instance: PluginInstance) -> None:
        if not instance.config.get("echo_downstream"):
            return
        name = instance.config["header_name"]
        value = exchange.correlation_ids.get(instance.id) or request.header(exchange, name)
        response.set_header(
            exchange, name, value or self._make(exchange, instance.config.get("generator", "uuid#counter"))
        )

    def _make(self, exchange: Exchange, generator: str) -> str:
        if generator == "uuid":
            return str(uuid.uuid4())
        if generator == "tracker":
            return (
                f"127.0.0.1-{exchange.port}-{os.getpid()}-{exchange.connection_id}-"
                f"{exchange.connection_requests}-{time.time():.3f}"
            )
        return f"{self._worker_id}#{next(self._counter)}"
