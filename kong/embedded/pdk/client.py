"""kong.client: who calls."""

from __future__ import annotations

import re
from typing import Any

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.pdk.registry import pdk
from kong.embedded.phases import LuaError
from kong.embedded.values import is_string, is_table, narrow, text, widen

AUTHENTICATED = phases.ACCESS | phases.HEADER_FILTER | phases.RESPONSE | phases.BODY_FILTER | phases.LOG
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@pdk("kong.client.get_ip", phases.ANY)
def get_ip(exchange: Exchange, *_: Any) -> str:
    return exchange.remote_addr


@pdk("kong.client.get_forwarded_ip", phases.ANY)
def get_forwarded_ip(exchange: Exchange, *_: Any) -> str:
    return exchange.remote_addr


@pdk("kong.client.get_credential", AUTHENTICATED)
def get_credential(exchange: Exchange, *_: Any) -> Any:
    return exchange.credential


@pdk("kong.client.get_consumer", AUTHENTICATED)
def get_consumer(exchange: Exchange, *_: Any) -> Any:
    return exchange.consumer


@pdk("kong.client.load_consumer", AUTHENTICATED)
def load_consumer(
    exchange: Exchange, consumer_id: Any = None, search_by_username: Any = None, *_: Any
) -> dict[str, Any] | None:
    if not is_string(consumer_id):
        raise LuaError("consumer_id must be a string")
    name = text(consumer_id)
    if not _UUID.fullmatch(name) and not search_by_username:
        raise LuaError("cannot load a consumer with an id that is not a uuid")
    consumer = exchange.worker.configuration.consumer(widen(name), bool(search_by_username))
    return narrow(consumer.as_dict()) if consumer is not None else None


@pdk("kong.client.authenticate", phases.ACCESS)
def authenticate(exchange: Exchange, consumer: Any = None, credential: Any = None, *_: Any) -> None:
    if consumer is not None and not is_table(consumer):
        raise LuaError("consumer must be a table or nil")
    if credential is not None and not is_table(credential):
        raise LuaError("credential must be a table or nil")
    if consumer is None and credential is None:
        raise LuaError("either credential or consumer must be provided")
    exchange.consumer = consumer
    exchange.credential = credential


def consumer_id(exchange: Exchange) -> str | None:
    """The id that plugin scopes are chosen by."""
    consumer = exchange.consumer
    value = consumer.get("id") if isinstance(consumer, dict) else None
    return text(value) if isinstance(value, (str, bytes)) else None
