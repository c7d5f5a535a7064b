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

    def keep(self, task: asyncio.Task[Any]) -> None: ...


def now_ms() -> int:
    return int(time.time() * 1000)


class BodyError(Exception):
    """A request body that cannot be read. `status` is nginx's answer: 400, 408 or 413."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(slots=True, eq=False)
class Exchange:
    """The state of one request from its head to its log line.

    Text that came over the wire, or goes there, is Latin-1: one character a byte. Times are Unix milliseconds.
    """

    worker: Worker
    phase: int = phases.REWRITE
    started: int = field(default_factory=now_ms)
    request_id: str = field(default_factory=lambda: secrets.token_hex(16))
    # -- the request
    request_line: str = ""
    method: str = ""
    request_uri: str = ""
    args: str | None = None
    http_version: float = 1.1
    request: Headers = field(default_factory=Headers)
    request_length: int = 0
    host: str = ""
    scheme: str = "http"
    port: int = 0
    remote_addr: str = ""
    remote_port: int = 0
    connection_id: int = 0
    connection_requests: int = 1
    keepalive: bool = True
    chunked: bool = False
    body_length: int | None = None  # what Content-Length says
    body: bytes | None = None  # None: not read yet
    body_in_file: bool = False
    body_reader: Callable[[], Awaitable[bytes]] | None = None
    # -- where it goes
    match: Match | None = None
    route: Any = None
    service: Any = None
    upstream_scheme: str = ""
    upstream_uri: str = ""
    upstream_host: str = ""
    upstream_te: str = ""
    upstream_upgrade: str = ""
    upstream_via: str = ""
    upstream_connection: str = ""
    x_forwarded: dict[str, str] = field(default_factory=dict)
    upstream_headers: Headers = field(default_factory=Headers)  # of the answer
    upstream_status: str = ""
    proxied: bool = False
    proxying: bool = False
    # -- plugins
    collected: list[tuple[Any, Any]] | None = None
    plugin: Any = None
    consumer: Any = None
    credential: Any = None
    ctx: dict[Any, Any] = field(default_factory=dict)
    ctx_shared: dict[Any, Any] = field(default_factory=dict)
    correlation_ids: dict[str, str] = field(default_factory=dict)  # by plugin instance
    lua: Any = None  # lua.RequestState, from the first Lua code on
    delaying: bool = False
    delayed: Callable[[], None] | None = None
    exited: bool = False
    errored: bool = False
    # -- the answer
    status: int = 0
    reason: str | None = None  # the upstream's own words, while nothing has set the status
    response: Headers = field(default_factory=Headers)
    response_body: bytes | None = None  # of an exit in header_filter
    body_parts: list[bytes] = field(default_factory=list)
    body_filter_chunk: bytes | None = None
    body_filter_eof: bool = False
    headers_sent: bool = False
    dateless: bool = False  # a plugin has cleared the header Date
    nginx_page: bool = False  # the status's own page of nginx or Kong is the body
    service_status: int | None = None  # buffered proxying
    service_headers: Headers | None = None
    service_body: bytes | None = None
    bytes_sent: int = 0
    # -- times
    proxy_latency: int | None = None
    waiting_time: int | None = None
    response_latency: int | None = None
    receive_time: int | None = None
    finished_at: int | None = None
    # -- the client
    client: Any = None
    client_gone: bool = False

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
