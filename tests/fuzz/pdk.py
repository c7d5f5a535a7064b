"""Kong's side of the PDK, in process: one request, and what the plugin makes of it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from yeastar_adapter.handler import Plugin

from tests.harness.pbx import Answer, violations
from tests.harness.reader import NONCE, answered, left

KEY = "ystr_test_acme_manila_0123456789"
SEND = "POST /api/v1/integration/yeastar/sms/sendmessage HTTP/1.1"


class Exited(BaseException):
    """What a last call does to a handler."""


class Kong:
    """One request, with reader and guard on its route. Text is as the engine brings it: what is not UTF-8 as lone
    surrogates.

    `wait` is the `Retry-After` of FutureSMS's answer.
    """

    def __init__(self, line: str, body: Any, authorization: Any = f"Bearer {KEY}") -> None:
        self.line, self.body, self.authorization = line, body, authorization
        self.status: Any = 202
        self.upstream_body: Any = b""
        self.wait: Any = None
        self.decision: dict[str, Any] | None = None
        self.consumer: dict[str, Any] | None = None
        self.credential = False
        self.exits: list[tuple[int, str, dict[str, str]]] = []
        self.calls = 0

    @property
    def path(self) -> str | None:
        """Where the order goes; None without one."""
        return self.decision["path"] if self.decision else None

    @property
    def order(self) -> bytes:
        """The order that the guard was handed."""
        assert self.decision is not None
        body: bytes = self.decision["body"]
        return body

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
        signature = headers.pop("x-yeastar-adapter")
        assert signature == NONCE, "the guard would not know the answer for the adapter's"
        assert all(value.isascii() and value.isprintable() for value in headers.values())
        answer = Answer(status, headers, body.encode("ascii"), json.loads(body))
        assert violations(answer) == []
        return answer

    # The calls.

    def do_response_exit(self, *arguments: Any) -> None:
        self.exits.append(arguments)  # type: ignore[arg-type]
        raise Exited

    def do_ctx_shared_get(self, name: str) -> Any:
        assert name == "yeastar_request"
        known: dict[str, Any] = (
            {"authorization": self.authorization} if self.authorization is not None else {}
        )
        known |= {"consumer": self.consumer, "credential": self.credential}
        return left(self.line, b"", body=self.body, body_bytes=len(self.body), **known)

    def do_yeastar_forward(
        self, interface: int, nonce: str, path: str, token: str, body: bytes, *more: Any
    ) -> None:
        assert (interface, nonce) == (1, NONCE)
        self.decision = {"path": path, "token": token, "body": body}
        raise Exited

    def do_yeastar_upstream_answer(self) -> Any:
        order = self.decision or {}
        changes = {"retry_after": self.wait, "token": order.get("token", ""), "body": self.upstream_body}
        answer = answered(self.status, b"", json.loads(order.get("body", b"{}")))
        return {**answer, **changes, "carried": self.decision is not None}

    def do_yeastar_load_consumer(self, username: str) -> Any:
        return {"consumer": {"id": "f70c4878", "username": username}}

    def do_client_authenticate(self, consumer: dict[str, Any], _credential: Any) -> None:
        self.consumer = consumer


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
