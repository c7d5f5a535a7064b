"""kong.log: the error log, and the record that logging plugins write."""

from __future__ import annotations

from typing import Any

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange, now_ms
from kong.embedded.pdk import variables
from kong.embedded.pdk.registry import pdk
from kong.embedded.pdk.request import decode_args
from kong.embedded.phases import LuaError
from kong.embedded.values import Array, is_string, narrow, text, tostring


def write(exchange: Exchange, level: str, args: tuple[Any, ...]) -> None:
    log = exchange.worker.log
    if not log.enabled(level):
        return
    name = exchange.plugin.name if exchange.plugin is not None else "kong"
    words = (
        "".join(tostring(arg) for arg in args)
        .encode("latin-1", "replace")
        .decode("utf-8", "backslashreplace")
    )
    log.write(
        level,
        f"[{name}] {words}, client: {exchange.remote_addr}, server: kong, "
        f'request: "{exchange.request_line}", request_id: "{exchange.request_id}"',
    )


def _level(name: str, level: str) -> None:
    @pdk(f"kong.log.{name}", phases.ANY)
    def call(exchange: Exchange, *args: Any) -> None:
        if not args and exchange.worker.log.enabled(level):
            raise LuaError("bad argument #1 to 'select' (number expected, got no value)")
        write(exchange, level, args)


for _name in ("debug", "info", "notice", "warn", "err", "crit", "alert", "emerg"):
    _level(_name, _name)
_level("inspect", "debug")
_level("deprecation", "warn")


@pdk("kong.log.set_serialize_value", phases.ANY)
def set_serialize_value(
    exchange: Exchange, key: Any = None, value: Any = None, options: Any = None, *_: Any
) -> None:
    if not is_string(key):
        raise LuaError("key must be a string")
    mode = "set"
    if isinstance(options, dict) and options.get("mode") is not None:
        mode = tostring(options["mode"])
    if mode not in ("set", "add", "replace"):
        raise LuaError("mode must be 'set', 'add' or 'replace'")
    exchange.serialize_values.append((text(key), value, mode))


@pdk("kong.log.serialize", phases.LOG)
def serialize(exchange: Exchange, *_: Any) -> dict[str, Any]:
    """The record of one request as file-log and its like write it."""
    request_headers = exchange.request.table()
    for secret in ("authorization", "proxy-authorization"):
        if secret in request_headers:
            request_headers[secret] = "REDACTED"
    response_headers = exchange.response.table()
    response_headers["connection"] = "keep-alive" if exchange.keepalive else "close"
    uri = exchange.ctx.get("request_uri", exchange.request_uri)
    root: dict[str, Any] = {
        "request": {
            "id": exchange.request_id,
            "uri": uri,
            "url": f"{exchange.scheme}://{exchange.host}:{exchange.port}{uri}",
            "querystring": decode_args(exchange.args or ""),
            "method": exchange.method,
            "headers": request_headers,
            "size": exchange.request_length,
        },
        "upstream_uri": variables.read(exchange, "upstream_uri") or "",
        "upstream_status": exchange.upstream_status or exchange.service_status or "",
        "response": {"status": exchange.status, "headers": response_headers, "size": exchange.bytes_sent},
        "latencies": latencies(exchange),
        "tries": Array(exchange.tries) if exchange.route is not None else None,
        "authenticated_entity": _authenticated_entity(exchange),
        "route": narrow(exchange.route.as_dict()) if exchange.route is not None else None,
        "service": narrow(exchange.service.as_dict()) if exchange.service is not None else None,
        "consumer": exchange.consumer,
        "client_ip": exchange.remote_addr,
        "started_at": exchange.started,
        "source": {"service": "upstream", "exit": "kong", "error": "kong"}[exchange.source],
        "workspace": exchange.worker.workspace_id,
        "workspace_name": "default",
    }
    root = {key: value for key, value in root.items() if value is not None}
    for key, value, mode in exchange.serialize_values:
        _edit(root, key, value, mode)
    return root


def latencies(exchange: Exchange) -> dict[str, int]:
    """Where the time went, in milliseconds; `proxy` is -1 for a request that was not proxied."""
    latency = exchange.proxy_latency if exchange.proxy_latency is not None else exchange.response_latency
    return {
        "kong": latency or 0,
        "proxy": exchange.waiting_time if exchange.waiting_time is not None else -1,
        "request": (exchange.finished_at or now_ms()) - exchange.started,
        "receive": exchange.receive_time or 0,
    }


def _authenticated_entity(exchange: Exchange) -> dict[str, Any] | None:
    credential = exchange.credential
    if not isinstance(credential, dict):
        return None
    entity = {"id": credential.get("id"), "consumer_id": credential.get("consumer_id")}
    return {key: value for key, value in entity.items() if value is not None}


def _edit(root: dict[str, Any], key: str, value: Any, mode: str) -> None:
    *parents, last = key.split(".")
    node: Any = root
    for name in parents:
        child = node.get(name)
        if child is None:
            if mode == "replace":
                return
            child = node[name] = {}
        elif not isinstance(child, dict):
            raise LuaError(
                f"The key '{key}' could not be used as a serialize value. Subkey '{name}' is not a table. "
                f"It's {tostring(child)}"
            )
        node = child
    present = node.get(last)
    if mode == "set" or (mode == "add" and present is None) or (mode == "replace" and present is not None):
        if value is None:
            node.pop(last, None)
        else:
            node[last] = value
