"""kong.request: what the client sent, as changed by the plugins so far."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from kong_declarative.request_path import normalise

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk.registry import pdk
from kong.embedded.phases import LuaError
from kong.embedded.values import is_number, is_string, text

BODY = phases.REWRITE | phases.ACCESS | phases.RESPONSE | phases.ERROR | phases.ADMIN_API
NOT_FITTING = "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'"


def first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def limited(value: Any, name: str, default: int, most: int = 1000) -> int:
    """A `max_…` argument."""
    if value is None:
        return default
    if not is_number(value):
        raise LuaError(f"{name} must be a number")
    if value < 1:
        raise LuaError(f"{name} must be >= 1")
    if value > most:
        raise LuaError(f"{name} must be <= {most}")
    return int(value)


def decode_args(query: str, limit: int = 100) -> dict[str, Any]:
    """A query string as `ngx.decode_args` reads it: True for an argument without `=`, lists for repeated ones."""
    result: dict[str, Any] = {}
    for count, part in enumerate(part for part in query.split("&") if part):
        if limit and count >= limit:
            break
        name, equals, value = part.partition("=")
        name = unescape(name)
        if not name and not equals:
            continue
        item: Any = unescape(value) if equals else True
        if name in result:
            present = result[name]
            if isinstance(present, list):
                present.append(item)
            else:
                result[name] = [present, item]
        else:
            result[name] = item
    return result


def unescape(value: str) -> str:
    if "%" not in value and "+" not in value:
        return value
    return unquote_to_bytes(value.replace("+", " ").encode("latin-1")).decode("latin-1")


def header(exchange: Exchange, name: str) -> str | None:
    """`kong.tools.http.get_header`: the first of several values."""
    values = exchange.request.loose(name)
    return values[0] if values else None


@pdk("kong.request.get_scheme", phases.REQUEST)
def get_scheme(exchange: Exchange) -> str:
    return exchange.scheme


@pdk("kong.request.get_host", phases.REQUEST)
def get_host(exchange: Exchange) -> str:
    return exchange.host


@pdk("kong.request.get_http_version", phases.REQUEST)
def get_http_version(exchange: Exchange, *_: Any) -> float | None:
    """None for a minor version that ngx_lua does not know."""
    return exchange.http_version if exchange.http_version in (0.9, 1.0, 1.1) else None


@pdk("kong.request.get_method", phases.REQUEST)
def get_method(exchange: Exchange) -> str:
    if exchange.errored:
        return exchange.request_line.partition(" ")[0]
    return exchange.method


@pdk("kong.request.get_path", phases.REQUEST)
def get_path(exchange: Exchange) -> str:
    return normalise(exchange.raw_path)


@pdk("kong.request.get_path_with_query", phases.REQUEST)
def get_path_with_query(exchange: Exchange) -> str:
    return exchange.request_uri


@pdk("kong.request.get_raw_query", phases.REQUEST)
def get_raw_query(exchange: Exchange) -> str:
    return exchange.args or ""


@pdk("kong.request.get_query", phases.REQUEST)
def get_query(exchange: Exchange, max_args: Any = None) -> dict[str, Any]:
    limit = limited(max_args, "max_args", 100)
    return decode_args(exchange.args or "", limit)


@pdk("kong.request.get_header", phases.REQUEST)
def get_header(exchange: Exchange, name: Any = None, *_: Any) -> str | None:
    if not isinstance(name, str):
        if not is_string(name):
            raise LuaError("header name must be a string")
        name = text(name)
    return header(exchange, name)


@pdk("kong.request.get_headers", phases.REQUEST)
def get_headers(exchange: Exchange, max_headers: Any = None, *_: Any) -> dict[str, Any]:
    return exchange.request.table(limited(max_headers, "max_headers", 100))


@pdk("kong.request.get_raw_body", BODY, reads_body=True)
def get_raw_body(exchange: Exchange, max_allowed_file_size: Any = None, *_: Any) -> Any:
    """bytes, or (None, reason): a body over `client_body_buffer_size` is a file, read only with an argument."""
    body = exchange.body or b""
    if not exchange.body_in_file:
        return body
    if not is_number(max_allowed_file_size) or max_allowed_file_size < 0:
        return None, NOT_FITTING
    if 0 < max_allowed_file_size < len(body):
        return None, f"request body file too big: {len(body)} > {max_allowed_file_size}"
    return body
