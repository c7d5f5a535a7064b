"""Kong's side of the PDK, in process: one request, and what the plugin makes of it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from yeastar_adapter.plugin import Plugin

from tests.harness.pbx import Answer, violations

KEY = "ystr_test_acme_manila_0123456789"
SEND = "POST /api/v1/integration/yeastar/sms/sendmessage HTTP/1.1"


class Exited(BaseException):
    """What `kong.response.exit` does to a handler."""


class Kong:
    """One request. `line`, `authorization` and `body` are as the engine brings them: text where Kong sends text.

    `wait` is the `Retry-After` of FutureSMS's answer.
    """

    def __init__(
        self, line: str, body: Any, authorization: Any = f"Bearer {KEY}", *, reader: bool = True
    ) -> None:
        self.line, self.body, self.authorization, self.reader = line, body, authorization, reader
        self.status: Any = 202
        self.upstream_body: Any = b""
        self.wait: Any = None
        self.path: str | None = None
        self.headers: dict[str, str] = {}
        self.consumer: dict[str, Any] | None = None
        self.credential: dict[str, Any] | None = None
        self.exits: list[tuple[int, str, dict[str, str]]] = []
        self.calls = 0

    def __getattr__(self, name: str) -> _Name:
        return _Name(self, name)

    def call(self, name: str, *arguments: Any) -> Any:
        assert not self.exits, f"{name} after the last answer"
        self.calls += 1
        method = getattr(type(self), "do_" + name.replace(".", "_"), None)
        assert method is not None, f"{name} is not a call that the adapter is known to make"
        return method(self, *arguments)

    def run(self, plugin: Plugin, phase: str) -> Kong:
        with contextlib.suppress(Exited):
            getattr(plugin, phase)(self)
        return self

    @property
    def answer(self) -> Answer:
        """The plugin's own answer, which must be in the contract's form."""
        [(status, body, given)] = self.exits
        headers = {name.lower(): value for name, value in given.items()}
        assert headers.pop("x-yeastar-adapter") == "1", (
            "the guard would not know the answer for the adapter's"
        )
        assert all(value.isascii() and value.isprintable() for value in headers.values())
        answer = Answer(status, headers, body.encode("ascii"), json.loads(body))
        assert violations(answer) == []
        return answer

    # The calls.

    def do_response_exit(self, *arguments: Any) -> None:
        self.exits.append(arguments)  # type: ignore[arg-type]
        raise Exited

    def do_response_set_headers(self, headers: dict[str, str]) -> None:
        assert all(value.isascii() and value.isprintable() for value in headers.values())

    def do_nginx_get_ctx(self, name: str) -> Any:
        if name != "yeastar_request" or not self.reader:
            return None
        found = {"line": self.line, "authorization": self.authorization, "body": self.body, "id": "r-1"}
        return {name: value for name, value in found.items() if value is not None}

    def do_nginx_get_var(self, name: str) -> Any:
        return {"request": self.line, "kong_request_id": "r-1"}.get(name)

    def do_request_get_header(self, name: str) -> Any:
        return self.headers.get("Authorization", self.authorization)

    def do_request_get_raw_body(self, _limit: int) -> Any:
        return self.body

    def do_client_load_consumer(self, username: str, _by_name: bool) -> Any:
        return {"id": "f70c4878", "username": username}

    def do_client_authenticate(self, consumer: dict[str, Any], _credential: Any) -> None:
        self.consumer = consumer

    def do_client_get_credential(self) -> Any:
        return self.credential

    def do_client_get_consumer(self) -> Any:
        return self.consumer

    def do_router_get_service(self) -> Any:
        return {"protocol": "http", "host": "futuresms", "port": 8080}

    def do_service_request_set_headers(self, headers: dict[str, str]) -> None:
        self.headers |= headers

    def do_service_request_set_raw_body(self, body: bytes) -> None:
        self.body = body

    def do_service_request_set_raw_query(self, _query: str) -> None:
        pass

    def do_service_request_set_path(self, path: str) -> None:
        self.path = path

    def do_service_response_get_status(self) -> Any:
        return self.status

    def do_service_response_get_raw_body(self) -> Any:
        return self.upstream_body

    def do_service_response_get_header(self, _name: str) -> Any:
        return self.wait


class _Name:
    def __init__(self, kong: Kong, name: str) -> None:
        self._kong, self._name = kong, name

    def __getattr__(self, name: str) -> _Name:
        return _Name(self._kong, f"{self._name}.{name}")

    def __call__(self, *arguments: Any) -> Any:
        return self._kong.call(self._name, *arguments)


def as_kong_sends(raw: bytes | None) -> str | None:
    """Bytes of a Lua string, as they arrive in the plugin: text, with what is not UTF-8 as lone surrogates."""
    return None if raw is None else raw.decode("utf-8", "surrogateescape")
