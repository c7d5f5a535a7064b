"""key-auth: a key in a header or the query string stands for a consumer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kong.embedded import values
from kong.embedded.pdk import client, request, response, service
from kong.embedded.phases import LuaError
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange

_HEADERS = {"id": "X-Consumer-ID", "custom_id": "X-Consumer-Custom-ID", "username": "X-Consumer-Username"}
_CREDENTIAL = "X-Credential-Identifier"
_ANONYMOUS = "X-Anonymous-Consumer"


class KeyAuth(BundledPlugin):
    name = "key-auth"
    priority = 1250

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        if config.get("key_in_body"):
            raise LuaError("config.key_in_body of key-auth is not supported by the embedded gateway")
        if not config.get("run_on_preflight", True) and exchange.method == "OPTIONS":
            return
        anonymous = config.get("anonymous")
        if anonymous and exchange.credential:
            return
        refusal = self._authenticate(exchange, config)
        if refusal is None:
            return
        if anonymous:
            self._set_consumer(exchange, client.load_consumer(exchange, values.narrow(anonymous), True), None)
            return
        realm = config.get("realm")
        scheme = f'Key realm="{realm}"' if realm else "Key"
        response.error(exchange, 401, refusal, {"WWW-Authenticate": values.narrow(scheme)})

    def _authenticate(self, exchange: Exchange, config: Mapping[str, Any]) -> str | None:
        """None, or why the request is not authenticated."""
        key: Any = None
        for name in config.get("key_names") or ():
            found = self._find(exchange, config, name)
            if isinstance(found, str):
                key = found
                if config.get("hide_credentials"):
                    self._hide(exchange, name)
                break
            if found is not None and found is not True:
                return "Duplicate API key found"
        if not key:
            return "No API key found in request"
        configuration = exchange.worker.configuration
        credential = configuration.key_auth_credential(values.widen(key))
        if credential is None:
            return "Unauthorized"
        consumer = configuration.consumer(credential.consumer_id)
        known = values.narrow(consumer.as_dict()) if consumer is not None else None
        self._set_consumer(exchange, known, values.narrow(credential.as_dict()))
        return None

    def _find(self, exchange: Exchange, config: Mapping[str, Any], name: str) -> Any:
        found: Any = None
        if config.get("key_in_header", True):
            lines = exchange.request.get_all(name)
            found = lines[0] if len(lines) == 1 else lines or None
        if not found and config.get("key_in_query", True):
            found = request.get_query(exchange).get(name)
        return found

    def _hide(self, exchange: Exchange, name: str) -> None:
        service.clear_query_arg(exchange, name)
        service.clear_header(exchange, name)

    def _set_consumer(self, exchange: Exchange, consumer: Any, credential: Any) -> None:
        client.authenticate(exchange, consumer, credential)
        for field, header in _HEADERS.items():
            value = consumer.get(field) if consumer else None
            if value:
                service.set_header(exchange, header, value)
            else:
                service.clear_header(exchange, header)
        if credential:
            service.set_header(exchange, _CREDENTIAL, credential["id"])
            service.clear_header(exchange, _ANONYMOUS)
        else:
            service.clear_header(exchange, _CREDENTIAL)
            service.set_header(exchange, _ANONYMOUS, True)
