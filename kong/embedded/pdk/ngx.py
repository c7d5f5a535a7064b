"""The part of ngx_lua's `ngx` that Lua code of a configuration may use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import time
import zlib
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk import header_values, response, service, variables
from kong.embedded.pdk.registry import pdk
from kong.embedded.pdk.request import decode_args, get_http_version
from kong.embedded.phases import LuaError, PhaseEnd
from kong.embedded.values import is_number, is_string, is_table, octets, text, tostring

_PHASE_NAMES = {
    phases.REWRITE: "rewrite",
    phases.ACCESS: "access",
    phases.RESPONSE: "access",
    phases.BALANCER: "balancer",
    phases.HEADER_FILTER: "header_filter",
    phases.BODY_FILTER: "body_filter",
    phases.LOG: "log",
    phases.ERROR: "content",
}
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


@pdk("ngx.update_time", phases.ANY)
def update_time(_exchange: Exchange) -> None:
    return None


@pdk("ngx.today", phases.ANY)
def today(_exchange: Exchange) -> str:
    return time.strftime("%Y-%m-%d")


@pdk("ngx.localtime", phases.ANY)
def localtime(_exchange: Exchange) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


@pdk("ngx.utctime", phases.ANY)
def utctime(_exchange: Exchange) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())


@pdk("ngx.http_time", phases.ANY)
def http_time(_exchange: Exchange, when: Any = 0) -> str:
    return formatdate(float(when), usegmt=True)


@pdk("ngx.cookie_time", phases.ANY)
def cookie_time(_exchange: Exchange, when: Any = 0) -> str:
    return time.strftime("%a, %d-%b-%y %H:%M:%S GMT", time.gmtime(float(when)))


@pdk("ngx.parse_http_time", phases.ANY)
def parse_http_time(_exchange: Exchange, value: Any = "") -> int | None:
    try:
        return int(parsedate_to_datetime(text(value)).timestamp())
    except (ValueError, TypeError):
        return None


@pdk("ngx.escape_uri", phases.ANY)
def escape_uri(_exchange: Exchange, value: Any = "", *_: Any) -> str:
    return quote(octets(tostring(value)), safe="-._~")


@pdk("ngx.unescape_uri", phases.ANY)
def unescape_uri(_exchange: Exchange, value: Any = "") -> bytes:
    return unquote_to_bytes(octets(tostring(value)).replace(b"+", b" "))


@pdk("ngx.encode_args", phases.ANY)
def encode_args(_exchange: Exchange, args: Any = None) -> str:
    return service.encode_args(args)


@pdk("ngx.decode_args", phases.ANY)
def decode(_exchange: Exchange, query: Any = "", limit: Any = 100) -> dict[str, Any]:
    return decode_args(text(query), int(limit or 0))


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


@pdk("ngx.md5_bin", phases.ANY)
def md5_bin(_exchange: Exchange, value: Any = "") -> bytes:
    return hashlib.md5(octets(tostring(value)), usedforsecurity=False).digest()


@pdk("ngx.sha1_bin", phases.ANY)
def sha1_bin(_exchange: Exchange, value: Any = "") -> bytes:
    return hashlib.sha1(octets(tostring(value)), usedforsecurity=False).digest()


@pdk("ngx.hmac_sha1", phases.ANY)
def hmac_sha1(_exchange: Exchange, key: Any = "", value: Any = "") -> bytes:
    return hmac.new(octets(key), octets(value), "sha1").digest()


@pdk("ngx.crc32_short", phases.ANY)
def crc32_short(_exchange: Exchange, value: Any = "") -> int:
    return zlib.crc32(octets(tostring(value)))


@pdk("ngx.crc32_long", phases.ANY)
def crc32_long(_exchange: Exchange, value: Any = "") -> int:
    return zlib.crc32(octets(tostring(value)))


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


@pdk("ngx.redirect", phases.REWRITE | phases.ACCESS)
def redirect(exchange: Exchange, uri: Any = "/", status: Any = 302) -> None:
    response.put(exchange, "Location", text(uri))
    exit_(exchange, int(status))


@pdk("ngx.req.get_method", phases.ANY)
def get_method(exchange: Exchange) -> str:
    return exchange.method


@pdk("ngx.req.set_method", phases.REWRITE | phases.ACCESS)
def set_method(exchange: Exchange, method: Any = None) -> None:
    exchange.method = text(method)


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
    exchange.args = service.encode_args(args) if is_table(args) else service.escape_args(tostring(args))


@pdk("ngx.req.read_body", phases.ANY, reads_body=True)
def read_body(_exchange: Exchange) -> None:
    return None


@pdk("ngx.req.get_body_data", phases.ANY)
def get_body_data(exchange: Exchange, *_: Any) -> bytes | None:
    return None if exchange.body_in_file else exchange.body or None


@pdk("ngx.req.get_body_file", phases.ANY)
def get_body_file(_exchange: Exchange) -> None:
    return None


@pdk("ngx.req.set_body_data", phases.ANY)
def set_body_data(exchange: Exchange, body: Any = None) -> None:
    exchange.replace_body(octets(body))


@pdk("ngx.req.get_post_args", phases.ANY)
def get_post_args(exchange: Exchange, limit: Any = None) -> dict[str, Any]:
    return decode_args((exchange.body or b"").decode("latin-1"), 100 if limit is None else int(limit))


@pdk("ngx.req.http_version", phases.ANY)
def http_version(exchange: Exchange) -> Any:
    return get_http_version(exchange)


@pdk("ngx.req.start_time", phases.ANY)
def start_time(exchange: Exchange) -> float:
    return exchange.started / 1000


@pdk("ngx.req.is_internal", phases.ANY)
def is_internal(_exchange: Exchange) -> bool:
    return False


@pdk("ngx.req.raw_header", phases.ANY)
def raw_header(exchange: Exchange, no_request_line: Any = False) -> str:
    lines = [] if no_request_line else [exchange.request_line]
    lines += [f"{name}: {value}" for name, value in exchange.request.lines()]
    return "\r\n".join(lines) + "\r\n\r\n"


@pdk("ngx.resp.get_headers", phases.ANY)
def resp_get_headers(exchange: Exchange, limit: Any = None, _raw: Any = None) -> dict[str, Any]:
    return response.table(exchange, 100 if limit is None else int(limit))


@pdk("ngx.resp.add_header", phases.ANY)
def resp_add_header(exchange: Exchange, name: Any = None, value: Any = None) -> None:
    for line in header_values.normalise(value):
        exchange.response.add(text(name), line)


@pdk("ngx.worker.pid", phases.ANY)
def worker_pid(_exchange: Exchange) -> int:
    return os.getpid()


@pdk("ngx.worker.id", phases.ANY)
def worker_id(exchange: Exchange) -> int:
    return exchange.worker.number


@pdk("ngx.worker.count", phases.ANY)
def worker_count(exchange: Exchange) -> int:
    return exchange.worker.count


def _pattern(regex: Any, options: Any) -> re.Pattern[str]:
    flags = 0
    given = text(options) if is_string(options) else ""
    for letter, flag in (("i", re.IGNORECASE), ("m", re.MULTILINE), ("s", re.DOTALL), ("x", re.VERBOSE)):
        if letter in given:
            flags |= flag
    try:
        return re.compile(
            text(regex).replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"), flags
        )
    except re.error as problem:
        raise LuaError(f"pcre_compile() failed: {problem}") from None


def _match_table(match: re.Match[str]) -> dict[Any, Any]:
    table: dict[Any, Any] = {0: match[0]}
    for index, value in enumerate(match.groups(), 1):
        table[index] = value if value is not None else False
    for name, value in match.groupdict().items():
        table[name] = value if value is not None else False
    return table


@pdk("ngx.re.match", phases.ANY)
def re_match(_exchange: Exchange, subject: Any = "", regex: Any = "", options: Any = None, *_: Any) -> Any:
    match = _pattern(regex, options).search(tostring(subject))
    return _match_table(match) if match else None


@pdk("ngx.re.find", phases.ANY)
def re_find(_exchange: Exchange, subject: Any = "", regex: Any = "", options: Any = None, *_: Any) -> Any:
    match = _pattern(regex, options).search(tostring(subject))
    return (match.start() + 1, match.end()) if match else None


def _substitute(subject: Any, regex: Any, replacement: Any, options: Any, count: int) -> Any:
    def expand(match: re.Match[str]) -> str:
        return re.sub(
            r"\$(?:(\$)|\{(\d+)\}|(\d+))",
            lambda part: "$" if part[1] else match[int(part[2] or part[3])] or "",
            tostring(replacement),
        )

    return _pattern(regex, options).subn(expand, tostring(subject), count=count)


@pdk("ngx.re.sub", phases.ANY)
def re_sub(
    _exchange: Exchange, subject: Any = "", regex: Any = "", replace: Any = "", options: Any = None
) -> Any:
    return _substitute(subject, regex, replace, options, 1)


@pdk("ngx.re.gsub", phases.ANY)
def re_gsub(
    _exchange: Exchange, subject: Any = "", regex: Any = "", replace: Any = "", options: Any = None
) -> Any:
    return _substitute(subject, regex, replace, options, 0)
