"""How a decision is carried out: the PDK calls that a request costs, and what is in them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.handler import SPEC, Plugin

from tests.harness.reader import NONCE, VERIFY, answered, left

KEY = "ystr_test_acme_manila_0123456789"


class Exited(BaseException):
    """What `kong.response.exit` does to a handler."""


class Kong:
    """Kong's PDK for one request. `calls`: name and arguments of all calls."""

    def __init__(self, request: Any, answer: Any = None) -> None:
        self._answers = {
            "ctx.shared.get": request,
            "yeastar.upstream_answer": answer,
            "yeastar.load_consumer": {"consumer": {"id": "f70c4878", "username": "acme-manila"}},
        }
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> _Name:
        return _Name(self, name)

    def call(self, name: str, *arguments: Any) -> Any:
        self.calls.append((name, arguments))
        if name == "response.exit":
            raise Exited
        return self._answers.get(name)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def arguments(self, name: str) -> tuple[Any, ...]:
        [found] = [arguments for called, arguments in self.calls if called == name]
        return found


class _Name:
    def __init__(self, kong: Kong, name: str) -> None:
        self._kong, self._name = kong, name

    def __getattr__(self, name: str) -> _Name:
        return _Name(self._kong, f"{self._name}.{name}")

    def __call__(self, *arguments: Any) -> Any:
        return self._kong.call(self._name, *arguments)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """An instance that has served once, so that it knows its consumer."""
    monkeypatch.setattr(MerchantSession, "token", lambda self: "token-1")
    plugin = Plugin(
        {
            "route_id": "fd579e05",
            "consumers": [{"username": "acme-manila", "api_keys": [KEY], "enabled": True}],
            "order": {"template_id": "TPL1", "sender_id": "SID-1"},
            "merchant": {"username": "u", "password": "p"},
            "rate_limit": {"policy": "local", "day": 1000},
        }
    )
    run(plugin, "access", Kong(left(key=KEY)))
    return plugin


def run(plugin: Plugin, phase: str, kong: Kong) -> Kong:
    with contextlib.suppress(Exited):
        getattr(plugin, phase)(kong)
    return kong


def round_trips(*phases: Kong) -> int:
    """HandleEvent and a step for each PDK call but those that end the event."""
    last = {"response.exit", *(name.removeprefix("kong.") for name in SPEC.last_calls)}
    return sum(1 + len([name for name in kong.names if name not in last]) for kong in phases)


def test_an_accepted_message_costs_four_round_trips(plugin: Plugin) -> None:
    access = run(plugin, "access", Kong(left(key=KEY)))
    response = run(plugin, "response", Kong(None, answered()))
    assert access.names == ["ctx.shared.get", "yeastar.forward"]
    assert response.names == ["yeastar.upstream_answer", "response.exit"]
    assert round_trips(access, response) == 4


@pytest.mark.parametrize(
    "request_left",
    [left(VERIFY, b"", KEY), left(message={}, key=KEY), left(key="x" * 30), None],
    ids=["verify", "bad message", "stranger", "no reader"],
)
def test_a_refusal_or_a_verify_costs_at_most_four_round_trips(plugin: Plugin, request_left: Any) -> None:
    kong = run(plugin, "access", Kong(request_left))
    assert kong.names[-1] == "response.exit"
    assert round_trips(kong) <= 4


def test_the_guard_is_handed_the_order_under_the_nonce_of_the_request(plugin: Plugin) -> None:
    kong = run(plugin, "access", Kong(left(key=KEY)))
    interface, nonce, path, token, body, consumer, order_id, headers, known, credential_id = kong.arguments(
        "yeastar.forward"
    )
    assert (interface, nonce, path, token, consumer) == (
        1, NONCE, "/api/v1/sms/sends", "token-1", "acme-manila",
    )  # fmt: skip
    assert order_id in body.decode()
    assert headers == {}
    assert known == {"id": "f70c4878", "username": "acme-manila"}
    assert credential_id == "acme-manila/api_keys/1"


@pytest.mark.parametrize("key", [KEY, "x" * 30])
def test_an_answer_is_signed_with_the_nonce_of_the_request(plugin: Plugin, key: str) -> None:
    kong = run(plugin, "access", Kong(left(VERIFY, b"", key)))
    _, _, headers = kong.arguments("response.exit")
    assert headers["X-Yeastar-Adapter"] == NONCE
    assert headers["Content-Type"] == "application/json"


def test_without_the_reader_there_is_nothing_to_sign_with(plugin: Plugin) -> None:
    status, _, headers = run(plugin, "access", Kong(None)).arguments("response.exit")
    assert status == 500
    assert "X-Yeastar-Adapter" not in headers


def test_kong_is_told_the_consumer_before_a_refusal_too(plugin: Plugin) -> None:
    kong = run(plugin, "access", Kong(left(message={}, key=KEY)))
    assert kong.names == ["ctx.shared.get", "client.authenticate", "response.exit"]
    consumer, credential = kong.arguments("client.authenticate")
    assert consumer["username"] == "acme-manila"
    assert KEY not in str(credential)
