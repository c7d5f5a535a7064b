"""kong.node, kong.plugin, kong.router, kong.ip, kong.nginx and kong.ctx: where a plugin runs and what it keeps."""

from __future__ import annotations

from typing import Any

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk import variables
from kong.embedded.pdk.client import AUTHENTICATED
from kong.embedded.pdk.registry import pdk
from kong.embedded.phases import LuaError
from kong.embedded.values import is_number, is_string, narrow, text


@pdk("kong.node.get_id", phases.ANY)
def get_id(exchange: Exchange, *_: Any) -> str:
    return exchange.worker.node_id


@pdk("kong.plugin.get_id", phases.ANY)
def get_plugin_id(exchange: Exchange, *_: Any) -> str | None:
    return exchange.plugin.id if exchange.plugin is not None else None


@pdk("kong.router.get_route", AUTHENTICATED)
def get_route(exchange: Exchange, *_: Any) -> Any:
    return narrow(exchange.route.as_dict()) if exchange.route is not None else None


@pdk("kong.router.get_service", AUTHENTICATED)
def get_service(exchange: Exchange, *_: Any) -> Any:
    return narrow(exchange.service.as_dict()) if exchange.service is not None else None


@pdk("kong.nginx.get_var", phases.ANY)
def get_var(exchange: Exchange, name: Any = None, *_: Any) -> Any:
    if is_number(name):  # a capture of a regular expression, of which there is none
        return None
    if not is_string(name):
        raise LuaError("bad variable name")
    return variables.read(exchange, text(name))


@pdk("kong.nginx.get_ctx", phases.ANY)
def get_ctx(exchange: Exchange, key: Any = None, *_: Any) -> Any:
    return variables.context(exchange, key)


@pdk("kong.nginx.set_ctx", phases.ANY)
def set_ctx(exchange: Exchange, key: Any = None, value: Any = None, *_: Any) -> None:
    variables.set_context(exchange, key, value)


@pdk("kong.ctx.shared.get", phases.ANY)
def get_shared(exchange: Exchange, key: Any = None, *_: Any) -> Any:
    if exchange.lua is not None:
        return exchange.lua.get_shared(key)
    return exchange.ctx_shared.get(key)


@pdk("kong.ctx.shared.set", phases.ANY)
def set_shared(exchange: Exchange, key: Any = None, value: Any = None, *_: Any) -> None:
    if exchange.lua is not None:
        exchange.lua.set_shared(key, value)
    else:
        exchange.ctx_shared[key] = value
