"""The adapter's decisions: a request in, an order or a reply out."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from yeastar_adapter import plugin
from yeastar_adapter.decision import Forward, Reply
from yeastar_adapter.futuresms.answer import Answer
from yeastar_adapter.futuresms.merchant import LoginRefused, Unreachable
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.integration import Integration
from yeastar_adapter.observability.logs import JsonFormatter, TextFormatter
from yeastar_adapter.plugin import Adapter

from tests.harness.reader import MESSAGE, SEND, SERVICE, VERIFY, answered, left

KEY = "ystr_test_acme_manila_0123456789"
OFF_KEY = "ystr_test_globex_cebu_0123456789"
ENTITY = {"id": "f70c4878", "username": "acme-manila"}


def adapter(**changes: Any) -> Adapter:
    consumers = [
        {"username": "acme-manila", "api_keys": [KEY], "enabled": True},
        {"username": "globex-cebu", "api_keys": [OFF_KEY], "enabled": False},
    ]
    config = {
        "route_id": "fd579e05",
        "consumers": consumers,
        "order": {"template_id": "TPL1", "sender_id": "SID-1"},
        "merchant": {"username": "u", "password": "p"},
        "rate_limit": {"policy": "local", "day": 1000},
        "log": {"level": "info"},
        **changes,
    }
    return Adapter(Integration(config))


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that has a token."""
    monkeypatch.setattr(MerchantSession, "token", lambda self: "token-1")


def access(request: Any, by: Adapter | None = None, consumers: Any = (ENTITY,)) -> Forward | Reply:
    known = {consumer["username"]: consumer for consumer in consumers}
    return (by or adapter()).access(request, known.get)


def code(decision: Forward | Reply) -> str | None:
    """Yeastar's code of an error; None for anything else."""
    if isinstance(decision, Forward) or decision.status == 200:
        return None
    found: str = json.loads(decision.body)["errors"][0]["code"]
    return found


def test_an_order_is_made_of_configuration_and_message_alone() -> None:
    decision = access(left(key=KEY))
    assert isinstance(decision, Forward)
    order = json.loads(decision.order.body)
    assert order.pop("client_order_id") == decision.order.client_order_id
    assert order == {
        "phone_number": MESSAGE["to"],
        "template_id": "TPL1",
        "sender_id": "SID-1",
        "var": MESSAGE["text"],
    }
    assert (decision.path, decision.token, decision.consumer) == (
        "/api/v1/sms/sends",
        "token-1",
        "acme-manila",
    )


def test_a_good_key_is_verified() -> None:
    decision = access(left(VERIFY, b"", KEY))
    assert isinstance(decision, Reply)
    assert (decision.status, json.loads(decision.body)) == (200, {"data": {"status": "ok"}})


@pytest.mark.parametrize("nothing", [None, "", 7, []])
def test_without_the_reader_nothing_is_decided_but_a_refusal(
    nothing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert code(access(nothing)) == "10007"
    assert code(adapter().response(nothing)) == "10007"
    assert "yeastar-reader has not run" in caplog.text


@pytest.mark.parametrize("interface", [None, 0, 2, "1"])
def test_a_reader_of_another_interface_is_refused_and_named(
    interface: Any, caplog: pytest.LogCaptureFixture
) -> None:
    request = left(key=KEY, interface=interface)
    assert code(access(request)) == "10007"
    assert code(adapter().response(answered(interface=interface))) == "10007"
    assert "yeastar-reader is of another version" in caplog.text


def test_whom_kong_is_to_know_goes_with_every_decision_about_a_consumer() -> None:
    for request in (left(key=KEY), left(VERIFY, b"", KEY), left(message={"from": "x"}, key=KEY)):
        identity = access(request).identity
        assert identity is not None
        assert identity.consumer == ENTITY
    assert access(left(key="x" * 30)).identity is None
    assert access(left(key=OFF_KEY)).identity is None


def test_a_consumer_that_kong_does_not_have_may_send_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert code(access(left(key=KEY), consumers=())) == "10005"
    assert "Kong has no consumer 'acme-manila'" in caplog.text


def test_a_switched_off_consumer_is_refused_before_its_rate_is_counted() -> None:
    by = adapter(rate_limit={"policy": "local", "day": 1})
    entity = {**ENTITY, "username": "globex-cebu"}
    decisions = [access(left(key=OFF_KEY), by, consumers=[entity]) for _ in range(3)]
    assert [code(decision) for decision in decisions] == ["10005"] * 3


def test_a_body_that_the_reader_did_not_hand_over_is_too_long() -> None:
    request = left(key=KEY)
    decision = access({**request, "body": None, "body_bytes": 70000})
    assert code(decision) == "10002"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"merchant": {"username": "u"}}, "has no FutureSMS account"),
        ({"order": {"sender_id": "SID-1"}}, "has no template"),
        ({"order": {"template_id": "TPL1"}}, "no sender is configured"),
    ],
)
def test_what_is_missing_in_the_set_up_is_named(
    changes: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert code(access(left(key=KEY), adapter(**changes))) == "10005"
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("failure", "expected"), [(LoginRefused("no"), "10005"), (Unreachable("down"), "10007")]
)
def test_without_a_session_nothing_is_forwarded(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, expected: str
) -> None:
    def token(self: MerchantSession) -> str:
        raise failure

    monkeypatch.setattr(MerchantSession, "token", token)
    assert code(access(left(key=KEY))) == expected


def test_the_quota_is_shown_when_that_is_wanted() -> None:
    limits = {"policy": "local", "day": 1000, "hide_client_headers": False}
    decision = access(left(key=KEY), adapter(rate_limit=limits))
    assert "RateLimit-Remaining" in decision.headers
    assert access(left(key=KEY)).headers == {}


def test_the_answer_of_an_accepted_order_is_its_id() -> None:
    reply = adapter().response(answered())
    assert (reply.status, json.loads(reply.body)) == (200, {"data": {"id": "SDPS1"}})


def test_without_the_guard_no_answer_is_an_order(caplog: pytest.LogCaptureFixture) -> None:
    assert code(adapter().response(answered(carried=False))) == "10007"
    assert "yeastar-guard has not run" in caplog.text


@pytest.mark.parametrize("token", ["token-1", "of-a-plugin-server-before"])
def test_an_order_that_was_answered_401_is_submitted_once_more_whoever_had_the_token(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    submitted: list[tuple[str, bytes, str]] = []

    def submit_again(self: MerchantSession, *order: Any) -> tuple[Answer, None]:
        assert self.account.base_url == "http://futuresms:8080"
        submitted.append(order)
        return Answer(202, "SDPS2"), None

    monkeypatch.setattr(MerchantSession, "submit_again", submit_again)
    left_answer = answered(401, token=token)
    reply = adapter().response(left_answer)
    assert json.loads(reply.body) == {"data": {"id": "SDPS2"}}
    assert submitted == [("/api/v1/sms/sends", left_answer["order"].encode(), token)]
    assert left_answer["service"] == SERVICE


def test_an_order_that_the_guard_has_not_carried_out_is_not_submitted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def submit_again(*_: Any) -> Any:
        raise AssertionError("submitted")

    monkeypatch.setattr(MerchantSession, "submit_again", submit_again)
    assert code(adapter().response(answered(401, carried=False))) == "10007"


def test_the_token_of_an_accepted_order_is_known_to_be_good(monkeypatch: pytest.MonkeyPatch) -> None:
    good: list[str] = []
    monkeypatch.setattr(plugin, "order_taken", good.append)
    adapter().response(answered())
    assert good == ["token-1"]


def test_a_429_of_futuresms_carries_its_wait() -> None:
    reply = adapter().response(answered(429, retry_after="17"))
    assert (reply.status, reply.headers["Retry-After"]) == (429, "17")


def test_verify_has_a_count_of_its_own_under_the_same_limit() -> None:
    username = "counted-apart"
    by = adapter(
        rate_limit={"policy": "local", "day": 2}, consumers=[{"username": username, "api_keys": [KEY]}]
    )
    entity = {"id": "1", "username": username}

    def codes(line: str, body: Any, times: int) -> list[str | None]:
        return [code(access(left(line, body, KEY), by, (entity,))) for _ in range(times)]

    assert codes(VERIFY, b"", 3) == [None, None, "10006"]
    assert codes(VERIFY.replace("GET", "PUT"), b"", 1) == ["10006"]
    assert codes(SEND, MESSAGE, 3) == [None, None, "10006"]


def test_a_429_names_its_window_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    username = "counted-by-the-hour"
    by = adapter(
        rate_limit={"policy": "local", "second": 9, "hour": 1},
        consumers=[{"username": username, "api_keys": [KEY]}],
    )
    caplog.set_level(logging.INFO)
    decisions = [access(left(key=KEY), by, ({"id": "1", "username": username},)) for _ in range(2)]
    assert code(decisions[1]) == "10006"
    assert 1 <= int(decisions[1].headers["Retry-After"]) <= 3600
    assert "over the limit of 1 a hour; retry in" in caplog.text


@pytest.mark.parametrize(
    ("rules", "message", "expected"),
    [
        ({"recipients": {"countries": ["PH"]}}, {"to": "+6591234567"}, "10005"),
        ({"recipients": {"countries": ["PH", "SG"]}}, {"to": "+6591234567"}, None),
        ({"text_limit": 5}, {"text": "123456"}, "10002"),
        ({"text_limit": 5}, {"text": "12345"}, None),
        ({"sms_parts": 1}, {"text": "x" * 161}, "10002"),
        ({"sms_parts": 1}, {"text": "x" * 160}, None),
    ],
)
def test_the_rules_of_a_consumer_are_those_of_its_messages(
    rules: dict[str, Any], message: dict[str, Any], expected: str | None
) -> None:
    by = adapter(consumers=[{"username": "acme-manila", "api_keys": [KEY], **rules}])
    assert code(access(left(message={**MESSAGE, **message}, key=KEY), by)) == expected


def test_what_nobody_foresaw_goes_on_to_the_plugin_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def token(self: MerchantSession) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(MerchantSession, "token", token)
    with pytest.raises(ZeroDivisionError):
        access(left(key=KEY))


def fields(record: logging.LogRecord) -> dict[str, Any]:
    line = json.loads(JsonFormatter().format(record))
    assert isinstance(line, dict)
    return line


def test_a_refusal_is_one_line_that_tells_whom_why_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    by = adapter()
    caplog.clear()
    caplog.set_level(logging.INFO)
    access(left(message={**MESSAGE, "text": "x" * 2001}, key=KEY), by)
    [record] = caplog.records
    line = fields(record)
    assert line["message"].startswith("refused: 'text' ")
    assert (line["code"], line["status"], line["consumer"], line["request_id"]) == (
        "10002",
        400,
        "acme-manila",
        "r-1",
    )
    assert line["limiter_ms"] >= 0
    text = TextFormatter().format(record)
    assert text.startswith("INFO yeastar_adapter.requests: refused: 'text' ")
    assert "code=10002" in text


def test_a_failure_at_futuresms_is_one_line_with_order_and_upstream(caplog: pytest.LogCaptureFixture) -> None:
    by = adapter()
    caplog.clear()
    caplog.set_level(logging.INFO)
    by.response(answered(503, {"error_code": "BUSY", "request_id": "fs-1"}))
    [record] = caplog.records
    line = fields(record)
    assert record.levelno == logging.WARNING
    assert line["upstream_status"] == 503
    assert (line["upstream_code"], line["upstream_request_id"]) == ("BUSY", "fs-1")
    assert (line["consumer"], line["recipient"]) == ("acme-manila", "…4567")
    assert line["client_order_id"] == "71b96bec16d54186d69054cfa3f3f95c"


def test_keys_tokens_texts_and_full_numbers_are_in_no_line(caplog: pytest.LogCaptureFixture) -> None:
    by = adapter()
    caplog.set_level(logging.DEBUG)
    for body in (MESSAGE, {**MESSAGE, "text": ""}, {**MESSAGE, "to": "+63917123456700"}):
        access(left(message=body, key=KEY), by)
    access(left(key="guess-of-a-stranger-012345"), by)
    by.response(answered())
    by.response(answered(422))
    lines = "\n".join(TextFormatter().format(record) for record in caplog.records)
    assert lines
    for secret in (KEY, "token-1", MESSAGE["text"], "639171234567", "63280000001", "guess-of-a-stranger"):
        assert secret not in lines
