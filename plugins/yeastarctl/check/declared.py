"""What a configuration declares, and which plugin instance a request meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .known import takes_consumer
from .node import Node


@dataclass(frozen=True, eq=False)
class Service:
    node: Node

    @property
    def title(self) -> str:
        return self.node.text("name") or self.node.where

    @property
    def enabled(self) -> bool:
        return not self.node.is_false("enabled")


@dataclass(frozen=True, eq=False)
class Route:
    node: Node
    service: Service | None

    @property
    def title(self) -> str:
        return self.node.text("name") or self.node.where


@dataclass(frozen=True, eq=False)
class Consumer:
    node: Node

    @property
    def username(self) -> str | None:
        return self.node.text("username")

    @property
    def title(self) -> str:
        return self.username or self.node.text("custom_id") or self.node.where


@dataclass(frozen=True, eq=False)
class Plugin:
    """One plugin instance and its scope; an instance without any scope is global.

    `bound` False: a manifest that nothing refers to. `judged` False: the configuration is elsewhere.
    """

    name: str
    node: Node
    route: Route | None = None
    service: Service | None = None
    consumer: Consumer | None = None
    bound: bool = True
    judged: bool = True

    @property
    def enabled(self) -> bool:
        return not self.node.is_false("enabled")

    @property
    def config(self) -> Node:
        """The `config` record; an empty one where there is none."""
        return self.node.get("config") or self.node.put({})

    @property
    def scope(self) -> tuple[Route | None, Service | None, Consumer | None]:
        return self.route, self.service, self.consumer

    @property
    def is_global(self) -> bool:
        return self.bound and self.scope == (None, None, None)


@dataclass
class Declared:
    """Services, routes, consumers, and the plugins on each."""

    services: list[Service] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)
    plugins: list[Plugin] = field(default_factory=list)
    vaults: list[Node] = field(default_factory=list)
    certificates: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._instances: dict[str, dict[tuple[object, object, object], Plugin]] = {}

    @classmethod
    def of(cls, root: Node) -> Declared:
        """Read a configuration in Kong's declarative format. References that lead nowhere leave the plugin out."""
        declared = cls(vaults=root.each("vaults"), certificates=root.each("certificates"))
        declared._read(root)
        for plugin in declared.plugins:
            if plugin.enabled and plugin.bound:
                declared._instances.setdefault(plugin.name, {}).setdefault(plugin.scope, plugin)
        return declared

    def _read(self, root: Node) -> None:
        self.services = [Service(node) for node in root.each("services") if isinstance(node.value, dict)]
        self.consumers = [Consumer(node) for node in root.each("consumers") if isinstance(node.value, dict)]
        for service in self.services:
            self.routes += [Route(node, service) for node in service.node.each("routes")]
        for node in root.each("routes"):
            self.routes.append(Route(node, self._find(self.services, "name", node.get("service"))))
        self._by_route = {id(route.node): route for route in self.routes}
        for service in self.services:
            for node in service.node.each("plugins"):
                self._add(node, service=service)
        for route in self.routes:
            for node in route.node.each("plugins"):
                self._add(node, route=route)
        for consumer in self.consumers:
            for node in consumer.node.each("plugins"):
                self._add(node, consumer=consumer)
        for node in root.each("plugins"):
            self._add(node)

    def _add(
        self,
        node: Node,
        route: Route | None = None,
        service: Service | None = None,
        consumer: Consumer | None = None,
    ) -> None:
        route = route or self._find(self.routes, "name", node.get("route"))
        service = service or self._find(self.services, "name", node.get("service"))
        consumer = consumer or self._find(self.consumers, "username", node.get("consumer"))
        lost = (
            (node.get("route") is not None and route is None)
            or (node.get("service") is not None and service is None)
            or (node.get("consumer") is not None and consumer is None)
        )
        bound = not lost and not node.is_true("_unbound")
        self.plugins.append(
            Plugin(
                node.text("name") or "",
                node,
                route,
                service,
                consumer,
                bound=bound,
                judged=not node.is_true("_unjudged"),
            )
        )

    @staticmethod
    def _find(entities: list, key: str, reference: Node | None):  # type: ignore[no-untyped-def, type-arg]
        """The entity that `service: futuresms` or `service: {name: futuresms}` means."""
        if reference is None:
            return None
        name = reference.value if isinstance(reference.value, str) else None
        name = name or reference.text(key) or reference.text("id")
        return next((e for e in entities if name and name in (e.node.text(key), e.node.text("id"))), None)

    def effective(self, name: str, route: Route, consumer: Consumer | None = None) -> Plugin | None:
        """The enabled instance of a plugin that a request meets, the most specific one: Kong's order of precedence."""
        instances = self._instances.get(name)
        if instances is None:
            return None
        service = route.service
        if not takes_consumer(name):
            consumer = None
        for scope in (
            (route, service, consumer),
            (route, None, consumer),
            (None, service, consumer),
            (route, service, None),
            (None, None, consumer),
            (route, None, None),
            (None, service, None),
            (None, None, None),
        ):
            if scope in instances:
                return instances[scope]
        return None

    def disabled(self, name: str, route: Route) -> Plugin | None:
        """An instance of a plugin that would run on a route if it were enabled."""
        for plugin in self.plugins:
            if plugin.name == name and not plugin.enabled and self.covers(plugin, route):
                return plugin
        return None

    @staticmethod
    def covers(plugin: Plugin, route: Route) -> bool:
        """Whether the scope of an instance takes in a route, for some consumer at least."""
        return (
            plugin.bound
            and plugin.route in (None, route)
            and (plugin.service is None or plugin.service is route.service)
        )

    def scoped_consumers(self, names: tuple[str, ...], route: Route) -> list[Consumer]:
        """Consumers that have an instance of their own of one of the plugins on a route."""
        found = [
            plugin.consumer
            for plugin in self.plugins
            if plugin.name in names and plugin.consumer is not None and self.covers(plugin, route)
        ]
        return list(dict.fromkeys(found))

    def running(self, route: Route) -> Iterator[Plugin]:
        """Every instance that some request of a route meets."""
        for plugin in self.plugins:
            if plugin.enabled and self.covers(plugin, route):
                consumer = plugin.consumer
                if self.effective(plugin.name, route, consumer) is plugin:
                    yield plugin
