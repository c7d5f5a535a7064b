"""kong.service.request and kong.service.response: what goes to the upstream and what came from it."""

from __future__ import annotations

import re
from typing import Any

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk import header_values
from kong.embedded.pdk.registry import pdk
from kong.embedded.pdk.request import limited
from kong.embedded.phases import LuaError
from kong.embedded.values import is_string, octets, text, tostring, type_name

BEFORE = phases.REWRITE | phases.ACCESS
BEFORE_OR_BALANCER = BEFORE | phases.BALANCER
AFTER = phases.RESPONSE | phases.HEADER_FILTER | phases.BODY_FILTER | phases.LOG

METHOD = re.compile(
    "GET|HEAD|PUT|POST|DELETE|OPTIONS|MKCOL|COPY|MOVE|PROPFIND|PROPPATCH|LOCK|UNLOCK|PATCH|TRACE"
)
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_UNSAFE = re.compile(r"[^!#$&'()*+,/:;=?@\[\]A-Za-z\d\-_.~%]")
NOT_BUFFERED = (
    "service body is only available with buffered proxying "
    "(see: kong.service.request.enable_buffering function)"
)


def escape(path: str) -> str:
    """A path as Kong sends it: what does not belong into a URI is percent-encoded, nothing else is touched."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", path)


def escape_args(query: str) -> str:
    """A query string as `ngx.req.set_uri_args` takes it: spaces and control characters are percent-encoded."""
    return _CONTROL.sub(lambda match: f"%{ord(match[0]):02X}", query)


@pdk("kong.service.request.enable_buffering", BEFORE_OR_BALANCER)
def enable_buffering(exchange: Exchange, *_: Any) -> None:
    exchange.ctx["buffered_proxying"] = True


@pdk("kong.service.request.set_path", BEFORE_OR_BALANCER)
def set_path(exchange: Exchange, path: Any = None, *_: Any) -> None:
    if not is_string(path):
        raise LuaError("path must be a string")
    path = text(path)
    if not path.startswith("/"):
        raise LuaError("path must start with /")
    exchange.upstream_uri = escape(path)


@pdk("kong.service.request.clear_query_arg", BEFORE)
def clear_query_arg(exchange: Exchange, name: Any = None, *_: Any) -> None:
    if not is_string(name):
        raise LuaError("query argument name must be a string")
    if exchange.args:
        kept = [part for part in exchange.args.split("&") if part.partition("=")[0] != text(name)]
        exchange.args = "&".join(kept)


@pdk("kong.service.request.set_method", BEFORE)
def set_method(exchange: Exchange, method: Any = None, *_: Any) -> None:
    if not is_string(method):
        raise LuaError("method must be a string")
    if not METHOD.fullmatch(text(method)):
        raise LuaError(f"invalid method: {text(method)}")
    exchange.method = text(method)


def _set(exchange: Exchange, name: str, value: Any) -> None:
    lower = name.lower()
    values = header_values.normalise(value)
    if lower == "host":
        exchange.upstream_host = tostring(value)
    if lower == "content-length" and values and values[0].strip().isdigit():
        exchange.body_length = int(values[0])
    exchange.request.set(name, values)


@pdk("kong.service.request.set_header", BEFORE_OR_BALANCER)
def set_header(exchange: Exchange, name: Any = None, value: Any = None, *_: Any) -> Any:
    header_values.check(name, value)
    if text(name).lower() == ":authority":
        return None, "cannot set :authority pseudo-header on non-grpc requests"
    _set(exchange, text(name), value)
    return None


@pdk("kong.service.request.add_header", BEFORE)
def add_header(exchange: Exchange, name: Any = None, value: Any = None, *_: Any) -> None:
    header_values.check(name, value)
    if text(name).lower() == "host":
        exchange.upstream_host = tostring(value)
    for line in header_values.normalise(value):
        exchange.request.add(text(name), line)


@pdk("kong.service.request.clear_header", BEFORE)
def clear_header(exchange: Exchange, name: Any = None, *_: Any) -> None:
    if not is_string(name):
        raise LuaError("header must be a string")
    exchange.request.remove(text(name))


@pdk("kong.service.request.set_headers", BEFORE)
def set_headers(exchange: Exchange, headers: Any = None, *_: Any) -> None:
    header_values.check_all(headers)
    for name, value in header_values.entries(headers):
        _set(exchange, text(name), value)


@pdk("kong.service.request.set_raw_body", BEFORE_OR_BALANCER, reads_body=True)
def set_raw_body(exchange: Exchange, body: Any = None, *_: Any) -> None:
    if not is_string(body):
        raise LuaError("body must be a string")
    exchange.replace_body(octets(body))


@pdk("kong.service.response.get_status", AFTER)
def get_status(exchange: Exchange, *_: Any) -> int | None:
    if exchange.service_status is not None:
        return exchange.service_status
    status = exchange.upstream_status[-3:]
    return int(status) if status.isdigit() else None


@pdk("kong.service.response.get_headers", AFTER)
def get_headers(exchange: Exchange, max_headers: Any = None, *_: Any) -> dict[str, Any]:
    """Of a buffered answer Kong returns a table that knows names but lists none: a plugin server gets `{}`."""
    limit = limited(max_headers, "max_headers", 100)
    if exchange.service_headers is not None:
        return {}
    shown = exchange.upstream_headers
    return {name: value for name, value in exchange.response.table(limit).items() if name in shown}


@pdk("kong.service.response.get_header", AFTER)
def get_header(exchange: Exchange, name: Any = None, *_: Any) -> str | None:
    if not is_string(name):
        raise LuaError("name must be a string")
    name = text(name)
    if exchange.service_headers is not None:
        values = exchange.service_headers.loose(name)
        return values[0] if values else None
    return exchange.response.get(name) if name in exchange.upstream_headers else None


@pdk("kong.service.response.get_raw_body", AFTER)
def get_raw_body(exchange: Exchange, *_: Any) -> bytes:
    if not exchange.buffered:
        raise LuaError(NOT_BUFFERED)
    return exchange.service_body or b""


@pdk("kong.service.set_target", BEFORE)
def set_target(exchange: Exchange, host: Any = None, port: Any = None, *_: Any) -> None:
    if not is_string(host):
        raise LuaError("host must be a string")
    if type_name(port) != "number" or port != int(port):
        raise LuaError("port must be an integer")
    if not 0 <= port <= 65535:
        raise LuaError(f"port must be an integer between 0 and 65535: given {tostring(port)}")
    exchange.ctx["__target"] = (text(host), int(port))
    exchange.upstream_host = text(host)
