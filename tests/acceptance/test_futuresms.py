"""What FutureSMS answers, and what the PBX is told: each row of the contract's table."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Pbx
from tests.harness.stub import LOGIN, REFRESH, SENDS, StubClient

ACCEPTED = {
    "message": "Accepted",
    "details": None,
    "data": {"order_id": "SDPS260325103012A1B2C3D"},
    "meta": {},
}


def refusal(code: str = "SOMETHING_NEW", reason: str | None = None, details: Any = None) -> dict[str, Any]:
    return {"error_code": code, "reason": reason, "message": "no", "details": details, "path": SENDS}


ROWS: list[tuple[int, Any, str | None]] = [
    (200, ACCEPTED, None),
    (201, ACCEPTED, None),
    (202, ACCEPTED, None),
    (400, refusal("VALIDATION_ERROR", "phone_number"), "10001"),
    (422, refusal("VALIDATION_ERROR", None, "phone_number is not reachable"), "10001"),
    (422, refusal("VALIDATION_ERROR", "INVALID_PHONE_NUMBER"), "10001"),
    (422, refusal("VALIDATION_ERROR", None, "Phone number must be in E.164 format"), "10001"),
    (400, refusal("VALIDATION_ERROR", "phoneNumber"), "10001"),
    (422, refusal("VALIDATION_ERROR", None, [{"loc": ["body", "phone_number"]}]), "10001"),
    (400, refusal("VALIDATION_ERROR", "var"), "10002"),
    (422, refusal("VALIDATION_ERROR"), "10002"),
    (422, refusal("NEW", "phone_number"), "10002"),
    (400, "<html>no</html>", "10002"),
    (413, "", "10002"),
    (415, "", "10002"),
    (402, refusal(), "10005"),
    (403, refusal("FORBIDDEN"), "10005"),
    (403, "<html>", "10005"),
    (404, refusal("NOT_FOUND"), "10005"),
    (409, refusal("CONFLICT", "client_order_id"), "10007"),
    (409, refusal("NEW"), "10002"),
    (408, "", "10007"),
    (408, refusal("VALIDATION_ERROR"), "10007"),
    (425, "", "10007"),
    (499, "", "10007"),
    (410, refusal("NOT_FOUND"), "10005"),
    (418, refusal("FORBIDDEN"), "10005"),
    (418, refusal("TOO_MANY_REQUESTS"), "10006"),
    (418, refusal("VALIDATION_ERROR"), "10002"),
    (418, refusal("CONFLICT"), "10007"),
    (418, refusal(), "10002"),
    (405, "", "10002"),
    (300, ACCEPTED, "10007"),
    (302, "", "10007"),
    (308, "", "10007"),
    (500, refusal("VALIDATION_ERROR", "phone_number"), "10007"),
    (500, ACCEPTED, "10007"),
    (502, "<html>", "10007"),
    (503, "", "10007"),
    (504, "", "10007"),
    (200, "<html>", "10007"),
    (200, "", "10007"),
    (202, [], "10007"),
    (202, {"data": None}, "10007"),
    (202, {"data": {"order_id": None}}, "10007"),
    (202, {"data": {"order_id": ""}}, "10007"),
    (202, {"data": {"order_id": True}}, "10007"),
    (202, {"data": {"order_id": 7.5}}, "10007"),
    (202, {"order_id": "SDPS260325103012A1B2C3D"}, "10007"),
    (204, "", "10007"),
]


@pytest.mark.parametrize(("status", "body", "code"), ROWS)
def test_each_answer_of_futuresms_is_translated(
    pbx: Pbx, stub: StubClient, status: int, body: Any, code: str | None
) -> None:
    stub.behave(path=SENDS, status=status, body=body)
    text = f"row {uuid.uuid4()}"
    answer = pbx.send(text=text)
    assert answer.code == code
    if code is None:
        assert answer.json == {"data": {"id": "SDPS260325103012A1B2C3D"}}
    assert [text in order["body"] for order in stub.requests(path=SENDS)].count(True) == 1


def test_an_order_id_that_is_a_number_goes_back_as_a_string(pbx: Pbx, stub: StubClient) -> None:
    stub.behave(path=SENDS, status=202, body={"data": {"order_id": 4711}})
    answer = pbx.send()
    assert (answer.status, answer.json) == (200, {"data": {"id": "4711"}})


def test_a_recipient_that_futuresms_cannot_reach_is_10001(pbx: Pbx) -> None:
    assert pbx.send(to="+639171230000").code == "10001"


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("7", "7"),
        ("30.0", "30"),
        ("1.2", "2"),
        ("0", "1"),
        ("-1", "1"),
        (None, "1"),
        ("soon", "1"),
        ("999999", "86400"),
        ("Fri, 31 Dec 2100 23:59:59 GMT", "86400"),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "1"),
    ],
)
def test_a_429_carries_retry_after(pbx: Pbx, stub: StubClient, given: str | None, seen: str) -> None:
    headers = {} if given is None else {"Retry-After": given}
    stub.behave(path=SENDS, status=429, body=refusal("TOO_MANY_REQUESTS"), headers=headers)
    answer = pbx.send()
    assert (answer.code, answer.headers["retry-after"]) == ("10006", seen)


def test_futuresms_s_own_headers_do_not_reach_the_pbx(pbx: Pbx, stub: StubClient) -> None:
    leaks = {
        "Set-Cookie": "session=1",
        "Server": "futuresms/7",
        "X-Powered-By": "php",
        "WWW-Authenticate": "Basic realm=merchant",
        "Retry-After": "77",
        "Location": "http://internal/",
        "X-Yeastar-Adapter": "1",
        "Content-Language": "tlh",
    }
    for status, body in ((202, ACCEPTED), (403, refusal("FORBIDDEN")), (503, "")):
        stub.behave(path=SENDS, status=status, body=body, headers=leaks)
        seen = pbx.send().headers
        for name, value in leaks.items():
            assert seen.get(name.lower()) != value, name


@pytest.mark.parametrize(
    "fault",
    [
        {"drop_connection": True},
        {"reset": True},
        {"half_body": True},
        {"half_body": True, "headers": {"X-Yeastar-Adapter": "1"}},
        {"raw": "not http at all\r\n\r\n"},
        {"raw": "HTTP/1.1 202 Accepted\r\n"},
        {"raw": "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\n{}"},
        {"raw": "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
        {"raw": "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"},
        {"body": "x" * 10_000_000},
        {"body": '{"data": {"order_id": "x"}' + " " * 2_000_000 + "}"},
    ],
    ids=lambda fault: " ".join(f"{k}={str(v)[:30]}" for k, v in fault.items()),
)
def test_an_answer_that_breaks_off_or_makes_no_sense_is_10007_and_the_order_is_not_repeated(
    pbx: Pbx, stub: StubClient, fault: dict[str, Any]
) -> None:
    assert pbx.send().status == 200
    stub.clear_requests()
    stub.behave(path=SENDS, times=5, **fault)
    assert pbx.send().code == "10007"
    assert len(stub.requests(path=SENDS)) == 1


def test_an_order_that_was_accepted_and_whose_answer_is_lost_is_not_sent_again(
    pbx: Pbx, stub: StubClient
) -> None:
    for _ in range(5):
        stub.behave(path=SENDS, half_body=True, status=202, body=ACCEPTED)
        assert pbx.send().code == "10007"
    assert stub.count(f"POST {SENDS}") == 5


def test_an_expired_token_costs_the_pbx_nothing(pbx: Pbx, stub: StubClient) -> None:
    assert pbx.send().status == 200
    stub.clear_requests()
    assert pbx.send().status == 200
    stub.expire_tokens()
    assert pbx.send().status == 200
    assert len(stub.orders()) == 3
    first, second, third = stub.requests(path=SENDS)
    assert second["body"] == third["body"]
    assert len({request["headers"]["authorization"] for request in (first, third)}) == 2


def test_revoked_tokens_cost_the_pbx_nothing(pbx: Pbx, stub: StubClient) -> None:
    assert pbx.send().status == 200
    stub.revoke_tokens()
    assert pbx.send().status == 200
    assert stub.count(f"POST {LOGIN}") == 2


def test_a_401_again_with_a_new_token_is_10005_after_two_attempts(pbx: Pbx, stub: StubClient) -> None:
    assert pbx.send().status == 200
    stub.clear_requests()
    stub.behave(path=SENDS, status=401, body=refusal("UNAUTHORIZED", "TOKEN_EXPIRED"), times=2)
    assert pbx.send().code == "10005"
    assert len(stub.requests(path=SENDS)) == 2
    assert pbx.send().status == 200


def test_messages_that_are_answered_401_whatever_the_token_are_not_sent_on_for_ever(
    gateway_without_session: str, pbx: Pbx, stub: StubClient
) -> None:
    stub.behave(path=SENDS, status=401, times=None)
    assert {pbx.send().code for _ in range(20)} == {"10005"}
    assert stub.count(f"POST {SENDS}") + stub.count(f"POST {LOGIN}") <= 20
    assert stub.orders() == []


def test_a_changed_configuration_keeps_the_session(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    assert pbx.send().status == 200
    for sender in ("SID-1002", "SID-1001"):
        kong_yml.entry("acme-manila")["sender_id"] = sender
        gateway.load(kong_yml)
        assert pbx.send().status == 200
        assert stub.orders()[-1]["sender_id"] == sender
    assert stub.count(f"POST {LOGIN}") == 1


def test_orders_that_are_taken_in_between_keep_401s_from_stopping_the_account(
    pbx: Pbx, stub: StubClient
) -> None:
    for _ in range(6):
        stub.behave(path=SENDS, status=401, times=2)
        assert pbx.send().code == "10005"
        assert pbx.send().status == 200


@pytest.mark.parametrize("body", ["", "<html>", {"error_code": "UNAUTHORIZED"}])
def test_any_401_on_an_order_is_one_more_attempt(pbx: Pbx, stub: StubClient, body: Any) -> None:
    assert pbx.send().status == 200
    stub.behave(path=SENDS, status=401, body=body)
    assert pbx.send().status == 200
    assert len(stub.orders()) == 2


def test_the_second_attempt_s_answer_counts(pbx: Pbx, stub: StubClient) -> None:
    assert pbx.send().status == 200
    stub.expire_tokens()
    assert pbx.send(to="+639171230000").code == "10001"
    stub.expire_tokens()
    stub.clear_requests()
    stub.behave(path=REFRESH, status=503, body="")
    assert pbx.send().code == "10007"
    assert len(stub.requests(path=SENDS)) == 1
    assert len(stub.orders()) == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 401, "body": refusal("UNAUTHORIZED", "INVALID_CREDENTIALS")}, "10005"),
        ({"status": 403, "body": refusal("FORBIDDEN")}, "10005"),
        ({"status": 500, "body": ""}, "10007"),
        ({"status": 503, "body": "<html>"}, "10007"),
        ({"status": 429, "body": ""}, "10007"),
        ({"status": 302, "body": ""}, "10007"),
        ({"status": 200, "body": "<html>"}, "10007"),
        ({"status": 200, "body": {"data": {}}}, "10007"),
        ({"status": 200, "body": {"data": {"access_token": 5, "refresh_token": "x"}}}, "10007"),
        ({"status": 200, "body": {"data": {"access_token": "a\r\nX: y", "refresh_token": "x"}}}, "10007"),
        ({"drop_connection": True}, "10007"),
        ({"half_body": True}, "10007"),
        ({"raw": "not http\r\n\r\n"}, "10007"),
        ({"delay_ms": 8000}, "10007"),
    ],
    ids=lambda given: (
        " ".join(f"{k}={str(v)[:30]}" for k, v in given.items()) if isinstance(given, dict) else given
    ),
)
def test_a_log_in_that_fails_sends_nothing_and_is_not_hammered(
    pbx: Pbx, stub: StubClient, fault: dict[str, Any], code: str, gateway_without_session: None
) -> None:
    stub.behave(path=LOGIN, times=100, **fault)
    assert [pbx.send().code for _ in range(4)] == [code] * 4
    assert stub.requests(path=SENDS) == []
    assert stub.count(f"POST {LOGIN}") <= 4
