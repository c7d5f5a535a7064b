"""request-termination: answers every request with what the configuration says."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kong.embedded import values
from kong.embedded.pdk import node, request, response
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange

_MESSAGES = {
    401: "Unauthorized",
    404: "Not found",
    405: "Method not allowed",
    500: "An unexpected error occurred",
    502: "Bad Gateway",
    503: "Service unavailable",
}


class RequestTermination(BundledPlugin):
    name = "request-termination"
    priority = 2

    def needs_body(self, exchange: Exchange, config: Mapping[str, Any]) -> bool:
        return bool(config.get("echo"))

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        status = config.get("status_code", 503)
        trigger = config.get("trigger")
        if trigger and trigger not in exchange.request and trigger not in request.get_query(exchange):
            return
        message = values.narrow(config.get("message")) or _MESSAGES.get(status)
        if config.get("echo"):
            response.exit_(exchange, status, _echo(exchange, message))
        body = config.get("body")
        if body:
            content_type = config.get("content_type")
            headers = {"Content-Type": content_type} if content_type else None
            response.exit_(exchange, status, values.narrow(body), headers)
        response.exit_(exchange, status, {"message": message} if message else None)


def _echo(exchange: Exchange, message: str | None) -> dict[str, Any]:
    body = request.get_body(exchange)
    raw_body = request.get_raw_body(exchange)
    return {
        "message": message,
        "kong": {
            "node_id": exchange.worker.node_id,
            "worker_pid": os.getpid(),
            "hostname": socket.gethostname(),
        },
        "request": {
            "scheme": exchange.scheme,
            "host": exchange.host,
            "port": exchange.port,
            "headers": request.get_headers(exchange),
            "query": request.get_query(exchange),
            "body": body[0] if isinstance(body, tuple) else body,
            "raw_body": raw_body[0] if isinstance(raw_body, tuple) else raw_body,
            "method": exchange.method,
            "path": request.get_path(exchange),
            "uri_captures": request.get_uri_captures(exchange),
        },
        "matched_route": node.get_route(exchange),
        "matched_service": node.get_service(exchange),
    }
