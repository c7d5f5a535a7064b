"""The whole declared state as one immutable snapshot, and the place that holds the present one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

from kong_declarative.entities import (
    WORKSPACE_ID,
    Consumer,
    Entity,
    KeyAuthCredential,
    PluginInstance,
    Route,
    Service,
)
from kong_declarative.plugin_catalogue import PluginCatalogue
from kong_declarative.vault import EnvironmentVault

# Completed entities (nulls included) by kind and id.
Tables = Mapping[str, Mapping[str, Entity]]

# Plugin servers tell configurations apart by it, so no two of a process may share one.
_sequence = itertools.count(1)


class Configuration:
    """A snapshot: never changed, safe to read from anywhere; a request keeps the one it started with.

    Every snapshot has new plugin instances: as with Kong, a change of anything starts all of them anew.
    """

    services: Mapping[str, Service]  # by id
    routes: Mapping[str, Route]  # by id
    consumers: Mapping[str, Consumer]  # by id
    plugins: tuple[PluginInstance, ...]  # the disabled ones too, in order of declaration

    def __init__(
        self,
        tables: Tables,
        catalogue: PluginCatalogue,
        environ: Mapping[str, str] | None = None,
        *,
        hash: str = "0" * 32,
    ) -> None:
        """`tables` are completed, checked entities; `environ` is where {vault://env/…} looks (default: os.environ).

        `hash`: MD5 of the text that it was read from; zeros for a configuration that never was a text.
        """
        self.tables = tables
        self.hash = hash
        self.services = {key: Service.of(found) for key, found in tables.get("services", {}).items()}
        self.routes = {key: Route.of(found) for key, found in tables.get("routes", {}).items()}
        groups: dict[str, list[str]] = {}
        for entity in tables.get("acls", {}).values():
            groups.setdefault(entity["consumer"]["id"], []).append(entity["group"])
        self.consumers = {
            key: Consumer.of(found, tuple(groups.get(key, ())))
            for key, found in tables.get("consumers", {}).items()
        }
        self._by_username = {found.username: found for found in self.consumers.values() if found.username}
        self._by_custom_id = {found.custom_id: found for found in self.consumers.values() if found.custom_id}
        credentials = map(KeyAuthCredential.of, tables.get("keyauth_credentials", {}).values())
        self._credentials = {credential.key: credential for credential in credentials}
        vault = EnvironmentVault(environ)
        self.plugins = tuple(
            PluginInstance.of(
                entity,
                catalogue[entity["name"]].config_schema.resolve(entity["config"], vault),
                next(_sequence),
            )
            for entity in tables.get("plugins", {}).values()
        )
        self._instances: dict[str, dict[tuple[str | None, str | None, str | None], PluginInstance]] = {}
        for plugin in self.plugins:
            if plugin.enabled:
                scope = (plugin.route_id, plugin.service_id, plugin.consumer_id)
                self._instances.setdefault(plugin.name, {})[scope] = plugin
        self._without_consumer = {name for name in self._instances if not catalogue[name].takes_consumer}

    def consumer(self, consumer_id: str, search_by_username: bool = False) -> Consumer | None:
        """By id; with `search_by_username` by id, else by username (`kong.client.load_consumer`)."""
        found = self.consumers.get(consumer_id)
        return self._by_username.get(consumer_id) if found is None and search_by_username else found

    def consumer_by_custom_id(self, custom_id: str) -> Consumer | None:
        return self._by_custom_id.get(custom_id)

    def key_auth_credential(self, key: str) -> KeyAuthCredential | None:
        return self._credentials.get(key)

    def service_of(self, route: Route) -> Service | None:
        return None if route.service_id is None else self.services.get(route.service_id)

    def plugin_instance(
        self, name: str, route_id: str | None, service_id: str | None, consumer_id: str | None
    ) -> PluginInstance | None:
        """The instance of plugin `name` for a request, the most specific one; a disabled one does not exist.

        Kong's order: route+service+consumer, route+consumer, service+consumer, route+service, consumer, route,
        service, global.
        """
        instances = self._instances.get(name)
        if instances is None:
            return None
        if name in self._without_consumer:
            consumer_id = None
        for scope in (
            (route_id, service_id, consumer_id),
            (route_id, None, consumer_id),
            (None, service_id, consumer_id),
            (route_id, service_id, None),
            (None, None, consumer_id),
            (route_id, None, None),
            (None, service_id, None),
            (None, None, None),
        ):
            if scope in instances:
                return instances[scope]
        return None

    def plugin_names(self) -> frozenset[str]:
        """Names of the plugins with at least one enabled instance."""
        return frozenset(self._instances)

    def as_entities(self) -> dict[str, dict[str, Any]]:
        """Everything, as `POST /config` answers it: {"services": {id: {…}}, …, "workspaces": {…}}."""
        found: dict[str, dict[str, Any]] = {
            kind: {key: dict(entity) for key, entity in table.items()}
            for kind, table in self.tables.items()
            if table
        }
        found["workspaces"] = {WORKSPACE_ID: {"id": WORKSPACE_ID, "name": "default"}}
        return found


class Store:
    """Holds the present snapshot. `catalogue` says which plugins exist, `environ` where vault references look."""

    def __init__(
        self,
        configuration: Configuration,
        catalogue: PluginCatalogue,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.current = configuration
        self.catalogue = catalogue
        self.environ = os.environ if environ is None else environ
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
