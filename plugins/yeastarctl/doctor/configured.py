"""What a configuration says of Redis and of FutureSMS, with vault references resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from yeastar_adapter.futuresms.merchant import Account
from yeastar_adapter.limits.settings import RedisSettings
from yeastar_adapter.schema import NAME

from ..check.declared import Declared, Plugin
from ..check.environment import Environment
from ..check.node import Node
from ..check.pieces import served_routes


class Configured:
    """The accounts and servers that the enabled adapter instances use, each once."""

    def __init__(self, root: Node, variables: Mapping[str, str]) -> None:
        """`root`: a configuration in Kong's declarative format."""
        self._declared = Declared.of(root)
        self._environment = Environment(variables, self._declared.vaults)
        self._adapters = [p for p in self._declared.plugins if p.name == NAME and p.enabled]

    @property
    def adapters(self) -> int:
        return len(self._adapters)

    def redis(self) -> list[RedisSettings]:
        """The Redis servers of the instances whose policy is `redis`."""
        found = []
        for adapter in self._adapters:
            limit = adapter.config.get("rate_limit")
            if limit and limit.text("policy") == "redis":
                found.append(RedisSettings(**self._record(limit.get("redis"), _REDIS)))
        return list(dict.fromkeys(found))

    def accounts(self, consumer: str | None = None) -> list[Account]:
        """The Merchant accounts that have an address, a user name and a password; of one consumer, if it is named."""
        found = [
            Account(
                address.rstrip("/"),
                merchant["username"],
                merchant["password"],
                ca_certificates=merchant.get("ca_certificates"),
            )
            for adapter in self._adapters
            for merchant in self._merchants(adapter, consumer)
            if merchant.get("username") and merchant.get("password")
            for address in [merchant.get("base_url") or self._service_address(adapter)]
            if address
        ]
        return list(dict.fromkeys(found))

    def _merchants(self, adapter: Plugin, consumer: str | None) -> Iterator[dict[str, Any]]:
        common = self._record(adapter.config.get("merchant"), _MERCHANT)
        entries = adapter.config.each("consumers")
        if consumer is None:
            entries = [entry for entry in entries if not entry.is_false("enabled")]
        else:
            entries = [entry for entry in entries if entry.text("username") == consumer]
        for entry in entries:
            yield {**common, **self._record(entry.get("merchant"), _MERCHANT)}
        whose = adapter.consumer.node.text("username") if adapter.consumer else None
        if not entries and consumer in (None, whose):
            yield common

    def _service_address(self, adapter: Plugin) -> str | None:
        routes = [route for route in served_routes(self._declared) if self._declared.covers(adapter, route)]
        service = adapter.service or next((route.service for route in routes if route.service), None)
        if service is None:
            return None
        url = service.node.text("url")
        if url:
            scheme, _, rest = url.partition("://")
            return f"{scheme}://{rest.partition('/')[0]}"
        host, port = service.node.text("host"), service.node.number("port")
        protocol = service.node.text("protocol") or "http"
        return f"{protocol}://{host}:{int(port) if port else 80}" if host else None

    def _record(self, node: Node | None, names: frozenset[str]) -> dict[str, Any]:
        """A record's settings, as far as they are given and can be resolved here."""
        found: dict[str, Any] = {}
        for key, child in node.pairs() if node else ():
            value = self._environment.text(child) if isinstance(child.value, str) else child.value
            if key in names and value is not None:
                found[key] = value
        return found


_REDIS = frozenset(field.name for field in fields(RedisSettings))
_MERCHANT = frozenset({"username", "password", "base_url", "ca_certificates"})
