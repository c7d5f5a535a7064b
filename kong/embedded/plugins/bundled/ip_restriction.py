"""ip-restriction: lets clients through, or not, by address."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kong.embedded.pdk import response
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange


class IpRestriction(BundledPlugin):
    name = "ip-restriction"
    priority = 990

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        deny, allow = config.get("deny"), config.get("allow")
        if (deny and _listed(deny, exchange.remote_addr)) or (
            allow and not _listed(allow, exchange.remote_addr)
        ):
            message = config.get("message") or f"IP address not allowed: {exchange.remote_addr}"
            exchange.worker.log.warn(f"[ip-restriction] {message}")
            response.error(exchange, config.get("status") or 403, message)


def _listed(entries: Any, address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in _networks(tuple(entries)))


@lru_cache(maxsize=512)
def _networks(entries: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)
