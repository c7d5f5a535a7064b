"""What declarative files declare: services, routes, consumers, and the plugins on each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .document import Node

_META = {"id", "created_at", "updated_at", "tags"}
FIELDS = {
    "service": _META
    | {"name", "url", "retries", "protocol", "host", "port", "path", "connect_timeout", "write_timeout"}
    | {"read_timeout", "client_certificate", "tls_verify", "tls_verify_depth", "ca_certificates", "enabled"}
    | {"routes", "plugins"},
    "route": _META
    | {"name", "protocols", "methods", "hosts", "paths", "headers", "https_redirect_status_code", "service"}
    | {"regex_priority", "strip_path", "path_handling", "preserve_host", "request_buffering", "plugins"}
    | {"response_buffering", "snis", "sources", "destinations", "expression", "priority"},
    "plugin": _META
    | {"name", "instance_name", "config", "enabled", "protocols", "ordering", "service", "route", "consumer"}
    | {"consumer_group"},
}
"""The fields of Kong's own entities, as far as they are looked at here."""


@dataclass(frozen=True, eq=False)
class Service:
    node: Node


@dataclass(frozen=True, eq=False)
class Route:
    node: Node
    service: Service | None

    @property
    def title(self) -> str:
        return self.node.text("name") or self.node.where


@dataclass(frozen=True, eq=False)
class Plugin:
    """One plugin instance and its scope; an instance without any scope is global."""

    name: str
    node: Node
    route: Route | None = None
    service: Service | None = None
    consumer: str | None = None

    @property
    def enabled(self) -> bool:
        enabled, disabled = self.node.get("enabled"), self.node.get("disabled")
        return not (enabled and enabled.value is False) and not (disabled and disabled.value is True)

    @property
    def config(self) -> Node:
        """The `config` record; an empty one where there is none."""
        where = f"{self.node.where}.config".lstrip(".")
        return self.node.get("config") or Node({}, self.node.file, self.node.line, where)

    def covers(self, route: Route) -> bool:
        """Whether the scope takes in a route, for some consumer at least."""
        if self.route is not None:
            return self.route is route
        return self.service is None or self.service is route.service


@dataclass
class Declared:
    """Everything in the files that go to one gateway together."""

    services: list[Service] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    consumers: dict[str, Node] = field(default_factory=dict)
    plugins: list[Plugin] = field(default_factory=list)
    vaults: dict[str, Node] = field(default_factory=dict)
    kubernetes: bool = False
    """Some of it is manifests of Kong's Ingress Controller, whose routes are not read here."""

    @classmethod
    def of(cls, documents: Iterable[Node]) -> Declared:
        """Read declarative files and manifests; names may be referred to across documents."""
        declared = cls()
        manifests = [document for document in documents if document.text("kind")]
        files = [document for document in documents if not document.text("kind")]
        for document in manifests:
            declared._add_manifest(document)
        for node in _each(files, "vaults"):
            declared.vaults[node.text("prefix") or ""] = node
        for node in _each(files, "services"):
            declared._add_service(node)
        for node in _each(files, "routes"):
            declared._add_route(node, declared._service(_reference(node, "service")))
        for node in _each(files, "consumers"):
            name = node.text("username") or node.text("custom_id") or node.where
            declared.consumers[name] = node
            for plugin in node.each("plugins"):
                declared._add_plugin(plugin, consumer=name)
        for node in _each(files, "plugins"):
            declared._add_plugin(node)
        return declared

    def on(self, route: Route, consumer: str | None = None) -> Iterator[Plugin]:
        """The enabled instances on a route: those for everybody, and those of a consumer."""
        for plugin in self.plugins:
            if plugin.enabled and plugin.consumer in (None, consumer) and plugin.covers(route):
                yield plugin

    def _add_manifest(self, document: Node) -> None:
        self.kubernetes = True
        kind = document.text("kind")
        if kind in ("KongPlugin", "KongClusterPlugin"):
            self.plugins.append(Plugin(document.text("plugin") or "", document))
        elif kind == "KongConsumer":
            self.consumers[document.text("username") or document.where] = document

    def _add_service(self, node: Node) -> None:
        service = Service(node)
        self.services.append(service)
        for plugin in node.each("plugins"):
            self._add_plugin(plugin, service=service)
        for route in node.each("routes"):
            self._add_route(route, service)

    def _add_route(self, node: Node, service: Service | None) -> None:
        route = Route(node, service)
        self.routes.append(route)
        for plugin in node.each("plugins"):
            self._add_plugin(plugin, route=route)

    def _add_plugin(
        self,
        node: Node,
        route: Route | None = None,
        service: Service | None = None,
        consumer: str | None = None,
    ) -> None:
        self.plugins.append(
            Plugin(
                node.text("name") or "",
                node,
                route or self._route(_reference(node, "route")),
                service or self._service(_reference(node, "service")),
                consumer or _reference(node, "consumer"),
            )
        )

    def _service(self, name: str | None) -> Service | None:
        return next((s for s in self.services if name and name in _names(s.node)), None)

    def _route(self, name: str | None) -> Route | None:
        return next((r for r in self.routes if name and name in _names(r.node)), None)


def _each(documents: list[Node], collection: str) -> list[Node]:
    return [node for document in documents for node in document.each(collection)]


def _names(node: Node) -> tuple[str | None, str | None]:
    return node.text("name"), node.text("id")


def _reference(node: Node, key: str) -> str | None:
    """The name or id in `service: futuresms` or `service: {name: futuresms}`."""
    reference = node.get(key)
    if reference is None:
        return None
    if isinstance(reference.value, str):
        return reference.value
    return reference.text("name") or reference.text("username") or reference.text("id")
