"""kong.service.request and kong.service.response: what goes to the upstream and what came from it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk import header_values
from kong.embedded.pdk.registry import pdk
from kong.embedded.pdk.request import decode_args, first, limited
from kong.embedded.phases import LuaError
from kong.embedded.values import from_json, is_string, is_table, octets, text, to_json, tostring, type_name

BEFORE = phases.REWRITE | phases.ACCESS
BEFORE_OR_BALANCER = BEFORE | phases.BALANCER
AFTER = phases.RESPONSE | phases.HEADER_FILTER | phases.BODY_FILTER | phases.LOG

METHODS = frozenset(
    [
        "GET",
        "HEAD",
        "PUT",
        "POST",
        "DELETE",
        "OPTIONS",
        "MKCOL",
        "COPY",
        "MOVE",
        "PROPFIND",
        "PROPPATCH",
        "LOCK",
        "UNLOCK",
        "PATCH",
        "TRACE",
    ]
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


def encode_args(args: Any) -> str:
    """`make_ordered_args`: a table of arguments as a query string, sorted."""
    parts = []
    for name, value in header_values.entries(args):
        if not is_string(name):
            raise LuaError("arg keys must be strings")
        key = quote(octets(name), safe="-._~!'()*$,:@;/")
        for item in header_values.array(value) if is_table(value) else [value]:
            if item is True:
                parts.append(key)
            elif item is False:
                parts.append("")
            else:
                parts.append(f"{key}={quote(octets(tostring(item)), safe='')}")
    return "&".join(sorted(parts))


@pdk("kong.service.request.enable_buffering", BEFORE_OR_BALANCER)
def enable_buffering(exchange: Exchange, *_: Any) -> None:
    exchange.ctx["buffered_proxying"] = True


@pdk("kong.service.request.set_scheme", BEFORE_OR_BALANCER)
def set_scheme(exchange: Exchange, scheme: Any = None, *_: Any) -> None:
    if not is_string(scheme):
        raise LuaError("scheme must be a string")
    if text(scheme) not in ("http", "https"):
        raise LuaError(f"invalid scheme: {text(scheme)}")
    exchange.upstream_scheme = text(scheme)


@pdk("kong.service.request.set_path", BEFORE_OR_BALANCER)
def set_path(exchange: Exchange, path: Any = None, *_: Any) -> None:
    if not is_string(path):
        raise LuaError("path must be a string")
    path = text(path)
    if not path.startswith("/"):
        raise LuaError("path must start with /")
    exchange.upstream_uri = escape(path)


@pdk("kong.service.request.set_raw_query", BEFORE)
def set_raw_query(exchange: Exchange, query: Any = None, *_: Any) -> None:
    if not is_string(query):
        raise LuaError("query must be a string")
    exchange.args = escape_args(text(query))


@pdk("kong.service.request.set_query", BEFORE)
def set_query(exchange: Exchange, args: Any = None, *_: Any) -> None:
    if not is_table(args):
        raise LuaError("args must be a table")
    exchange.args = encode_args(args)


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
    if text(method) not in METHODS:
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


@pdk("kong.service.request.set_body", BEFORE, reads_body=True)
def set_body(exchange: Exchange, args: Any = None, mime: Any = None, *_: Any) -> Any:
    if not is_table(args):
        raise LuaError("args must be a table")
    if mime is not None and not is_string(mime):
        raise LuaError("mime must be a string")
    mime = text(mime) if mime is not None else exchange.request.get("Content-Type")
    if not mime:
        return None, "content type was neither explicitly given as an argument or received as a header"
    kind = mime.partition(";")[0]
    if kind == "application/json":
        exchange.replace_body(to_json(args))
    elif kind == "application/x-www-form-urlencoded":
        exchange.replace_body(encode_args(args).encode("latin-1"))
    else:
        raise LuaError(f"unsupported content type {mime}")
    exchange.request.set("Content-Type", mime)
    return True


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


@pdk("kong.service.response.get_body", AFTER)
def get_body(exchange: Exchange, mimetype: Any = None, max_args: Any = None, *_: Any) -> Any:
    body = get_raw_body(exchange)
    content_type = text(mimetype) if is_string(mimetype) else get_header(exchange, "Content-Type")
    if not content_type:
        return None, "missing content type"
    kind = content_type.lower().partition(";")[0]
    if kind.startswith("application/x-www-form-urlencoded"):
        limit = limited(max_args, "max_args", 100)
        return decode_args(body.decode("latin-1"), limit), None, "application/x-www-form-urlencoded"
    if kind.startswith("application/json"):
        value = from_json(body)
        if not is_table(value):
            return None, "invalid json body", "application/json"
        return value, None, "application/json"
    return None, f"unsupported content type '{content_type}'", kind


@pdk("kong.service.set_retries", BEFORE_OR_BALANCER)
def set_retries(exchange: Exchange, retries: Any = None, *_: Any) -> None:
    if type_name(retries) != "number":
        raise LuaError("retries must be an integer")
    if not 0 <= retries <= 32767 or retries != int(retries):
        raise LuaError(f"retries must be an integer between 0 and 32767: given {tostring(retries)}")
    exchange.ctx["__retries"] = int(retries)


@pdk("kong.service.set_timeouts", BEFORE_OR_BALANCER)
def set_timeouts(
    exchange: Exchange,
    connect_timeout: Any = None,
    write_timeout: Any = None,
    read_timeout: Any = None,
    *_: Any,
) -> None:
    given = {"connect_timeout": connect_timeout, "write_timeout": write_timeout, "read_timeout": read_timeout}
    for name, value in given.items():
        if type_name(value) != "number":
            raise LuaError(f"{name} must be an integer")
        if not 1 <= value <= 2147483646 or value != int(value):
            raise LuaError(f"{name} must be an integer between 1 and 2147483646: given {tostring(value)}")
    exchange.ctx["__timeouts"] = {name: int(value) for name, value in given.items()}


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


@pdk("kong.service.set_upstream", BEFORE_OR_BALANCER)
def set_upstream(_exchange: Exchange, host: Any = None, *_: Any) -> Any:
    if not is_string(host):
        raise LuaError("host must be a string")
    return None, f"could not find an Upstream named '{text(host)}'"


__all__ = ["encode_args", "escape", "escape_args", "first"]
