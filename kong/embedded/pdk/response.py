"""kong.response: the answer that the client gets."""

from __future__ import annotations

from typing import Any

from kong.embedded import phases
from kong.embedded.http import errors
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk import header_values
from kong.embedded.pdk.registry import pdk
from kong.embedded.pdk.request import limited
from kong.embedded.phases import LuaError, PhaseEnd
from kong.embedded.values import is_number, is_string, is_table, octets, text, to_json, tostring

AFTER = (
    phases.RESPONSE | phases.HEADER_FILTER | phases.BODY_FILTER | phases.LOG | phases.ERROR | phases.ADMIN_API
)
BEFORE_SENT = (
    phases.REWRITE
    | phases.ACCESS
    | phases.RESPONSE
    | phases.BALANCER
    | phases.HEADER_FILTER
    | phases.ERROR
    | phases.ADMIN_API
)
SENT = "headers have already been sent"


def _check_sent(exchange: Exchange) -> None:
    if exchange.headers_sent:
        raise LuaError(SENT)


def table(exchange: Exchange, limit: int = 100) -> dict[str, Any]:
    """`ngx.resp.get_headers`: with the Connection that nginx is going to send."""
    headers = exchange.response.table(limit)
    headers["connection"] = connection(exchange)
    return headers


def connection(exchange: Exchange) -> str:
    if exchange.status == 101:
        return "upgrade"
    return "keep-alive" if exchange.keepalive else "close"


@pdk("kong.response.get_status", AFTER)
def get_status(exchange: Exchange, *_: Any) -> int:
    return exchange.status


@pdk("kong.response.get_header", AFTER)
def get_header(exchange: Exchange, name: Any = None, *_: Any) -> str | None:
    if not is_string(name):
        raise LuaError("header name must be a string")
    name = text(name).replace("_", "-")
    if name.lower() == "connection":
        return connection(exchange)
    return exchange.response.get(name)


@pdk("kong.response.get_headers", AFTER)
def get_headers(exchange: Exchange, max_headers: Any = None, *_: Any) -> dict[str, Any]:
    return table(exchange, limited(max_headers, "max_headers", 100))


@pdk("kong.response.get_source", AFTER)
def get_source(exchange: Exchange, *_: Any) -> str:
    return exchange.source


@pdk("kong.response.set_status", BEFORE_SENT)
def set_status(exchange: Exchange, status: Any = None, *_: Any) -> None:
    _check_sent(exchange)
    _check_status(status, 100)
    exchange.set_status(int(status))


def _check_status(status: Any, least: int) -> None:
    if not is_number(status):
        raise LuaError("code must be a number")
    if not least <= status <= 599:
        raise LuaError(f"code must be a number between {least} and 599")


def put(exchange: Exchange, name: str, value: Any) -> None:
    """`ngx.header[name] = value`: underscores are dashes, an empty list removes."""
    name = name.replace("_", "-")
    lower = name.lower()
    if lower == "date":
        exchange.dateless = False
    if lower == "transfer-encoding":
        exchange.worker.log.warn("manually setting Transfer-Encoding. Ignored.")
        return
    values = header_values.normalise(value)
    if lower in ("content-type", "content-length", "location") and len(values) > 1:
        values = values[-1:]
    exchange.response.set(name, values)


@pdk("kong.response.set_header", BEFORE_SENT)
def set_header(exchange: Exchange, name: Any = None, value: Any = None, *_: Any) -> None:
    _check_sent(exchange)
    header_values.check(name, value)
    put(exchange, text(name), value)


@pdk("kong.response.add_header", BEFORE_SENT)
def add_header(exchange: Exchange, name: Any = None, value: Any = None, *_: Any) -> None:
    _check_sent(exchange)
    header_values.check(name, value)
    for line in header_values.normalise(value):
        exchange.response.add(text(name), line)


@pdk("kong.response.clear_header", BEFORE_SENT)
def clear_header(exchange: Exchange, name: Any = None, *_: Any) -> None:
    _check_sent(exchange)
    if not is_string(name):
        raise LuaError("header name must be a string")
    clear(exchange, text(name))


@pdk("kong.response.set_headers", BEFORE_SENT)
def set_headers(exchange: Exchange, headers: Any = None, *_: Any) -> None:
    _check_sent(exchange)
    header_values.check_all(headers)
    for name, value in header_values.entries(headers):
        put(exchange, text(name), value)


def clear(exchange: Exchange, name: str) -> None:
    """`ngx.header[name] = nil`; a Date that was cleared is not made anew."""
    name = name.replace("_", "-")
    exchange.response.remove(name)
    if name.lower() == "date":
        exchange.dateless = True


@pdk("kong.response.get_raw_body", phases.BODY_FILTER)
def get_raw_body(exchange: Exchange, *_: Any) -> bytes | None:
    """None until the last part of the body is there; then the whole."""
    chunk = exchange.body_filter_chunk
    if exchange.body_filter_eof and not exchange.body_parts:
        return chunk if chunk is not None else b""
    if chunk:
        exchange.body_parts.append(chunk)
    if exchange.body_filter_eof:
        body = b"".join(exchange.body_parts)
        exchange.body_filter_chunk = body
        exchange.body_parts = []
        return body
    exchange.body_filter_chunk = None
    return None


@pdk("kong.response.set_raw_body", phases.BODY_FILTER)
def set_raw_body(exchange: Exchange, body: Any = None, *_: Any) -> None:
    if not is_string(body):
        raise LuaError("body must be a string")
    exchange.body_filter_chunk = octets(body) or b"\n"
    exchange.body_filter_eof = True
    exchange.body_parts = []


def send(exchange: Exchange, status: int, body: Any, headers: Any) -> None:
    """Make this the answer. Outside header_filter the phase ends here: the caller raises PhaseEnd."""
    _check_sent(exchange)
    exchange.set_status(status)
    typed = sized = False
    for name, value in header_values.entries(headers) if headers is not None else ():
        lower = text(name).lower().replace("_", "-")
        put(exchange, text(name), value)
        typed = typed or lower == "content-type"
        sized = sized or lower == "content-length"
    if is_table(body):
        content = to_json(body)
        if not typed:
            exchange.response.set("Content-Type", errors.JSON)
    else:
        content = octets(body) if body is not None else b""
    # where nothing was printed nginx finds something to say, or sees to it that nothing is said
    exchange.nginx_page = body is None and (status >= 300 or status == 204)
    if not sized:
        exchange.response.set("Content-Length", str(len(content)))
    exchange.response_body = content


def _finish(exchange: Exchange, status: int, body: Any, headers: Any) -> None:
    exchange.exited = True
    if exchange.delaying:
        if exchange.delayed is None:
            exchange.delayed = lambda: send(exchange, status, body, headers)
    else:
        send(exchange, status, body, headers)
    if exchange.phase != phases.HEADER_FILTER:  # there ngx.exit does not end what is running
        raise PhaseEnd


@pdk("kong.response.exit", BEFORE_SENT)
def exit_(exchange: Exchange, status: Any = None, body: Any = None, headers: Any = None, *_: Any) -> None:
    _check_sent(exchange)
    _check_status(status, 100)
    if body is not None and not is_string(body) and not is_table(body):
        raise LuaError("body must be a nil, string or table")
    if headers is not None and not is_table(headers):
        raise LuaError("headers must be a nil or table")
    if headers is not None:
        header_values.check_all(headers)
    _finish(exchange, int(status), body, headers)


@pdk("kong.response.error", BEFORE_SENT)
def error(exchange: Exchange, status: Any = None, message: Any = None, headers: Any = None, *_: Any) -> None:
    _check_sent(exchange)
    _check_status(status, 400)
    if message is not None:
        if is_table(message):
            message = to_json(message)
        if not is_string(message):
            raise LuaError("message must be a nil, a string or a table")
    if headers is not None and not is_table(headers):
        raise LuaError("headers must be a nil or table")
    if headers is not None:
        header_values.check_all(headers)
    answer = {text(name): value for name, value in header_values.entries(headers or {})}
    given = answer.get("Content-Type")
    media = tostring(given[0] if isinstance(given, list) else given) if given is not None else None
    if media is None:
        media = errors.media_type(exchange.request.variable("accept"))
    answer["Content-Type"] = media
    words = text(message) if message is not None else errors.pdk_message(int(status))
    body = errors.body(media, words, exchange.request_id)
    _finish(exchange, int(status), body, answer)
