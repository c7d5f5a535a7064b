"""nginx's variables (`ngx.var`) and Kong's context (`ngx.ctx`), as far as plugins read and write them here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from kong_declarative.request_path import normalise

from kong.embedded.http.exchange import Exchange, now_ms
from kong.embedded.phases import LuaError


def _read_only(name: str) -> LuaError:
    return LuaError(f'variable "{name}" not changeable')


_READERS: dict[str, Callable[[Exchange], Any]] = {
    "args": lambda e: e.args,
    "query_string": lambda e: e.args,
    "is_args": lambda e: "?" if e.args else "",
    "binary_remote_addr": lambda e: _packed(e.remote_addr),
    "body_bytes_sent": lambda e: str(e.bytes_sent),
    "bytes_sent": lambda e: str(e.bytes_sent),
    "connection": lambda e: str(e.connection_id),
    "connection_requests": lambda e: str(e.connection_requests),
    "content_length": lambda e: e.request.get("content-length"),
    "content_type": lambda e: e.request.get("content-type"),
    "document_uri": lambda e: decoded_path(e),
    "host": lambda e: e.host,
    "hostname": lambda e: os.uname().nodename,
    "https": lambda e: "on" if e.scheme == "https" else "",
    "kong_proxy_mode": lambda e: "http",
    "kong_request_id": lambda e: e.request_id,
    "msec": lambda e: f"{time.time():.3f}",
    "nginx_version": lambda e: "1.25.3",
    "pid": lambda e: str(os.getpid()),
    "request_completion": lambda e: "",
    "realip_remote_addr": lambda e: e.remote_addr,
    "realip_remote_port": lambda e: str(e.remote_port),
    "remote_addr": lambda e: e.remote_addr,
    "remote_port": lambda e: str(e.remote_port),
    "request": lambda e: e.request_line,
    "request_body": lambda e: None if e.body is None or e.body_in_file else e.body or None,
    "request_id": lambda e: _nginx_request_id(e),
    "request_length": lambda e: str(e.request_length),
    "request_method": lambda e: e.method,
    "request_time": lambda e: f"{(now_ms() - e.started) / 1000:.3f}",
    "request_uri": lambda e: e.request_uri,
    "scheme": lambda e: e.scheme,
    "server_addr": lambda e: "127.0.0.1",
    "server_name": lambda e: "kong",
    "server_port": lambda e: str(e.port),
    "server_protocol": lambda e: f"HTTP/{e.http_version}",
    "status": lambda e: f"{e.status:03d}" if e.status else "000",
    "time_iso8601": lambda e: time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
    "time_local": lambda e: time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
    "upstream_connection": lambda e: e.upstream_connection,
    "upstream_host": lambda e: e.upstream_host,
    "upstream_scheme": lambda e: e.upstream_scheme,
    "upstream_status": lambda e: e.upstream_status or None,
    "upstream_te": lambda e: e.upstream_te,
    "upstream_upgrade": lambda e: e.upstream_upgrade,
    "upstream_uri": lambda e: e.upstream_uri,
    "upstream_via": lambda e: e.upstream_via,
    "upstream_x_forwarded_for": lambda e: e.x_forwarded.get("For"),
    "upstream_x_forwarded_host": lambda e: e.x_forwarded.get("Host"),
    "upstream_x_forwarded_path": lambda e: e.x_forwarded.get("Path"),
    "upstream_x_forwarded_port": lambda e: e.x_forwarded.get("Port"),
    "upstream_x_forwarded_prefix": lambda e: e.x_forwarded.get("Prefix"),
    "upstream_x_forwarded_proto": lambda e: e.x_forwarded.get("Proto"),
    "ssl_protocol": lambda e: e.client.tls_version,
    "uri": lambda e: decoded_path(e),
}


def _packed(address: str) -> bytes:
    import ipaddress

    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return b""


def _captured_headers(exchange: Exchange) -> dict[str, Any] | None:
    """What a subrequest says about its answer: names as sent, one value or a list, the length as a number."""
    headers = exchange.service_headers
    if headers is None:
        return None
    captured: dict[str, Any] = {}
    for key, names, values in headers.items():
        if key == "content-length":
            captured[names[0]] = int(values[0])
        elif key not in ("connection", "keep-alive", "transfer-encoding"):
            captured[names[0]] = values[0] if len(values) == 1 else list(values)
    return captured


def _nginx_request_id(exchange: Exchange) -> str:
    """nginx's own id, another than Kong's."""
    value = exchange.ctx.get("__nginx_request_id")
    if value is None:
        import secrets

        value = exchange.ctx["__nginx_request_id"] = secrets.token_hex(16)
    return str(value)


def decoded_path(exchange: Exchange) -> str:
    """`$uri`: percent-encoding undone, dots and double slashes removed."""
    from kong.embedded.pdk.request import unescape

    path = exchange.raw_path
    if "%" in path:
        path = unescape(path.replace("+", "%2B"))
    return normalise(path) if "//" in path or "/." in path else path


def read(exchange: Exchange, name: str) -> Any:
    """The value of `$name`: text, or None for a variable that does not exist or has no value."""
    reader = _READERS.get(name)
    if reader is not None:
        return reader(exchange)
    if name.startswith("http_"):
        return exchange.request.variable(name[5:])
    if name.startswith("arg_"):
        return _argument(exchange.args or "", name[4:])
    if name.startswith("upstream_http_"):
        return exchange.upstream_headers.variable(name[14:])
    if name.startswith("sent_http_"):
        return exchange.response.variable(name[10:])
    if name.startswith("cookie_"):
        return _cookie(exchange, name[7:])
    return None


def _argument(query: str, name: str) -> str | None:
    for part in query.split("&"):
        key, equals, value = part.partition("=")
        if equals and key.lower() == name.lower():
            return value
    return None


def _cookie(exchange: Exchange, name: str) -> str | None:
    for line in exchange.request.get_all("cookie"):
        for part in line.split(";"):
            key, equals, value = part.strip().partition("=")
            if equals and key.lower() == name.lower():
                return value
    return None


_WRITABLE = {
    "args",
    "upstream_connection",
    "upstream_host",
    "upstream_scheme",
    "upstream_te",
    "upstream_upgrade",
    "upstream_uri",
    "upstream_via",
}


def write(exchange: Exchange, name: str, value: str | None) -> None:
    """`ngx.var[name] = value`."""
    if name in _WRITABLE:
        setattr(exchange, name, value or "")
    elif name.startswith("upstream_x_forwarded_"):
        exchange.x_forwarded[name[21:].capitalize()] = value or ""
    elif read(exchange, name) is None and name not in _READERS:
        raise LuaError(
            f'variable "{name}" not found for writing; maybe it is a built-in variable that is not '
            'changeable or you forgot to use "set $' + name + " '';\" in the config file to define it first"
        )
    else:
        raise _read_only(name)


_CONTEXT: dict[str, Callable[[Exchange], Any]] = {
    "KONG_EXITED": lambda e: e.exited or None,
    "KONG_PHASE": lambda e: e.phase,
    "KONG_PROCESSING_START": lambda e: e.started,
    "KONG_PROXIED": lambda e: e.proxied or None,
    "KONG_PROXY_LATENCY": lambda e: e.proxy_latency,
    "KONG_RESPONSE_LATENCY": lambda e: e.response_latency,
    "KONG_UNEXPECTED": lambda e: e.errored or None,
    "KONG_WAITING_TIME": lambda e: e.waiting_time,
    "authenticated_consumer": lambda e: e.consumer,
    "authenticated_credential": lambda e: e.credential,
    "balancer_data": lambda e: _target(e),
    "buffered_body": lambda e: e.service_body,
    "buffered_headers": lambda e: _captured_headers(e),
    "buffered_status": lambda e: e.service_status,
    "host_port": lambda e: e.port,
    "plugin_id": lambda e: e.plugin.id if e.plugin is not None else None,
    "request_uri": lambda e: e.request_uri,
    "route": lambda e: e.route.as_dict() if e.route is not None else None,
    "scheme": lambda e: e.scheme,
    "service": lambda e: e.service.as_dict() if e.service is not None else None,
    "workspace": lambda e: e.worker.workspace_id,
}


def _target(exchange: Exchange) -> dict[str, Any] | None:
    """Where the request goes, as Kong's `balancer_data` says it. A copy: `kong.service.set_target` changes it."""
    if "__target" in exchange.ctx:
        host, port = exchange.ctx["__target"]
    elif exchange.service is not None:
        host, port = exchange.service.host, exchange.service.port
    else:
        return None
    return {"host": host, "port": port}


# Entries of `ngx.ctx` that Kong, and this gateway in its place, keeps for itself.
GATEWAY_KEYS = frozenset(
    (
        *_CONTEXT,
        *("__nginx_request_id", "__printed", "__target", "buffered_proxying", "cached_request_headers"),
    )
)


def context(exchange: Exchange, key: Any) -> Any:
    """`ngx.ctx[key]`: what a plugin put there, or what Kong keeps there."""
    if key in exchange.ctx:
        return exchange.ctx[key]
    if exchange.lua is not None and key not in GATEWAY_KEYS:
        return exchange.lua.get_context(key)
    reader = _CONTEXT.get(key) if isinstance(key, str) else None
    return reader(exchange) if reader is not None else None


def set_context(exchange: Exchange, key: Any, value: Any) -> None:
    if key == "authenticated_consumer":
        exchange.consumer = value
    elif key == "authenticated_credential":
        exchange.credential = value
    elif exchange.lua is not None and key not in GATEWAY_KEYS:
        exchange.lua.set_context(key, value)
    elif value is None:
        exchange.ctx.pop(key, None)
    else:
        exchange.ctx[key] = value
