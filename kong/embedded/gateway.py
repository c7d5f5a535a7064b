"""The gateway as a whole: listening sockets, generations of workers, plugin servers, the Admin API."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kong_declarative import bundled_schemas
from kong_declarative.configuration import Configuration, Store
from kong_declarative.plugin_catalogue import PluginCatalogue, PluginDefinition

from kong.embedded.admin_api.listener import AdminListener
from kong.embedded.conf import GatewaySettings
from kong.embedded.http.connection import ClientConnection
from kong.embedded.http.tls import CertificateError, ServerCertificates, TlsListener
from kong.embedded.log import Log
from kong.embedded.plugins import lua_plugins
from kong.embedded.plugins.bundled import NOT_SUPPORTED
from kong.embedded.plugins.bundled.prometheus import metrics
from kong.embedded.plugins.plugin_server import PluginServer, PluginServerDefinition
from kong.embedded.runloop import handler
from kong.embedded.runloop.router import Router
from kong.embedded.runloop.worker import Worker

if TYPE_CHECKING:
    from aiohttp import web

DRAIN_SECONDS = 5.0


class ListenError(Exception):
    """An address that cannot be listened on; `str()` is one line that says why."""


@dataclass
class ExternalServer:
    """A plugin server with the plugin it has described."""

    server: PluginServerDefinition
    plugin: PluginDefinition


@dataclass
class _Generation:
    """What lives between one start or reload and the next: workers, their clients, their plugin servers."""

    workers: list[Worker]
    servers: list[PluginServer]
    clients: set[ClientConnection] = field(default_factory=set)
    turn: itertools.cycle[Worker] = field(init=False)

    def __post_init__(self) -> None:
        self.turn = itertools.cycle(self.workers)


class Gateway:
    """Serves `store`'s configuration until `stop`."""

    def __init__(
        self,
        store: Store,
        settings: GatewaySettings,
        external: Sequence[ExternalServer],
        log: Log,
        prefix: str,
        workers: int = 2,
        reread: Callable[[], Configuration] | None = None,
    ) -> None:
        self.store = store
        self._settings = settings
        self._external = {item.plugin.name: item for item in external}
        self._log = log
        self._prefix = prefix
        self._count = workers
        self._reread = reread
        # What the demo does to a posted configuration.
        self.adapt: Callable[[Any], None] | None = None
        self._node_id = str(uuid.uuid4())
        self._seq = itertools.count(1)
        self._shared: dict[str, Any] = {}
        self._generation: _Generation | None = None
        self._old: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.Server | TlsListener] = []
        self._certificates: ServerCertificates | None = None
        self._admin: AdminListener | None = None
        self._reloading = asyncio.Lock()
        self._unsubscribe: Callable[[], None] | None = None

    # -- start and stop

    async def start(
        self, proxy_listen: str, admin_listen: str, proxy_ssl_listen: str | None = None
    ) -> list[str]:
        """The URLs of proxy, Admin API and, where it was asked for, the proxy with TLS.

        Raises ListenError, PluginServerError, CertificateError.
        """
        if proxy_ssl_listen is not None:
            if not self._settings.ssl_cert or not self._settings.ssl_cert_key:
                raise ListenError(
                    "TLS needs ssl_cert and ssl_cert_key: the embedded gateway makes none of its own"
                )
            self._certificates = ServerCertificates(
                self._settings.ssl_cert[0], self._settings.ssl_cert_key[0]
            )
            self._certificates.use(self.store.current, self.store.environ)
        addresses = [
            proxy_listen,
            admin_listen,
            *([proxy_ssl_listen] if proxy_ssl_listen is not None else []),
        ]
        sockets: list[socket.socket] = []
        try:
            sockets.extend(map(_listening_socket, addresses))
            self._generation = self._staff(await self._start_servers())
            self._unsubscribe = self.store.subscribe(self._configuration_changed)
            loop = asyncio.get_running_loop()
            self._listeners.append(await loop.create_server(self._accept, sock=sockets[0], backlog=511))
            self._admin = AdminListener(sockets[1], self._make_admin)
            if self._certificates is not None:
                self._listeners.append(TlsListener(sockets[2], self._certificates.context, self._accept))
        except BaseException:
            for opened in sockets:
                opened.close()
            await self.stop()
            raise
        return [
            _url(opened, scheme) for opened, scheme in zip(sockets, ("http", "http", "https"), strict=False)
        ]

    def _make_admin(self) -> web.Application:
        from aiohttp import web

        from kong.embedded.admin_api.api import create_admin

        async def export(_request: web.Request) -> web.Response:
            return web.Response(text=metrics(self._shared, self._node_id), content_type="text/plain")

        application = create_admin(self.store, node_id=self._node_id, adapt=self.adapt)
        application.router.add_get("/metrics", export)
        return application

    async def stop(self) -> None:
        """Finish what is under way, for a few seconds at most, and stop the plugin servers."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for listener in self._listeners:
            listener.close()
        if self._admin is not None:
            await self._admin.close()
        if self._generation is not None:
            generation, self._generation = self._generation, None
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drain(generation, unused=True), DRAIN_SECONDS)
            await self._retire(generation)
        for task in list(self._old):
            task.cancel()
        await asyncio.gather(*self._old, return_exceptions=True)

    # -- generations

    async def _start_servers(self) -> list[PluginServer]:
        servers = [PluginServer(item.server, self._prefix, self._log) for item in self._external.values()]
        try:
            for server in servers:
                await server.start()
        except BaseException:
            for server in servers:
                await server.stop()
            raise
        return servers

    def _staff(self, servers: list[PluginServer]) -> _Generation:
        sockets = {name: item.server.socket for name, item in self._external.items()}
        workers: list[Worker] = []

        def forget_everywhere(name: str) -> None:
            for worker in workers:
                worker.forget_instances_of(name)

        workers.extend(
            Worker(
                number,
                self._count,
                self._settings,
                self.store.catalogue.values(),
                sockets,
                self._node_id,
                self._log,
                lambda: next(self._seq),
                forget_everywhere,
                self._shared,
            )
            for number in range(self._count)
        )
        router = Router(self.store.current)
        for worker in workers:
            worker.use(self.store.current, router)
        return _Generation(workers, servers)

    def _configuration_changed(self, configuration: Configuration) -> None:
        if self._generation is not None:
            router = Router(configuration)
            for worker in self._generation.workers:
                worker.use(configuration, router)
        if self._certificates is not None:
            try:
                self._certificates.use(configuration, self.store.environ)
            except CertificateError as problem:
                self._log.error(f"the former certificates stay: {problem}")

    async def reload(self) -> bool:
        """`kong reload`: read configuration and certificate again; new workers and plugin servers beside the old.

        The old ones finish their requests and go. A configuration that is posted in the meantime is newer than the
        file, and stays. False: the file is not valid, or a server does not start, and everything is as it was.
        """
        async with self._reloading:
            if self._generation is None:
                return False
            before = self.store.current
            try:
                configuration = self._reread() if self._reread is not None else self.store.current
                certificate = self._certificates.read_default() if self._certificates is not None else None
                servers = await self._start_servers()
            except Exception as problem:  # noqa: BLE001  whatever it is, the gateway serves on as before
                self._log.error(f"reload failed, the former configuration stays: {problem}")
                return False
            old, self._generation = self._generation, None  # the old workers keep their configuration
            if self.store.current is before:
                self.store.replace(configuration)
            if self._certificates is not None and certificate is not None:
                self._certificates.default = certificate
            self._generation = self._staff(servers)
            self._log.notice("reloaded: new workers serve from now on")
            task = asyncio.get_running_loop().create_task(self._finish(old))
            self._old.add(task)
            task.add_done_callback(self._old.discard)
            return True

    async def _finish(self, generation: _Generation) -> None:
        try:
            await self._drain(generation, unused=False)
        finally:
            await asyncio.shield(self._retire(generation))

    async def _drain(self, generation: _Generation, *, unused: bool) -> None:
        for connection in list(generation.clients):
            connection.finish(unused=unused)
        while any(worker.active for worker in generation.workers) or generation.clients:
            await asyncio.sleep(0.02)

    async def _retire(self, generation: _Generation) -> None:
        for connection in list(generation.clients):
            connection.abort()
        for worker in generation.workers:
            worker.close()
        await asyncio.gather(*(server.stop() for server in generation.servers))

    def _accept(self, speaks_tls: bool | None = None) -> ClientConnection:
        """The protocol of a new connection. `speaks_tls`: None on the listener without TLS."""
        clients: set[ClientConnection] = set()

        def opened(connection: ClientConnection) -> Worker | None:
            # Not before: workers that have been replaced while its handshake went on may be gone by its end.
            nonlocal clients
            if self._generation is None:
                return None
            clients = self._generation.clients
            clients.add(connection)
            return next(self._generation.turn)

        return ClientConnection(
            handler.serve, opened, lambda connection: clients.discard(connection), speaks_tls is False
        )


def external_servers(
    settings: GatewaySettings, catalogue_entries: Sequence[ExternalServer]
) -> tuple[PluginCatalogue, Sequence[ExternalServer]]:
    """The catalogue of what `plugins` of kong.conf enables, and the servers of the external ones among them.

    Where kong.conf names no plugin server at all, those of the command line and the repository's own plugins in Lua
    are enabled without its help. Raises ConfigurationError, LuaPluginError.
    """
    enabled = settings.plugins
    external = {entry.plugin.name: entry.plugin for entry in catalogue_entries}
    if not settings.pluginservers:
        enabled = tuple(dict.fromkeys((*enabled, *lua_plugins.repository_plugins(), *external)))
    elsewhere = {"bundled", "off", *bundled_schemas.BUNDLED, *bundled_schemas.UNSUPPORTED, *external}
    in_lua = [lua_plugins.load(name, settings.lua_package_path) for name in enabled if name not in elsewhere]
    if "bundled" in enabled:
        enabled = (*enabled, *NOT_SUPPORTED)
    catalogue = PluginCatalogue.of(enabled, [*NOT_SUPPORTED.values(), *external.values(), *in_lua])
    return catalogue, [entry for entry in catalogue_entries if entry.plugin.name in catalogue]


def _listening_socket(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ListenError(f"'{address}' is not an address: HOST:PORT is needed")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]") or "127.0.0.1", int(port)))
        listener.listen(511)
    except OSError as problem:
        listener.close()
        raise ListenError(
            f"cannot listen on {address}: {(problem.strerror or str(problem)).lower()}"
        ) from None
    return listener


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
