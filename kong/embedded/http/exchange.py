"""One request and its answer, as nginx, Kong and the plugins see them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kong_declarative.configuration import Configuration
from kong_declarative.entities import PluginInstance, Route, Service

from kong.embedded import phases
from kong.embedded.http.headers import Headers

if TYPE_CHECKING:
    from kong.embedded.conf import GatewaySettings
    from kong.embedded.log import Log


@dataclass(frozen=True)
class Match:
    """A request's route, and what follows from it."""

    route: Route
    service: Service | None
    upstream_path: str  # without the query string; `ngx.var.upstream_uri` before any plugin
    upstream_host: str | None  # the `Host` to send with preserve_host; None: the service's own
    forwarded_prefix: str | None  # X-Forwarded-Prefix: what strip_path took away, if it was more than "/"
    captures: tuple[str, ...] = ()  # the groups of a regex path, by number from 1, named ones too
    named_captures: Mapping[str, str] = field(default_factory=dict)


class Worker(Protocol):
    """What a request, the PDK and the plugins know of the worker that serves it (`runloop.worker.Worker`)."""

    number: int
    count: int
    settings: GatewaySettings
    node_id: str
    workspace_id: str
    log: Log
    shared: dict[str, Any]  # lua_shared_dict: one for all workers
    forget_instances: Callable[[str], None]

    @property
    def configuration(self) -> Configuration: ...

    @property
    def lua(self) -> Any: ...

    def server_config(self, instance: PluginInstance) -> tuple[int, str]: ...

    def trusts(self, address: str) -> bool: ...

    def keep(self, task: asyncio.Task[Any]) -> None: ...


def now_ms() -> int:
    return int(time.time() * 1000)


class BodyError(Exception):
    """A request body that cannot be read. `status` is nginx's answer: 400, 408 or 413."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Exchange:
    """The state of one request from its head to its log line.

    Text that came over the wire, or goes there, is Latin-1: one character a byte. Times are Unix milliseconds.
    """

    __slots__ = (
        "args",
        "body",
        "body_filter_chunk",
        "body_filter_eof",
        "body_in_file",
        "body_length",
        "body_parts",
        "body_reader",
        "bytes_sent",
        "chunked",
        "client",
        "client_gone",
        "collected",
        "connection_id",
        "connection_requests",
        "consumer",
        "credential",
        "ctx",
        "ctx_plugin",
        "ctx_shared",
        "dateless",
        "delayed",
        "delaying",
        "errored",
        "exited",
        "finished_at",
        "headers_sent",
        "host",
        "http_version",
        "keepalive",
        "lua",
        "match",
        "method",
        "nginx_page",
        "phase",
        "plugin",
        "port",
        "proxied",
        "proxy_latency",
        "proxying",
        "reason",
        "receive_time",
        "remote_addr",
        "remote_port",
        "request",
        "request_id",
        "request_length",
        "request_line",
        "request_uri",
        "response",
        "response_body",
        "response_latency",
        "route",
        "scheme",
        "serialize_values",
        "service",
        "service_body",
        "service_headers",
        "service_status",
        "started",
        "status",
        "tries",
        "upstream_connection",
        "upstream_headers",
        "upstream_host",
        "upstream_scheme",
        "upstream_status",
        "upstream_te",
        "upstream_upgrade",
        "upstream_uri",
        "upstream_via",
        "uri_captures",
        "waiting_time",
        "worker",
        "x_forwarded",
    )

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.phase = phases.REWRITE
        self.started = now_ms()
        self.request_id = secrets.token_hex(16)
        # -- the request
        self.request_line = ""
        self.method = ""
        self.request_uri = ""
        self.args: str | None = None
        self.http_version = 1.1
        self.request = Headers()
        self.request_length = 0
        self.host = ""
        self.scheme = "http"
        self.port = 0
        self.remote_addr = ""
        self.remote_port = 0
        self.connection_id = 0
        self.connection_requests = 1
        self.keepalive = True
        self.chunked = False
        self.body_length: int | None = None  # what Content-Length says
        self.body: bytes | None = None  # None: not read yet
        self.body_in_file = False
        self.body_reader: Callable[[], Awaitable[bytes]] | None = None
        # -- where it goes
        self.match: Match | None = None
        self.route: Any = None
        self.service: Any = None
        self.upstream_scheme = ""
        self.upstream_uri = ""
        self.upstream_host = ""
        self.upstream_te = ""
        self.upstream_upgrade = ""
        self.upstream_via = ""
        self.upstream_connection = ""
        self.x_forwarded: dict[str, str] = {}
        self.upstream_headers = Headers()  # of the answer
        self.upstream_status = ""
        self.tries: list[dict[str, Any]] = []
        self.proxied = False
        self.proxying = False
        # -- plugins
        self.collected: list[tuple[Any, Any]] | None = None
        self.plugin: Any = None
        self.consumer: Any = None
        self.credential: Any = None
        self.ctx: dict[Any, Any] = {}
        self.ctx_shared: dict[Any, Any] = {}
        self.ctx_plugin: dict[str, dict[Any, Any]] = {}
        self.lua: Any = None  # lua.RequestState, from the first Lua code on
        self.serialize_values: list[tuple[str, Any, str]] = []
        self.delaying = False
        self.delayed: Callable[[], None] | None = None
        self.exited = False
        self.errored = False
        # -- the answer
        self.status = 0
        self.reason: str | None = None  # the upstream's own words, while nothing has set the status
        self.response = Headers()
        self.response_body: bytes | None = None  # of an exit in header_filter
        self.body_parts: list[bytes] = []
        self.body_filter_chunk: bytes | None = None
        self.body_filter_eof = False
        self.headers_sent = False
        self.dateless = False  # a plugin has cleared the header Date
        self.nginx_page = False  # the status's own page of nginx or Kong is the body
        self.service_status: int | None = None  # buffered proxying
        self.service_headers: Headers | None = None
        self.service_body: bytes | None = None
        self.bytes_sent = 0
        # -- times
        self.proxy_latency: int | None = None
        self.waiting_time: int | None = None
        self.response_latency: int | None = None
        self.receive_time: int | None = None
        self.finished_at: int | None = None
        # -- the client
        self.client: Any = None
        self.client_gone = False

    @property
    def buffered(self) -> bool:
        """Whether plugins may read the service's whole answer (`ctx.buffered_proxying`)."""
        return bool(self.ctx.get("buffered_proxying"))

    @property
    def raw_path(self) -> str:
        """The path as it stands in the request line."""
        uri = self.request_uri
        mark = uri.find("?", 1)
        return uri if mark < 0 else uri[:mark]

    async def read_body(self) -> bytes:
        """The whole request body; read from the client once.

        Raises BodyError; ConnectionError when the client has gone.
        """
        if self.body is None:
            self.body = await self.body_reader() if self.body_reader is not None else b""
            self.body_in_file = len(self.body) > self.worker.settings.client_body_buffer_size
        return self.body

    def replace_body(self, body: bytes) -> None:
        """`ngx.req.set_body_data`: stays in memory whatever its size."""
        self.body = body
        self.body_in_file = False
        self.chunked = False
        self.request.remove("transfer-encoding")
        self.request.set("Content-Length", str(len(body)))

    def set_status(self, status: int) -> None:
        self.status = status
        self.reason = None

    @property
    def source(self) -> str:
        """`kong.response.get_source`: who made the answer."""
        if self.errored:
            return "error"
        if self.exited:
            return "exit"
        return "service" if self.proxied else "error"

    def plugin_context(self) -> dict[Any, Any]:
        """`kong.ctx.plugin` of a bundled plugin; Lua code has its own."""
        key = self.plugin.id if self.plugin is not None else ""
        return self.ctx_plugin.setdefault(key, {})
