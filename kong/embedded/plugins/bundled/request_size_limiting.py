"""request-size-limiting: refuses bodies over a size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kong.embedded.pdk import response
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange

_UNITS = {"bytes": 1, "kilobytes": 1024, "megabytes": 1024 * 1024}
_REFUSAL = "Request size limit exceeded"


class RequestSizeLimiting(BundledPlugin):
    name = "request-size-limiting"
    priority = 951

    def needs_body(self, exchange: Exchange) -> bool:
        # only a body without an announced length has to be read to be measured
        return "content-length" not in exchange.request

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        allowed = config["allowed_payload_size"] * _UNITS[config.get("size_unit", "megabytes")]
        length = exchange.request.get("content-length")
        if length is not None and length.isdigit():
            size = int(length)
        else:
            if config.get("require_content_length") and not exchange.chunked:
                response.error(exchange, 411, "A valid Content-Length header is required")
            size = len(exchange.body or b"")
        if size > allowed:
            expect = exchange.request.get("expect") or ""
            response.error(exchange, 417 if expect.strip().lower() == "100-continue" else 413, _REFUSAL)
