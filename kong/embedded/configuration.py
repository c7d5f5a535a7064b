"""The whole declared state as one immutable snapshot, and the place that holds the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kong.embedded.entities import Consumer, KeyAuthCredential, PluginInstance, Route, Service
from kong.embedded.plugin_catalogue import PluginCatalogue


class Configuration:
    """A snapshot: never changed, safe to read from anywhere; a request keeps the one it started with."""

    services: Mapping[str, Service]  # by id
    routes: Mapping[str, Route]  # by id
    consumers: Mapping[str, Consumer]  # by id
    plugins: tuple[PluginInstance, ...]  # the enabled ones and the others, in order of declaration

    def consumer(self, consumer_id: str, search_by_username: bool = False) -> Consumer | None:
        """By id; with `search_by_username` by id, else username (`kong.client.load_consumer`)."""
        raise NotImplementedError

    def consumer_by_custom_id(self, custom_id: str) -> Consumer | None:
        raise NotImplementedError

    def key_auth_credential(self, key: str) -> KeyAuthCredential | None:
        raise NotImplementedError

    def service_of(self, route: Route) -> Service | None:
        raise NotImplementedError

    def plugin_instance(
        self, name: str, route_id: str | None, service_id: str | None, consumer_id: str | None
    ) -> PluginInstance | None:
        """The instance of plugin `name` for a request, the most specific scope first; a disabled one does not exist.

        Order (Kong's): route+service+consumer, route+consumer, service+consumer, route+service, consumer, route,
        service, global.
        """
        raise NotImplementedError

    def plugin_names(self) -> frozenset[str]:
        """Names of the plugins with at least one enabled instance."""
        raise NotImplementedError

    def as_entities(self) -> dict[str, dict[str, Any]]:
        """Everything, as `POST /config` answers it: {"services": {id: {...}}, ...}."""
        raise NotImplementedError


class Store:
    """Holds the present snapshot. `catalogue` says which plugins exist (the Admin API validates with it)."""

    catalogue: PluginCatalogue
    current: Configuration

    def __init__(self, configuration: Configuration, catalogue: PluginCatalogue) -> None:
        self.catalogue = catalogue
        self.current = configuration
        self._subscribers: list[Callable[[Configuration], None]] = []

    def replace(self, configuration: Configuration) -> None:
        """Make `configuration` the present one, then call every subscriber with it, in order of subscription."""
        self.current = configuration
        for callback in tuple(self._subscribers):
            callback(configuration)

    def subscribe(self, callback: Callable[[Configuration], None]) -> Callable[[], None]:
        """Call `callback(configuration)` after every change; the returned function ends the subscription."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)


def empty_configuration(entities: Iterable[object] = ()) -> Configuration:
    raise NotImplementedError
