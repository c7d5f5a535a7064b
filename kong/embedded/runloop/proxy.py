"""One request towards its service: the request as nginx writes it, and another attempt where nginx makes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kong.embedded.http import errors
from kong.embedded.http.exchange import Exchange
from kong.embedded.http.upstream import Connection, Head, UpstreamFailure
from kong.embedded.pdk.request import first, get_http_version, header
from kong.embedded.runloop.dns import Resolver
from kong.embedded.values import tostring

if TYPE_CHECKING:
    from kong.embedded.runloop.worker import Worker

# Written by the proxy itself, whatever the client sent.
_REPLACED = frozenset(
    (
        *("te", "via", "host", "upgrade", "connection", "keep-alive", "expect"),
        *("content-length", "transfer-encoding", "x-real-ip"),
        *(f"x-forwarded-{name}" for name in ("for", "proto", "host", "port", "path", "prefix")),
    )
)
_NOT_IDEMPOTENT = frozenset(("POST", "LOCK", "PATCH"))
_HIDDEN = ("x-pad", "x-accel-expires", "x-accel-redirect", "x-accel-limit-rate", "x-accel-buffering")


@dataclass
class Target:
    """Where a request goes. Times in seconds."""

    address: tuple[str, int]
    tls_name: str | None  # None: plain HTTP
    tls_verify: bool
    host_header: str
    retries: int
    connect_timeout: float
    write_timeout: float
    read_timeout: float


def prepare(exchange: Exchange) -> None:
    """What Kong sets before the plugins' access phase: the upstream's URI and the forwarding headers."""
    match = exchange.match
    assert match is not None
    forwarded = {"Proto": exchange.scheme, "Host": exchange.host, "Port": str(exchange.port)}
    forwarded["Path"] = exchange.raw_path
    if match.forwarded_prefix not in (None, "", "/"):
        forwarded["Prefix"] = match.forwarded_prefix
    before = header(exchange, "X-Forwarded-For")
    forwarded["For"] = f"{before}, {exchange.remote_addr}" if before else exchange.remote_addr
    exchange.x_forwarded = forwarded
    # Kong remembers the client's headers here, and takes the hop-by-hop ones from its memory after all plugins.
    exchange.ctx["cached_request_headers"] = exchange.request.table()
    exchange.upstream_connection = "keep-alive"
    if (header(exchange, "Upgrade") or "").lower() == "websocket":
        exchange.upstream_connection = "keep-alive, Upgrade"
        exchange.upstream_upgrade = "websocket"
    version = get_http_version(exchange)
    here = errors.SERVER if version is None else f"{tostring(version)} {errors.SERVER}"
    via = header(exchange, "Via")
    exchange.upstream_via = f"{via}, {here}" if via else here
    if match.upstream_host:
        exchange.upstream_host = match.upstream_host


def finish_request(exchange: Exchange) -> None:
    """What Kong does to the request after the access phase: the query string, and hop-by-hop headers."""
    if str(exchange.ctx.get("request_uri", exchange.request_uri)).endswith("?") or exchange.args:
        exchange.upstream_uri += "?" + (exchange.args or "")
    remembered = exchange.ctx.get("cached_request_headers")
    if not isinstance(remembered, dict):
        remembered = exchange.request.table()
    connection = first(remembered.get("connection"))
    if connection and connection not in ("keep-alive", "close", "upgrade"):
        for name in connection.split(","):
            name = name.strip().lower()
            if name and (name != "upgrade" or exchange.upstream_connection == "keep-alive"):
                exchange.request.remove(name)
    te = first(remembered.get("te"))
    if te and "trailers" in (part.strip().partition(";")[0] for part in te.split(",")):
        exchange.upstream_te = "trailers"
    for name in ("proxy", "proxy-connection"):
        if remembered.get(name):
            exchange.request.remove(name)


async def find_target(exchange: Exchange, resolver: Resolver) -> Target:
    """Raises NameNotResolved."""
    service = exchange.service
    host, port = exchange.ctx.get("__target") or (service.host, service.port)
    ip = await resolver.resolve(host)
    scheme = exchange.upstream_scheme or service.protocol
    host_header = exchange.upstream_host
    if not host_header:
        default = 443 if scheme == "https" else 80
        host_header = host if port == default else f"{host}:{port}"
        exchange.upstream_host = host_header
    return Target(
        (ip, port),
        host if scheme == "https" else None,
        exchange.worker.settings.proxy_ssl_verify if service.tls_verify is None else service.tls_verify,
        host_header,
        service.retries,
        service.connect_timeout / 1000,
        service.write_timeout / 1000,
        service.read_timeout / 1000,
    )


def request_bytes(exchange: Exchange, method: str, body: bytes) -> bytes:
    """The request as it goes over the wire."""
    lines = [f"{method} {exchange.upstream_uri or '/'} HTTP/1.1"]
    if exchange.upstream_te:
        lines.append(f"TE: {exchange.upstream_te}")
    if exchange.upstream_via:
        lines.append(f"Via: {exchange.upstream_via}")
    lines.append(f"Host: {exchange.upstream_host}")
    if exchange.upstream_upgrade:
        lines.append(f"Upgrade: {exchange.upstream_upgrade}")
    if exchange.upstream_connection:
        lines.append(f"Connection: {exchange.upstream_connection}")
    for name in ("For", "Proto", "Host", "Port", "Path", "Prefix"):
        value = exchange.x_forwarded.get(name)
        if value:
            lines.append(f"X-Forwarded-{name}: {value}")
    lines.append(f"X-Real-IP: {exchange.remote_addr}")
    identified = "x-kong-request-id" in exchange.worker.settings.headers_upstream
    if identified:
        lines.append(f"X-Kong-Request-Id: {exchange.request_id}")
    if body or exchange.body_length is not None or exchange.chunked or "content-length" in exchange.request:
        lines.append(f"Content-Length: {len(body)}")
    for key, names, values in exchange.request.items():
        if key in _REPLACED or (identified and key == "x-kong-request-id"):
            continue
        lines.extend(f"{name}: {value}" for name, value in zip(names, values, strict=True))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def send(
    exchange: Exchange, target: Target, worker: Worker, method: str | None = None
) -> tuple[Connection, Head]:
    """The service's answer as far as its head; the caller reads the body and gives the connection back.

    Attempts follow nginx: after a failure the request is tried again as long as attempts are left, but a POST, PATCH
    or LOCK only if nothing of it was sent. A kept connection that turns out to be closed costs no attempt.
    Raises UpstreamFailure.
    """
    body = await exchange.read_body()
    method = method or exchange.method
    request = request_bytes(exchange, method, body)
    attempts = target.retries + 1
    statuses: list[str] = []
    while True:
        attempts -= 1
        sent = kept = False
        connection: Connection | None = None
        try:
            connection, kept = await worker.pool.connect(
                target.address, target.connect_timeout, target.tls_name, target.tls_verify
            )
            sent = True
            await connection.send(request, target.write_timeout)
            head = await connection.read_head(target.read_timeout)
        except UpstreamFailure as failure:
            if connection is not None:
                connection.close()
            status = 504 if failure.kind == "timeout" else 502
            statuses.append(str(status))
            exchange.upstream_status = ", ".join(statuses)
            worker.log.error(
                f"{failure} while proxying, client: {exchange.remote_addr}, "
                f'request: "{exchange.request_line}", upstream: {target.address[0]}:{target.address[1]}'
            )
            if kept and failure.kind == "error":
                attempts += 1
            if failure.kind == "invalid_header" or attempts <= 0 or (sent and method in _NOT_IDEMPOTENT):
                raise
            continue
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        statuses.append(f"{head.status:03d}")
        exchange.upstream_status = ", ".join(statuses)
        exchange.upstream_headers = head.headers
        return connection, head


def hidden(name: str) -> bool:
    """Headers of an answer that nginx keeps to itself or writes anew."""
    return name in ("connection", "keep-alive", "transfer-encoding", "status") or name in _HIDDEN
