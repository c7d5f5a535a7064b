"""kong.log: the error log, and where a request's time went."""

from __future__ import annotations

from typing import Any

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange, now_ms
from kong.embedded.pdk.registry import pdk
from kong.embedded.phases import LuaError
from kong.embedded.values import is_string, tostring


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
    context = (
        "context: init_worker_by_lua*"
        if exchange.phase == phases.INIT_WORKER
        else f"client: {exchange.remote_addr}, server: kong, "
        f'request: "{exchange.request_line}", request_id: "{exchange.request_id}"'
    )
    log.write(level, f"[{name}] {words}, {context}")


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
def set_serialize_value(_exchange: Exchange, key: Any = None, *_: Any) -> None:
    """Nothing comes of it: no plugin here writes the record that it is for."""
    if not is_string(key):
        raise LuaError("key must be a string")


def latencies(exchange: Exchange) -> dict[str, int]:
    """Where the time went, in milliseconds; `proxy` is -1 for a request that was not proxied."""
    latency = exchange.proxy_latency if exchange.proxy_latency is not None else exchange.response_latency
    return {
        "kong": latency or 0,
        "proxy": exchange.waiting_time if exchange.waiting_time is not None else -1,
        "request": (exchange.finished_at or now_ms()) - exchange.started,
        "receive": exchange.receive_time or 0,
    }
