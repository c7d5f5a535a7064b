"""The plugin alone, with a PDK that records: how many calls a request costs, and what is logged of it."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any

import pytest
from yeastar_adapter.futuresms.merchant import LoginRefused, Unreachable
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.observability.logs import JsonFormatter, TextFormatter
from yeastar_adapter.plugin import Plugin

KEY = "ystr_test_acme_manila_0123456789"
BASE = "/api/v1/integration/yeastar/sms"
MESSAGE = {"from": "+63280000001", "to": "+639171234567", "text": "Your table is ready"}
ACCEPTED = json.dumps({"data": {"order_id": "SDPS1"}}).encode()


class Exited(BaseException):
    """What `kong.response.exit` does to a handler."""


class Kong:
    """Kong's side of the PDK for one request. `calls`: the names of all calls; `answer`: what exit was given."""

    def __init__(self, line: str, body: bytes = b"", key: str | None = KEY) -> None:
        self.line, self.sent_body, self.key = line, body, key
        self.status, self.upstream_body = 202, ACCEPTED
        self.has_reader = True
        self.calls: list[str] = []
        self.answer: tuple[int, str, dict[str, str]] | None = None
        self.upstream: dict[str, Any] = {}
        self._name = ""

    def __getattr__(self, name: str) -> Any:
        return _Path(self, name)

    def call(self, name: str, *arguments: Any) -> Any:
        self.calls.append(name)
        if name == "response.exit":
            self.answer = arguments  # type: ignore[assignment]
            raise Exited
        if name == "request.get_header":
            return self.upstream.get("Authorization") or (self.key and f"Bearer {self.key}")
        if name == "nginx.get_ctx":
            read = {"line": self.line, "body": self.sent_body.decode(), "id": "r-1"}
            return {**read, "authorization": f"Bearer {self.key}"} if self.has_reader else None
        if name == "nginx.get_var":
            return {"request": self.line, "kong_request_id": "r-1"}.get(arguments[0])
        if name in ("client.load_consumer", "client.get_consumer"):
            return {"id": "f70c4878", "username": "acme-manila"}
        if name == "router.get_service":
            return {"protocol": "http", "host": "futuresms", "port": 8080}
        if name == "service.request.set_headers":
            self.upstream |= arguments[0]
        if name == "service.request.set_raw_body":
            self.sent_body = arguments[0]
        return {
            "request.get_raw_body": self.sent_body,
            "service.response.get_status": self.status,
            "service.response.get_raw_body": self.upstream_body,
        }.get(name)


class _Path:
    def __init__(self, kong: Kong, name: str) -> None:
        self._kong, self._name = kong, name

    def __getattr__(self, name: str) -> _Path:
        return _Path(self._kong, f"{self._name}.{name}")

    def __call__(self, *arguments: Any) -> Any:
        return self._kong.call(self._name, *arguments)


def run(plugin: Plugin, kong: Kong, *phases: str) -> Kong:
    with contextlib.suppress(Exited):
        for phase in phases or ("access",):
            getattr(plugin, phase)(kong)
    return kong


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Plugin:
    monkeypatch.setattr(MerchantSession, "token", lambda self: "token-1")
    consumers = [{"username": "acme-manila", "api_keys": [KEY], "enabled": True}]
    return Plugin(
        {
            "route_id": "fd579e05",
            "consumers": consumers,
            "order": {"template_id": "TPL1", "sender_id": "SID-1"},
            "merchant": {"username": "u", "password": "p"},
            "rate_limit": {"policy": "local", "day": 1000},
            "log": {"level": "info"},
        }
    )


def send(**changes: Any) -> Kong:
    return Kong(f"POST {BASE}/sendmessage HTTP/1.1", json.dumps({**MESSAGE, **changes}).encode())


ACCEPTED_CALLS = [
    "client.authenticate",
    "service.request.set_headers",
    "service.request.set_raw_body",
    "service.request.set_path",
    "service.response.get_status",
    "service.response.get_raw_body",
    "response.exit",
]


def warmed(plugin: Plugin, has_reader: bool) -> Plugin:
    """An instance that has served once: consumer, service address and token are known."""
    kong = send()
    kong.has_reader = has_reader
    run(plugin, kong)
    return plugin


def test_an_accepted_message_costs_seven_calls_and_the_answer(plugin: Plugin) -> None:
    kong = run(warmed(plugin, True), send(), "access", "response")
    assert kong.calls == ["nginx.get_ctx", *ACCEPTED_CALLS]
    assert kong.answer is not None
    assert kong.answer[:2] == (200, '{"data": {"id": "SDPS1"}}')


def test_without_the_reader_it_costs_nine_calls_and_the_answer(plugin: Plugin) -> None:
    kong = run(warmed(plugin, False), send(), "access", "response")
    assert sorted(kong.calls) == sorted(
        ["request.get_header", "nginx.get_var", "request.get_raw_body", *ACCEPTED_CALLS]
    )
    assert kong.answer is not None
    assert kong.answer[:2] == (200, '{"data": {"id": "SDPS1"}}')


@pytest.mark.parametrize(("has_reader", "calls"), [(True, 2), (False, 3)])
def test_a_verify_costs_at_most_three_calls_and_the_answer(
    plugin: Plugin, has_reader: bool, calls: int
) -> None:
    kong = run(warmed(plugin, has_reader), Kong(f"GET {BASE}/verify HTTP/1.1"))
    assert kong.calls.pop() == "response.exit"
    assert len(kong.calls) == calls


@pytest.mark.parametrize(("has_reader", "calls"), [(True, 1), (False, 2)])
def test_a_refused_key_costs_at_most_two_calls_and_the_answer(
    plugin: Plugin, has_reader: bool, calls: int
) -> None:
    kong = run(warmed(plugin, has_reader), Kong(f"GET {BASE}/verify HTTP/1.1", key="nobody"))
    assert kong.calls.pop() == "response.exit"
    assert len(kong.calls) == calls


def test_the_path_is_set_last_because_the_guard_takes_it_for_acceptance(plugin: Plugin) -> None:
    assert run(plugin, send()).calls[-1] == "service.request.set_path"


def test_an_order_is_made_of_configuration_and_message_alone(plugin: Plugin) -> None:
    kong = run(plugin, send())
    order = json.loads(kong.sent_body)
    assert order.pop("client_order_id")
    assert order == {
        "phone_number": MESSAGE["to"],
        "template_id": "TPL1",
        "sender_id": "SID-1",
        "var": MESSAGE["text"],
    }
    assert kong.upstream["Authorization"] == "Bearer token-1"


def test_what_was_never_an_order_of_this_gateway_is_not_submitted_again(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit_again(*_: Any) -> Any:
        raise AssertionError("submitted")

    monkeypatch.setattr(MerchantSession, "submit_again", submit_again)
    kong = send()
    kong.status, kong.upstream_body = 401, b""
    run(plugin, kong, "response")
    assert kong.answer is not None
    assert kong.answer[0] == 500


@pytest.mark.parametrize(("failure", "status"), [(LoginRefused("no"), 403), (Unreachable("down"), 500)])
def test_without_a_session_nothing_is_forwarded(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int
) -> None:
    def token(self: MerchantSession) -> str:
        raise failure

    monkeypatch.setattr(MerchantSession, "token", token)
    kong = run(plugin, send())
    assert kong.answer is not None
    assert kong.answer[0] == status
    assert not [call for call in kong.calls if call.startswith("service.request")]


def fields(record: logging.LogRecord) -> dict[str, Any]:
    line = json.loads(JsonFormatter().format(record))
    assert isinstance(line, dict)
    return line


def test_a_refusal_is_one_line_that_tells_whom_why_and_how_long(
    plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run(plugin, send(text="x" * 2001))
    [record] = caplog.records
    line = fields(record)
    assert line["message"] == "refused: 'text' is longer than 2000 characters: it has 2001"
    assert (line["code"], line["status"], line["consumer"], line["request_id"]) == (
        "10002",
        400,
        "acme-manila",
        "r-1",
    )
    assert line["limiter_ms"] >= 0
    text = TextFormatter().format(record)
    assert text.startswith("INFO yeastar_adapter.requests: refused: 'text' is longer")
    assert "code=10002" in text


def test_a_failure_at_futuresms_is_one_line_with_order_and_upstream(
    plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kong = send()
    kong.status, kong.upstream_body = 503, json.dumps({"error_code": "BUSY", "request_id": "fs-1"}).encode()
    run(plugin, kong, "access", "response")
    [record] = caplog.records
    line = fields(record)
    assert record.levelno == logging.WARNING
    assert line["upstream_status"] == 503
    assert (line["upstream_code"], line["upstream_request_id"]) == ("BUSY", "fs-1")
    assert line["consumer"] == "acme-manila"
    assert line["recipient"] == "…4567"
    assert line["client_order_id"] in kong.sent_body.decode()


def test_an_accepted_message_is_no_line_unless_that_is_wanted(
    plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run(plugin, send(), "access", "response")
    assert caplog.records == []
    caplog.set_level(logging.DEBUG)
    run(plugin, send(), "access", "response")
    assert [record.getMessage() for record in caplog.records] == ["forwarded", "sent"]
    assert fields(caplog.records[1])["order_id"] == "SDPS1"


def test_keys_tokens_texts_and_full_numbers_are_in_no_line(
    plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for kong in (
        send(),
        send(text=""),
        send(to="+63917123456700"),
        Kong("GET /verify", key="guess-of-a-stranger"),
    ):
        run(plugin, kong, "access", "response")
    lines = "\n".join(TextFormatter().format(record) for record in caplog.records)
    assert lines
    for secret in (KEY, "token-1", MESSAGE["text"], "639171234567", "63280000001", "guess-of-a-stranger"):
        assert secret not in lines
