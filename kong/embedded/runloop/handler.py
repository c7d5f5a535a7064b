"""The way of one request through Kong: routing, plugins by priority, the service, filters, log."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from kong.embedded import phases
from kong.embedded.http import errors
from kong.embedded.http.exchange import BodyError, Exchange, now_ms
from kong.embedded.http.headers import Headers
from kong.embedded.http.upstream import BodyBroken, Connection, Head, UpstreamFailure
from kong.embedded.pdk import client, response, service
from kong.embedded.phases import LuaError, PhaseEnd
from kong.embedded.runloop import proxy
from kong.embedded.runloop.dns import NameNotResolved

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.runloop.worker import Handler

# Part of the answer, or None for "the connection has to be cut here".
Parts = AsyncIterator[bytes]


class _Cut(Exception):
    """The answer cannot be completed: the client's connection has to be closed."""


async def serve(exchange: Exchange) -> None:
    """Answer a request. Afterwards `exchange.keepalive` says whether the connection may go on."""
    exchange.worker.active.add(exchange)
    try:
        await _serve(exchange)
    except (_Cut, ConnectionError):
        exchange.keepalive = False
        exchange.client.abort()
    except asyncio.CancelledError:
        if not exchange.client_gone:
            raise
        exchange.set_status(499)
    finally:
        exchange.worker.active.discard(exchange)
        exchange.finished_at = now_ms()
        _log(exchange)


async def _serve(exchange: Exchange) -> None:
    if exchange.status:  # refused by nginx before Kong saw it
        _nginx_error(exchange, exchange.status)
        await _send_whole(exchange)
        return
    try:
        streaming = await _rewrite_and_access(exchange)
    except LuaError as problem:
        _lua_error(exchange, problem)
        streaming = None
    except BodyError as problem:
        exchange.worker.log.info(f"{problem} while reading client request body")
        exchange.plugin = None
        _unexpected(exchange, problem.status)
        streaming = None
    if streaming is None:
        await _send_whole(exchange)
    else:
        await _send_streaming(exchange, *streaming)


# -- rewrite and access


async def _rewrite_and_access(exchange: Exchange) -> tuple[Connection, Head, proxy.Target] | None:
    """None: the answer is in `exchange.response_body`. Else the service's answer, still to be read."""
    snapshot = exchange.worker.snapshot
    for handler in snapshot.handlers:
        if handler.phases & phases.REWRITE:
            instance = snapshot.configuration.plugin_instance(handler.name, None, None, None)
            if instance is not None:
                exchange.plugin = instance
                try:
                    await handler.run(exchange, instance, "rewrite")
                except PhaseEnd:
                    if exchange.response_body is not None:
                        return None
                exchange.plugin = None
    exchange.phase = phases.ACCESS
    if not _route(exchange):
        return None
    await _run_access(exchange, snapshot.handlers)
    if exchange.delayed is not None:
        _flush_delayed(exchange)
        return None
    if exchange.service is None:
        exchange.ctx.pop("buffered_proxying", None)
        _answer(exchange, 503, "no Service found with those values")
        return None
    proxy.finish_request(exchange)
    try:
        target = await proxy.find_target(exchange, exchange.worker.resolver)
    except NameNotResolved as problem:
        exchange.worker.log.error(f"DNS resolution failed: name error. Tried: {problem}")
        exchange.ctx.pop("buffered_proxying", None)
        _answer(exchange, 503, "name resolution failed")
        return None
    exchange.proxied = True
    if exchange.buffered and exchange.upstream_upgrade:
        exchange.worker.log.notice(
            f"response buffering was turned off: connection upgrade ({exchange.upstream_upgrade})"
        )
        exchange.ctx.pop("buffered_proxying")
    if exchange.buffered:
        await _proxy_buffered(exchange, target)
        return None
    await exchange.read_body()
    if exchange.client_gone:
        raise ConnectionError("client closed the connection")
    exchange.proxying = True  # from here on, and only here, nginx looks whether the client is still there
    exchange.proxy_latency = now_ms() - exchange.started
    started = now_ms()
    try:
        connection, head = await proxy.send(exchange, target, exchange.worker)
    except UpstreamFailure as failure:
        exchange.proxying = False
        exchange.waiting_time = now_ms() - started
        _unexpected(exchange, 504 if failure.kind == "timeout" else 502)
        return None
    exchange.waiting_time = now_ms() - started
    return connection, head, target


def _route(exchange: Exchange) -> bool:
    worker = exchange.worker
    headers = {key: values for key, _, values in exchange.request.items()}
    match = worker.snapshot.router.match(
        exchange.method,
        exchange.raw_path,
        exchange.request.get("host") or exchange.host,
        headers,
        exchange.scheme,
    )
    if match is None:
        _answer(exchange, 404, "no Route matched with those values")
        return False
    exchange.match, exchange.route, exchange.service = match, match.route, match.service
    protocols = match.route.protocols
    if "https" in protocols and "http" not in protocols and exchange.scheme != "https":
        _demand_https(exchange)
        return False
    exchange.upstream_uri = service.escape(match.upstream_path)
    if match.service is not None:
        exchange.upstream_scheme = match.service.protocol
    proxy.prepare(exchange)
    return True


def _demand_https(exchange: Exchange) -> None:
    status = exchange.route.https_redirect_status_code
    if status == 426:
        _answer(
            exchange,
            426,
            "Please use HTTPS protocol",
            {"Connection": "Upgrade", "Upgrade": "TLS/1.2, HTTP/1.1"},
        )
        return
    exchange.response.set("Location", f"https://{exchange.host}{exchange.request_uri}")
    try:
        response.exit_(exchange, status)
    except PhaseEnd:
        return


async def _run_access(exchange: Exchange, handlers: tuple[Handler, ...]) -> None:
    """Every plugin of the request is collected for the later phases; once one has answered, no other runs access."""
    configuration = exchange.worker.snapshot.configuration
    route_id = exchange.route.id
    service_id = exchange.service.id if exchange.service is not None else None
    collected: list[tuple[Handler, PluginInstance]] = []
    exchange.collected = collected
    exchange.delaying = True
    for handler in handlers:
        instance = configuration.plugin_instance(
            handler.name, route_id, service_id, client.consumer_id(exchange)
        )
        if instance is None:
            continue
        collected.append((handler, instance))
        if handler.phases & phases.RESPONSE:
            exchange.ctx["buffered_proxying"] = True
        if handler.phases & phases.ACCESS and exchange.delayed is None:
            exchange.plugin = instance
            try:
                await handler.run(exchange, instance, "access")
            except PhaseEnd:
                pass
            except LuaError as problem:
                exchange.worker.log.error(f"[{handler.name}] {problem}, request_id: {exchange.request_id}")
                exchange.delayed = lambda: _answer(exchange, 500, "An unexpected error occurred")
                exchange.errored = True
            finally:
                exchange.plugin = None
    exchange.delaying = False


def _flush_delayed(exchange: Exchange) -> None:
    exchange.response_latency = now_ms() - exchange.started
    exchange.ctx.pop("buffered_proxying", None)
    delayed, exchange.delayed = exchange.delayed, None
    if delayed is not None:
        delayed()
    if exchange.status < 200:  # ngx_lua refuses to send it
        exchange.request.set("Accept", "text/plain")
        _unexpected(exchange, 400)
    else:
        _finish_exit(exchange)


def _finish_exit(exchange: Exchange) -> None:
    """What nginx makes of the status that a handler ended with."""
    if exchange.status < 200 or exchange.status in (408, 444, 499):
        raise _Cut  # the first ngx_lua does not send; the others say that nobody is there to read an answer
    if exchange.nginx_page:
        _nginx_error(exchange, exchange.status)


def _answer(exchange: Exchange, status: int, message: str | None = None, headers: Any = None) -> None:
    """`kong.response.error` outside any plugin."""
    try:
        response.error(exchange, status, message, headers)
    except PhaseEnd:
        return


def _nginx_error(exchange: Exchange, status: int) -> None:
    """nginx ends the request with this status: Kong's error page, or nginx's own where Kong has none."""
    if status in errors.KONG_PAGES:
        _unexpected(exchange, status)
        return
    exchange.set_status(400 if status == errors.PLAIN_ON_TLS else status)
    if status == 501:
        exchange.keepalive = False
    page = errors.nginx_page(status)
    if page is None:
        exchange.response.remove("Content-Type")
        exchange.response_body = b""
        return
    exchange.response.set("Content-Type", "text/html")
    exchange.response.set("Content-Length", str(len(page)))
    exchange.response_body = page.encode()


def _unexpected(exchange: Exchange, status: int) -> None:
    """nginx's own error: Kong's error page."""
    exchange.errored = True
    exchange.set_status(status)
    if status in (400, 413, 414, 500):
        exchange.keepalive = False
    _error_page(exchange)


def _error_page(exchange: Exchange) -> None:
    """The body of Kong's error handler for `exchange.status`."""
    exchange.phase = phases.ERROR
    accept = exchange.request.get("accept")
    if accept is None:
        accept = exchange.request.get("content-type")
    if accept is None:
        accept = exchange.worker.settings.error_default_type
    message = errors.nginx_message(exchange.status)
    status = 400 if exchange.status == 494 else exchange.status
    exchange.ctx.pop("buffered_proxying", None)
    exchange.response_body = None
    exchange.delayed = None
    exchange.delaying = False
    with contextlib.suppress(PhaseEnd):
        if accept.startswith("application/grpc"):
            response.exit_(exchange, status, {"message": message})
        media = errors.media_type(accept)
        body = errors.body(media, message, exchange.request_id)
        response.exit_(exchange, status, body, {"Content-Type": media})


def _lua_error(exchange: Exchange, problem: LuaError) -> None:
    """Lua raised an error where nothing catches it: nginx answers 500 by Kong's error page."""
    exchange.worker.log.error(f"lua entry thread aborted: runtime error: {problem}")
    _unexpected(exchange, 500)


# -- a service whose answer plugins read


async def _proxy_buffered(exchange: Exchange, target: proxy.Target) -> None:
    worker = exchange.worker
    await exchange.read_body()
    exchange.proxy_latency = now_ms() - exchange.started
    started = now_ms()
    # Kong makes a subrequest, and a method that it cannot name becomes a GET
    method = exchange.method if service.METHOD.fullmatch(exchange.method) else "GET"
    try:
        connection, head = await proxy.send(exchange, target, worker, method)
        try:
            parts = [part async for part in connection.body(head, method, target.read_timeout)]
        except BodyBroken:
            connection.close()
            raise
        except BaseException:
            connection.close()
            raise
        connection.finish(head)
    except UpstreamFailure as failure:
        exchange.waiting_time = now_ms() - started
        exchange.set_status(504 if failure.kind == "timeout" else 502)
        _error_page(exchange)
        return
    except BodyBroken as problem:
        worker.log.error(f'{problem} while reading upstream, request: "{exchange.request_line}"')
        exchange.waiting_time = now_ms() - started
        exchange.set_status(head.status)
        _error_page(exchange)
        return
    finally:
        # It was a subrequest: the variables of the request itself know nothing of the upstream.
        exchange.upstream_status, exchange.upstream_headers = "", Headers()
    exchange.waiting_time = now_ms() - started
    exchange.phase = phases.RESPONSE
    exchange.service_status = head.status
    exchange.service_headers = head.headers
    exchange.service_body = b"".join(parts)
    exchange.set_status(head.status)
    for key, names, values in head.headers.items():
        if not proxy.hidden(key):
            exchange.response.set(names[0], values)
    try:
        for handler, instance in exchange.collected or ():
            if handler.phases & phases.RESPONSE:
                exchange.plugin = instance
                await handler.run(exchange, instance, "response")
                exchange.plugin = None
    except PhaseEnd:
        exchange.plugin = None
    else:
        exchange.response_body = exchange.service_body
    _finish_exit(exchange)


# -- header_filter, body_filter, and the bytes that leave


def _filters(exchange: Exchange, phase: int) -> list[tuple[Handler, PluginInstance]]:
    """The plugins that take part in a later phase: the collected ones, or before there was a route the global ones."""
    if exchange.collected is not None:
        return [pair for pair in exchange.collected if pair[0].phases & phase and not pair[0].external]
    found = []
    snapshot = exchange.worker.snapshot
    for handler in snapshot.handlers:
        if handler.phases & phase and not handler.external:
            instance = snapshot.configuration.plugin_instance(handler.name, None, None, None)
            if instance is not None:
                found.append((handler, instance))
    return found


def _header_filter(exchange: Exchange) -> None:
    exchange.phase = phases.HEADER_FILTER
    if not exchange.proxied and exchange.response_latency is None:
        exchange.response_latency = now_ms() - exchange.started
    if exchange.proxied:
        named = exchange.upstream_headers.get("connection")
        for name in (named or "").split(","):
            name = name.strip().lower()
            if name and name not in ("close", "upgrade", "keep-alive"):
                exchange.response.remove(name)
    try:
        for handler, instance in _filters(exchange, phases.HEADER_FILTER):
            exchange.plugin = instance
            try:
                handler.filter(exchange, instance, "header_filter")
            finally:
                exchange.plugin = None
    except LuaError as problem:
        exchange.worker.log.error(f"failed to run header_filter_by_lua*: {problem}")
        raise _Cut from None
    _kong_headers(exchange)


def _kong_headers(exchange: Exchange) -> None:
    shown = exchange.worker.settings.headers
    headers = exchange.response
    latencies = "latency_tokens" in shown
    tokens = "server_tokens" in shown
    if exchange.proxied:
        if latencies or "x-kong-upstream-latency" in shown:
            headers.set("X-Kong-Upstream-Latency", str(exchange.waiting_time or 0))
        if latencies or "x-kong-proxy-latency" in shown:
            headers.set("X-Kong-Proxy-Latency", str(exchange.proxy_latency or 0))
        if tokens or "via" in shown:
            via = exchange.upstream_headers.variable("via")
            here = f"1.1 {errors.SERVER}"
            headers.set("Via", f"{via}, {here}" if via else here)
        if "x-kong-upstream-status" in shown:
            status = exchange.service_status or exchange.upstream_status[-3:] or exchange.status
            headers.set("X-Kong-Upstream-Status", str(status))
        if "server" not in headers and (tokens or "server" in shown):
            headers.set("Server", errors.SERVER)
    else:
        if latencies or "x-kong-response-latency" in shown:
            headers.set("X-Kong-Response-Latency", str(exchange.response_latency or 0))
        if tokens or "server" in shown:
            headers.set("Server", errors.SERVER)
        else:
            headers.remove("Server")
    if "x-kong-request-id" in shown:
        headers.set("X-Kong-Request-Id", exchange.request_id)


_DATE: tuple[int, str] = (0, "")


def _date() -> str:
    global _DATE
    now = int(time.time())
    if _DATE[0] != now:
        _DATE = (now, formatdate(now, usegmt=True))
    return _DATE[1]


def _head(exchange: Exchange, *, passed_on: bool = False) -> tuple[bytes, bool, bool]:
    """The answer's head as nginx writes it, whether a body follows, and whether it goes in chunks.

    `passed_on`: it is the service's own; nginx adds no Date to such a one.
    """
    status = exchange.status
    headers = exchange.response
    has_body = exchange.method != "HEAD" and status not in (204, 304)
    if exchange.reason is None and status == 204:
        headers.remove("Content-Type")
        if exchange.nginx_page or not exchange.response_body:
            headers.remove("Content-Length")
    chunked = False
    if "content-length" not in headers and has_body and status >= 200:
        if exchange.http_version >= 1.1:
            chunked = True
        else:
            exchange.keepalive = False
    reason = exchange.reason if exchange.reason is not None else errors.REASONS.get(status, "")
    lines = [f"HTTP/1.1 {status:03d} {reason}"]
    if "date" not in headers and not passed_on and not exchange.dateless:
        lines.append(f"Date: {_date()}")
    content_type = headers.get("content-type")
    if content_type is not None:
        lines.append(f"Content-Type: {errors.with_charset(content_type, status)}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    if status == 101:
        lines.append("Connection: upgrade")
    else:
        lines.append("Connection: keep-alive" if exchange.keepalive else "Connection: close")
    for key, names, values in headers.items():
        if key != "content-type":
            lines.extend(f"{name}: {value}" for name, value in zip(names, values, strict=True))
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n", has_body, chunked


class _BodyFilter:
    """The body_filter phase, part by part."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._filters = _filters(exchange, phases.BODY_FILTER)
        self.ended = False
        exchange.phase = phases.BODY_FILTER

    def apply(self, chunk: bytes, eof: bool) -> bytes:
        if self.ended:
            return b""
        if not self._filters:
            return chunk
        exchange = self._exchange
        exchange.body_filter_chunk = chunk
        exchange.body_filter_eof = eof
        for handler, instance in self._filters:
            exchange.plugin = instance
            try:
                handler.filter(exchange, instance, "body_filter")
            except PhaseEnd:
                break
            except LuaError as problem:
                exchange.worker.log.error(f"failed to run body_filter_by_lua*: {problem}")
                raise _Cut from None
            finally:
                exchange.plugin = None
        self.ended = exchange.body_filter_eof
        return exchange.body_filter_chunk or b""


def _framed(data: bytes, chunked: bool) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if chunked and data else data


async def _send_whole(exchange: Exchange) -> None:
    """An answer that is complete in `exchange.response_body`."""
    _header_filter(exchange)
    body = exchange.response_body or b""
    exchange.client.check_unread_body()
    head, has_body, chunked = _head(exchange)
    exchange.headers_sent = True
    out = head if exchange.http_version >= 1.0 else b""
    if has_body:
        filters = _BodyFilter(exchange)
        content = filters.apply(body, False) if body else b""
        content += filters.apply(b"", True)
        announced = exchange.response.get("content-length")
        if announced is not None and announced != str(len(content)):
            exchange.worker.log.warn(f"Content-Length {announced} announces {len(content)} bytes")
            exchange.keepalive = False
        out += _framed(content, chunked)
        if chunked:
            out += b"0\r\n\r\n"
    exchange.bytes_sent += len(out)
    exchange.client.write(out)
    await exchange.client.drain()


async def _send_streaming(
    exchange: Exchange, connection: Connection, head: Head, target: proxy.Target
) -> None:
    """The service's answer, part by part as it arrives."""
    try:
        await _stream(exchange, connection, head, target)
    except BaseException:
        connection.close()
        raise
    finally:
        exchange.proxying = False
    connection.finish(head)


async def _stream(exchange: Exchange, connection: Connection, head: Head, target: proxy.Target) -> None:
    received = now_ms()
    exchange.set_status(head.status)
    exchange.reason = head.reason
    for key, names, values in head.headers.items():
        if proxy.hidden(key):
            continue
        if key in ("content-type", "content-length", "server", "date"):
            exchange.response.set(names[0], values)
        else:
            for name, value in zip(names, values, strict=True):
                exchange.response.add(name, value)
    parts = connection.body(head, exchange.method, target.read_timeout)
    if head.version < 1.0:  # nginx passes such an answer on as it is
        exchange.keepalive = False
        async for part in parts:
            exchange.client.write(part)
            await exchange.client.drain()
        raise _Cut
    _header_filter(exchange)
    out, has_body, chunked = _head(exchange, passed_on=True)
    if exchange.http_version < 1.0:
        out = b""
    exchange.headers_sent = True
    if exchange.response_body is not None:  # an exit in header_filter
        await _drop(parts)
        parts = _once(exchange.response_body)
    filters = _BodyFilter(exchange) if has_body else None
    try:
        async for part in parts:
            if filters is not None:
                out += _framed(filters.apply(part, False), chunked)
                if filters.ended:  # a plugin has ended the body: nobody waits for its rest
                    connection.close()
                    break
            if not connection.buffer and out:
                exchange.bytes_sent += len(out)
                exchange.client.write(out)
                out = b""
                await exchange.client.drain()
    except BodyBroken as problem:
        exchange.worker.log.error(f'{problem} while reading upstream, request: "{exchange.request_line}"')
        exchange.client.write(out)
        raise _Cut from None
    if filters is not None:
        out += _framed(filters.apply(b"", True), chunked)
        if chunked:
            out += b"0\r\n\r\n"
    exchange.receive_time = now_ms() - received
    exchange.bytes_sent += len(out)
    if out:
        exchange.client.write(out)
        await exchange.client.drain()


async def _drop(parts: Parts) -> None:
    async for _ in parts:
        pass


async def _once(body: bytes) -> Parts:
    yield body


# -- log


def _log(exchange: Exchange) -> None:
    exchange.phase = phases.LOG
    pairs = exchange.collected
    if pairs is None:
        pairs = _filters(exchange, phases.LOG)
    for handler, instance in pairs:
        if not handler.phases & phases.LOG:
            continue
        if handler.external:
            exchange.worker.keep(
                asyncio.get_running_loop().create_task(_external_log(exchange, handler, instance))
            )
            continue
        exchange.plugin = instance
        try:
            handler.filter(exchange, instance, "log")
        except PhaseEnd:
            pass
        except LuaError as problem:
            exchange.worker.log.error(f"failed to run log_by_lua*: {problem}")
        finally:
            exchange.plugin = None


async def _external_log(exchange: Exchange, handler: Handler, instance: PluginInstance) -> None:
    exchange.plugin = instance
    try:
        await handler.run(exchange, instance, "log")
    except (LuaError, PhaseEnd) as problem:
        exchange.worker.log.error(f"[{handler.name}] {problem}")
