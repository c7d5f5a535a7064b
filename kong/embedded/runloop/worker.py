"""What one nginx worker of Kong has to itself: connections, plugin instances, counters, a Lua state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kong_declarative.configuration import Configuration
from kong_declarative.entities import WORKSPACE_ID, PluginInstance
from kong_declarative.plugin_catalogue import PluginDefinition

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.http.upstream import Pool
from kong.embedded.log import Log
from kong.embedded.plugins.bundled import BUNDLED, NOT_SUPPORTED
from kong.embedded.plugins.bundled.plugin import BundledPlugin
from kong.embedded.plugins.external import ExternalPlugin
from kong.embedded.plugins.lua import Lua
from kong.embedded.plugins.lua_plugins import LuaPlugin
from kong.embedded.plugins.rpc import RpcClient
from kong.embedded.runloop.dns import Resolver
from kong.embedded.runloop.router import Router

if TYPE_CHECKING:
    from kong.embedded.conf import GatewaySettings


class Handler:
    """A plugin as the request flow calls it, whether it is bundled, written in Lua or runs in another process."""

    def __init__(self, plugin: BundledPlugin | LuaPlugin | ExternalPlugin) -> None:
        self.plugin = plugin
        self.name = plugin.name
        self.priority = plugin.priority
        self.external = isinstance(plugin, ExternalPlugin)
        if isinstance(plugin, ExternalPlugin):
            self.phases = plugin.phases
        else:
            self.phases = sum(bit for name, bit in phases.OF_PLUGINS.items() if plugin.defines(name))

    async def run(self, exchange: Exchange, instance: PluginInstance, phase: str) -> None:
        """A phase that may wait: rewrite, access, response."""
        if isinstance(self.plugin, (ExternalPlugin, LuaPlugin)):
            await self.plugin.run(exchange, instance, phase)
        else:
            if exchange.body is None and self.plugin.needs_body(exchange):
                await exchange.read_body()
            waiting = getattr(self.plugin, phase)(exchange, instance)
            if waiting is not None:
                await waiting

    def filter(self, exchange: Exchange, instance: PluginInstance, phase: str) -> None:
        """header_filter, body_filter, log of a plugin that runs in the gateway."""
        if isinstance(self.plugin, LuaPlugin):
            self.plugin.filter(exchange, instance, phase)
            return
        getattr(self.plugin, phase)(exchange, instance)


@dataclass(frozen=True)
class Snapshot:
    """A configuration with what is derived from it once."""

    configuration: Configuration
    router: Router
    handlers: tuple[Handler, ...]  # of the plugins in use, in order of execution


class Worker:
    """The state of one worker. Everything runs in one event loop; the workers exist for what Kong keeps per worker."""

    def __init__(
        self,
        number: int,
        count: int,
        settings: GatewaySettings,
        definitions: Iterable[PluginDefinition],
        sockets: dict[str, str],
        node_id: str,
        log: Log,
        next_seq: Callable[[], int],
        forget_everywhere: Callable[[str], None],
        shared: dict[str, Any],
    ) -> None:
        self.number = number
        self.count = count
        self.settings = settings
        self.node_id = node_id
        self.workspace_id: str = WORKSPACE_ID
        self.log = log
        self.shared = shared  # lua_shared_dict: one for all workers
        self.pool = Pool(settings.upstream_keepalive_idle_timeout, settings.proxy_ssl_trusted_certificate)
        self.resolver = Resolver()
        self.forget_instances = forget_everywhere
        self.active: set[Exchange] = set()
        self._next_seq = next_seq
        self._lua: Lua | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._configs: dict[str, tuple[int, int, str]] = {}
        self._rpc: list[RpcClient] = []
        self.handlers: dict[str, Handler] = {}
        for definition in definitions:
            if definition.name not in NOT_SUPPORTED:
                self.handlers[definition.name] = self._handler(definition, sockets)
        self.snapshot: Snapshot

    def _handler(self, definition: PluginDefinition, sockets: dict[str, str]) -> Handler:
        if definition.name in BUNDLED:
            return Handler(BUNDLED[definition.name](self))
        if definition.name not in sockets:
            plugin = LuaPlugin(definition, self)
            plugin.start()
            return Handler(plugin)
        settings = self.settings
        rpc = RpcClient(
            sockets[definition.name], settings.lua_socket_connect_timeout, settings.lua_socket_read_timeout
        )
        self._rpc.append(rpc)
        return Handler(ExternalPlugin(definition.name, definition.priority, definition.phases, rpc, self))

    @property
    def configuration(self) -> Configuration:
        return self.snapshot.configuration

    @property
    def lua(self) -> Lua:
        if self._lua is None:
            self._lua = Lua(self.settings.lua_package_path)
        return self._lua

    def use(self, configuration: Configuration, router: Router) -> None:
        """Serve this configuration from the next request on."""
        used = [self.handlers[name] for name in configuration.plugin_names() if name in self.handlers]
        used.sort(key=lambda handler: handler.name, reverse=True)
        used.sort(key=lambda handler: handler.priority, reverse=True)
        for handler in self.handlers.values():
            if isinstance(handler.plugin, LuaPlugin):
                handler.plugin.configure(
                    [found for found in configuration.plugins if found.name == handler.name and found.enabled]
                )
        self.snapshot = Snapshot(configuration, router, tuple(used))

    def server_config(self, instance: PluginInstance) -> tuple[int, str]:
        """`__seq__` and the JSON text of StartInstance; each worker counts for itself, as Kong's do."""
        known = self._configs.get(instance.id)
        if known is None or known[0] != instance.seq:
            seq = self._next_seq()
            config = json.dumps(instance.server_config(seq), ensure_ascii=False, separators=(",", ":"))
            known = self._configs[instance.id] = (instance.seq, seq, config)
        return known[1], known[2]

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold a task that nobody awaits until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget_instances_of(self, name: str) -> None:
        handler = self.handlers.get(name)
        if handler is not None and isinstance(handler.plugin, ExternalPlugin):
            handler.plugin.forget_instances()

    def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for rpc in self._rpc:
            rpc.close()
        self.pool.close()
