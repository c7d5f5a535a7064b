"""request-termination: answers every request with what the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kong.embedded import values
from kong.embedded.pdk import request, response
from kong.embedded.phases import LuaError
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

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        status = config.get("status_code", 503)
        trigger = config.get("trigger")
        if trigger and trigger not in exchange.request and trigger not in request.get_query(exchange):
            return
        message = values.narrow(config.get("message")) or _MESSAGES.get(status)
        if config.get("echo"):
            raise LuaError("config.echo of request-termination is not supported by the embedded gateway")
        body = config.get("body")
        if body:
            content_type = config.get("content_type")
            headers = {"Content-Type": content_type} if content_type else None
            response.exit_(exchange, status, values.narrow(body), headers)
        response.exit_(exchange, status, {"message": message} if message else None)
