"""The part of ngx_lua's `ngx` that Lua code of a configuration may use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from typing import Any

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk import header_values, response, service, variables
from kong.embedded.pdk.registry import pdk
from kong.embedded.pdk.request import decode_args
from kong.embedded.phases import LuaError, PhaseEnd
from kong.embedded.values import is_number, is_string, is_table, octets, text, tostring

_PHASE_NAMES = {**phases.NAMES, phases.RESPONSE: "access", phases.ERROR: "content"}
_LOG_LEVELS = {1: "emerg", 2: "alert", 3: "crit", 4: "err", 5: "warn", 6: "notice", 7: "info", 8: "debug"}


# -- what the prelude's proxies read and write


def set_variable(exchange: Exchange, name: Any, value: Any) -> None:
    variables.write(exchange, text(name), None if value is None else tostring(value))


def get_response_header(exchange: Exchange, name: Any) -> Any:
    if not is_string(name):
        return None
    values = exchange.response.get_all(text(name).replace("_", "-"))
    if not values:
        return None
    return values[0] if len(values) == 1 else list(values)


def set_response_header(exchange: Exchange, name: Any, value: Any) -> None:
    if exchange.headers_sent:
        exchange.worker.log.error("attempt to set ngx.header.HEADER after sending out response headers")
        return
    if value is None or value == {} or value == []:
        response.clear(exchange, text(name))
    else:
        response.put(exchange, text(name), value)


def get_arg(exchange: Exchange, index: Any) -> Any:
    if exchange.phase != phases.BODY_FILTER:
        raise LuaError("API disabled in the current context")
    return exchange.body_filter_chunk if index == 1 else exchange.body_filter_eof if index == 2 else None


def set_arg(exchange: Exchange, index: Any, value: Any) -> None:
    if exchange.phase != phases.BODY_FILTER:
        raise LuaError("API disabled in the current context")
    if index == 1:
        if is_table(value):
            value = b"".join(octets(tostring(item)) for item in header_values.array(value))
        exchange.body_filter_chunk = (
            None if value is None else octets(tostring(value) if is_number(value) else value)
        )
    elif index == 2:
        exchange.body_filter_eof = bool(value)


def set_status(exchange: Exchange, value: Any) -> None:
    if exchange.headers_sent:
        exchange.worker.log.error("attempt to set ngx.status after sending out response headers")
        return
    if not is_number(value):
        raise LuaError("number expected")
    exchange.set_status(int(value))


def setting(exchange: Exchange, key: Any) -> Any:
    """`kong.configuration[key]`, for the settings that this gateway has."""
    value = getattr(exchange.worker.settings, text(key), None) if is_string(key) else None
    if isinstance(value, tuple):
        return [item for item in value if isinstance(item, str)]
    return value if isinstance(value, (str, int, float, bool)) else None


# -- functions


@pdk("ngx.now", phases.ANY)
def now(_exchange: Exchange) -> float:
    return round(time.time(), 3)


@pdk("ngx.time", phases.ANY)
def seconds(_exchange: Exchange) -> int:
    return int(time.time())


@pdk("ngx.encode_base64", phases.ANY)
def encode_base64(_exchange: Exchange, value: Any = "", no_padding: Any = False) -> str:
    encoded = base64.b64encode(octets(tostring(value))).decode()
    return encoded.rstrip("=") if no_padding else encoded


@pdk("ngx.decode_base64", phases.ANY)
def decode_base64(_exchange: Exchange, value: Any = "") -> bytes | None:
    data = octets(value)
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


@pdk("ngx.md5", phases.ANY)
def md5(_exchange: Exchange, value: Any = "") -> str:
    return hashlib.md5(octets(tostring(value)), usedforsecurity=False).hexdigest()


@pdk("ngx.get_phase", phases.ANY)
def get_phase(exchange: Exchange) -> str:
    return _PHASE_NAMES.get(exchange.phase, "content")


@pdk("ngx.log", phases.ANY)
def log(exchange: Exchange, level: Any = 6, *args: Any) -> None:
    from kong.embedded.pdk.log import write

    write(exchange, _LOG_LEVELS.get(int(level), "notice"), args)


@pdk("ngx.print", phases.REWRITE | phases.ACCESS | phases.RESPONSE | phases.ERROR)
def print_(exchange: Exchange, *args: Any) -> int:
    parts = b"".join(octets(tostring(arg)) for arg in args)
    exchange.ctx["__printed"] = exchange.ctx.get("__printed", b"") + parts
    return 1


@pdk("ngx.say", phases.REWRITE | phases.ACCESS | phases.RESPONSE | phases.ERROR)
def say(exchange: Exchange, *args: Any) -> int:
    return int(print_(exchange, *args, "\n"))


@pdk("ngx.exit", phases.ANY & ~phases.BODY_FILTER)
def exit_(exchange: Exchange, status: Any = 0) -> None:
    """The answer, with what was printed as its body; without a body nginx's own page."""
    if not is_number(status):
        raise LuaError("number expected")
    if exchange.phase in (
        phases.HEADER_FILTER,
        phases.LOG,
    ):  # there it only notes the status, and the code goes on
        return
    printed = exchange.ctx.pop("__printed", None)
    if exchange.phase == phases.ACCESS and status < 200:  # Kong runs the handler in a coroutine of its own
        raise LuaError("attempt to call ngx.exit with a status that ends no request")
    if exchange.phase in (phases.ACCESS, phases.REWRITE) and (status >= 200 or printed is not None):
        code = int(status) if status >= 200 else exchange.status or 200

        def answer() -> None:
            if printed is None and code >= 300:
                exchange.nginx_page = True
            exchange.set_status(exchange.status or code)
            exchange.response_body = printed or b""

        if exchange.delayed is None:
            exchange.delayed = answer
    raise PhaseEnd


@pdk("ngx.req.get_method", phases.ANY)
def get_method(exchange: Exchange) -> str:
    return exchange.method


@pdk("ngx.req.get_headers", phases.ANY)
def get_headers(exchange: Exchange, limit: Any = None, _raw: Any = None) -> dict[str, Any]:
    return exchange.request.table(100 if limit is None else int(limit))


@pdk("ngx.req.set_header", phases.ANY)
def set_header(exchange: Exchange, name: Any = None, value: Any = None) -> None:
    if value is None:
        exchange.request.remove(text(name))
    else:
        exchange.request.set(text(name), header_values.normalise(value))


@pdk("ngx.req.clear_header", phases.ANY)
def clear_header(exchange: Exchange, name: Any = None) -> None:
    exchange.request.remove(text(name))


@pdk("ngx.req.get_uri_args", phases.ANY)
def get_uri_args(exchange: Exchange, limit: Any = None, *_: Any) -> dict[str, Any]:
    return decode_args(exchange.args or "", 100 if limit is None else int(limit))


@pdk("ngx.req.set_uri_args", phases.ANY)
def set_uri_args(exchange: Exchange, args: Any = None) -> None:
    if is_table(args):
        raise LuaError("ngx.req.set_uri_args with a table is not supported by the embedded gateway")
    exchange.args = service.escape_args(tostring(args))


@pdk("ngx.req.read_body", phases.ANY, reads_body=True)
def read_body(_exchange: Exchange) -> None:
    return None


@pdk("ngx.req.get_body_data", phases.ANY)
def get_body_data(exchange: Exchange, *_: Any) -> bytes | None:
    return None if exchange.body_in_file else exchange.body or None


@pdk("ngx.req.set_body_data", phases.ANY)
def set_body_data(exchange: Exchange, body: Any = None) -> None:
    exchange.replace_body(octets(body))


@pdk("ngx.resp.get_headers", phases.ANY)
def resp_get_headers(exchange: Exchange, limit: Any = None, _raw: Any = None) -> dict[str, Any]:
    return response.table(exchange, 100 if limit is None else int(limit))
