"""acl: lets a consumer through, or not, by the groups it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kong.embedded import values
from kong.embedded.pdk import client, response, service
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange

_REFUSAL = "You cannot consume this service"


class Acl(BundledPlugin):
    name = "acl"
    priority = 950

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        deny = list(config.get("deny") or ())
        consumer_id = client.consumer_id(exchange)
        if consumer_id is None:
            if exchange.credential:
                response.error(exchange, 403, _REFUSAL)
            response.error(exchange, 401)
        consumer = exchange.worker.configuration.consumer(consumer_id) if consumer_id else None
        groups = sorted(consumer.groups) if consumer is not None else []
        if not groups and not deny:
            if exchange.credential:
                response.error(exchange, 403, _REFUSAL)
            response.error(exchange, 401)
        listed = deny or list(config.get("allow") or ())
        member = any(group in listed for group in groups)
        if member if deny else not member:
            response.error(exchange, 403, _REFUSAL)
        if not config.get("hide_groups_header"):
            service.set_header(exchange, "X-Consumer-Groups", values.narrow(", ".join(groups)))
