"""What is counted and logged of a request."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from yeastar_adapter.futuresms.answer import Answer
from yeastar_adapter.futuresms.order import Order
from yeastar_adapter.observability import requests as outcomes
from yeastar_adapter.observability.counters import CONSUMERS, OTHER, RequestCounters
from yeastar_adapter.observability.logs import FIELDS
from yeastar_adapter.observability.requests import Fault, RequestRecord, described
from yeastar_adapter.observability.strangers import Strangers
from yeastar_adapter.request import Request, UpstreamAnswer
from yeastar_adapter.translation import error_for
from yeastar_adapter.yeastar.endpoints import Endpoint
from yeastar_adapter.yeastar.errors import (
    AUTHENTICATION_FAILED,
    CATALOGUE,
    INVALID_PARAMETER,
    NO_PERMISSION,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    DestinationRefused,
    Refusal,
)

BASE = "/api/v1/integration/yeastar/sms"
ORDER = {
    "phone_number": "+639171234567",
    "template_id": "TPL1001",
    "sender_id": "SID-1",
    "var": "Your table is ready",
    "client_order_id": "71b96bec16d54186d69054cfa3f3f95c",
}


def early(line: str = f"POST {BASE}/sendmessage HTTP/1.1", consumer: str = "acme-manila") -> RequestRecord:
    """A request in the access phase."""
    record = RequestRecord()
    record.request = Request("n", "r-1", line)
    record.consumer = consumer
    record.recipient = "+639171234567"
    return record


def answered(answer: Answer, order: Any = ORDER, consumer: str = "acme-manila") -> RequestRecord:
    """A request in the response phase."""
    record = RequestRecord(Endpoint.SENDMESSAGE)
    record.upstream = UpstreamAnswer(
        "n",
        "r-1",
        answer.status,
        waited_ms=12,
        client_order_id=ORDER["client_order_id"],
        order=b"" if answer.is_order else json.dumps(order).encode(),
    )
    record.consumer = consumer
    record.answer = answer
    return record


def refused(record: RequestRecord, refusal: Refusal, fault: Fault | None = None) -> None:
    record.refused(refusal, fault)


def test_a_message_that_is_sent_is_forwarded_by_consumer_and_accepted(counts: RequestCounters) -> None:
    record = early()
    record.limiter_seconds, record.token_seconds = 0.0003, 0.2
    record.forwarded(Order("id", b""))
    answered(Answer(202, "SDPS1")).sent()
    assert counts.forwarded == {"acme-manila": 1}
    assert counts.destinations == {("PH", "forwarded"): 1}
    assert counts.accepted == 1
    assert counts.accepted_last > 1_700_000_000
    assert counts.answers == {("202", ""): 1}
    assert sum(counts.limiter_wait.counts) == sum(counts.token_wait.counts) == 1
    assert counts.token_wait.seconds == 0.2
    assert counts.refused == {}


def test_a_refused_country_is_counted_and_named_in_the_line(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture
) -> None:
    record = early()
    record.recipient = ""
    record.refused(DestinationRefused("+5352345678", "CU"))
    assert counts.destinations == {("CU", "refused"): 1}
    assert counts.refused == {("acme-manila", "sendmessage", "10005", "pbx"): 1}
    [line] = [record.__dict__[FIELDS] for record in caplog.records]
    assert (line["country"], line["recipient"]) == ("CU", "…5678")
    assert "recipients.countries does not include CU" in caplog.text


def test_what_a_request_waits_for_its_turn_is_told_from_what_its_counting_took(
    counts: RequestCounters,
) -> None:
    record = early()
    with record.waiting_for_limiter():
        record.turn_seconds = 0.9  # no time has passed: a clock of the process was not asked to wait
    record.verified()
    assert (counts.turn_wait.seconds, counts.limiter_wait.seconds) == (0.9, 0.0)
    early().verified()
    assert sum(counts.turn_wait.counts) == 1


def test_strangers_have_a_line_for_each_reason_and_address(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "strangers", Strangers(lambda seconds, work: None))
    caplog.set_level(logging.INFO)
    for address in ("192.0.2.1", "192.0.2.2") * 50:
        record = early(consumer="")
        assert record.request is not None
        record.request.address = address
        record.refused(Refusal(AUTHENTICATION_FAILED, reason="the key is unknown"))
    assert [record.__dict__[FIELDS]["address"] for record in caplog.records] == ["192.0.2.1", "192.0.2.2"]
    assert sum(counts.refused.values()) == 100


def test_a_verified_key_is_counted_by_consumer(counts: RequestCounters) -> None:
    early().verified()
    assert counts.verified == {"acme-manila": 1}


@pytest.mark.parametrize(
    ("line", "endpoint"),
    [
        (f"POST {BASE}/sendmessage?x=1 HTTP/1.1", "sendmessage"),
        (f"GET {BASE}/verify HTTP/1.1", "verify"),
        (f"DELETE {BASE}/verify HTTP/1.1", ""),
        ("nonsense", ""),
    ],
)
def test_a_refusal_is_counted_by_consumer_endpoint_code_and_fault(
    counts: RequestCounters, line: str, endpoint: str
) -> None:
    refused(early(line), Refusal(INVALID_PARAMETER, "'text' is missing"))
    assert counts.refused == {("acme-manila", endpoint, "10002", "pbx"): 1}
    assert counts.answers == {}


def test_a_stranger_has_no_name(counts: RequestCounters) -> None:
    refused(early(consumer=""), Refusal(AUTHENTICATION_FAILED, reason="the key is unknown"))
    assert counts.refused == {("", "sendmessage", "10004", "pbx"): 1}


BEFORE = {
    "10001": Fault.PBX,
    "10002": Fault.PBX,
    "10003": Fault.PBX,
    "10004": Fault.PBX,
    "10005": Fault.SETUP,
    "10006": Fault.PBX,
    "10007": Fault.GATEWAY,
}


@pytest.mark.parametrize("error", CATALOGUE, ids=lambda error: error.code)
def test_before_futuresms_has_answered_an_error_is_never_its_fault(
    counts: RequestCounters, error: Any
) -> None:
    refused(early(), Refusal(error))
    assert [key[3] for key in counts.refused] == [BEFORE[error.code].value]


def test_a_futuresms_that_cannot_be_reached_for_a_token_is_at_fault(counts: RequestCounters) -> None:
    refused(early(), Refusal(SERVICE_UNAVAILABLE), Fault.FUTURESMS)
    assert [key[3] for key in counts.refused] == ["futuresms"]


@pytest.mark.parametrize(
    ("answer", "code", "fault"),
    [
        (Answer(422, error_code="VALIDATION_ERROR", details="phone_number: not reachable"), "10001", "pbx"),
        (Answer(422, error_code="VALIDATION_ERROR", details="var: at most 24 characters"), "10002", "pbx"),
        (Answer(422, error_code="VALIDATION_ERROR", details="sender_id: unknown"), "10002", "setup"),
        (Answer(400, error_code="VALIDATION_ERROR", reason="template_id"), "10002", "setup"),
        (Answer(401), "10005", "setup"),
        (Answer(402), "10005", "setup"),
        (Answer(403, error_code="FORBIDDEN"), "10005", "setup"),
        (Answer(404, error_code="NOT_FOUND"), "10005", "setup"),
        (Answer(409, error_code="CONFLICT"), "10007", "futuresms"),
        (Answer(429), "10006", "futuresms"),
        (Answer(503), "10007", "futuresms"),
        (Answer(202), "10007", "futuresms"),
    ],
)
def test_what_futuresms_answers_tells_whose_fault_it_is(
    counts: RequestCounters, answer: Answer, code: str, fault: str
) -> None:
    refused(answered(answer), Refusal(error_for(answer)))
    assert counts.refused == {("acme-manila", "sendmessage", code, fault): 1}
    assert counts.answers == {(str(answer.status), code): 1}


def test_a_handler_that_failed_is_the_gateways_fault_and_one_line(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture
) -> None:
    early().failed()
    assert counts.refused == {("acme-manila", "sendmessage", "10007", "gateway"): 1}
    assert caplog.records[0].levelno == logging.ERROR
    assert facts(caplog)["request_id"] == "r-1"
    assert facts(caplog)["fault"] == "gateway"


def test_rejected_tokens_are_counted_however_the_request_ends(counts: RequestCounters) -> None:
    for answer in (Answer(202, "SDPS1"), Answer(403)):
        record = answered(answer)
        record.token_rejected = True
        if answer.is_order:
            record.sent()
        else:
            refused(record, Refusal(NO_PERMISSION))
    assert counts.tokens_rejected == 2


def test_odd_statuses_of_futuresms_make_no_series_of_their_own(counts: RequestCounters) -> None:
    for status in (418, 451, 499, 599, 300, 999, 100):
        refused(answered(Answer(status)), Refusal(SERVICE_UNAVAILABLE))
    assert {status for status, _ in counts.answers} == {"4xx", "5xx", "3xx", "9xx", "1xx"}


def test_beyond_a_thousand_consumers_all_others_are_one(counts: RequestCounters) -> None:
    for number in range(CONSUMERS + 500):
        early(consumer=f"pbx-{number}").verified()
    early(consumer="pbx-3").verified()
    early(consumer="").verified()
    assert len(counts.verified) == CONSUMERS + 2
    assert counts.verified["pbx-3"] == 2
    assert counts.verified[OTHER] == 500


def facts(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    [record] = caplog.records
    found: dict[str, Any] = getattr(record, FIELDS)
    return found


def test_a_refused_order_is_logged_with_all_that_an_operator_asks_for(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = Answer(422, "", "VALIDATION_ERROR", "", "var: at most 24 characters", "req_20261123_1")
    refused(answered(answer), Refusal(INVALID_PARAMETER, reason=described(answer)))
    assert caplog.records[0].getMessage() == "refused: FutureSMS answered 422 VALIDATION_ERROR"
    assert facts(caplog) == {
        "code": "10002",
        "status": 400,
        "fault": "pbx",
        "endpoint": "sendmessage",
        "request_id": "r-1",
        "consumer": "acme-manila",
        "recipient": "…4567",
        "client_order_id": ORDER["client_order_id"],
        "upstream_status": 422,
        "upstream_code": "VALIDATION_ERROR",
        "upstream_about": "var",
        "upstream_request_id": "req_20261123_1",
        "upstream_ms": 12,
    }


def test_an_early_refusal_is_logged_with_what_was_known_by_then(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    record = early()
    record.recipient, record.limiter_seconds, record.token_seconds = "+639171234567", 0.00123, 2.5
    refused(record, Refusal(SERVICE_UNAVAILABLE, reason="FutureSMS cannot be reached"), Fault.FUTURESMS)
    assert caplog.records[0].levelno == logging.WARNING
    assert facts(caplog) == {
        "code": "10007",
        "status": 500,
        "fault": "futuresms",
        "endpoint": "sendmessage",
        "request_id": "r-1",
        "consumer": "acme-manila",
        "recipient": "…4567",
        "limiter_ms": 1.23,
        "token_ms": 2500.0,
    }


def test_an_accepted_order_is_logged_with_its_ids_when_that_is_wanted(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = Answer(202, "SDPS1")
    answered(answer).sent()
    found = facts(caplog)
    assert found["order_id"] == "SDPS1"
    assert found["client_order_id"] == ORDER["client_order_id"]
    assert (found["consumer"], found["upstream_status"], found["upstream_ms"]) == ("acme-manila", 202, 12)


@pytest.mark.parametrize(
    "said",
    [
        "the number +639171234567 is not reachable",
        "Your table is ready",
        "639171234567",
        "X\nERROR yeastar_adapter: forged",
        "x" * 100_000,
    ],
)
def test_what_futuresms_says_in_prose_is_not_logged(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = Answer(422, "", said, said, said, said + " ")
    refused(answered(answer, {**ORDER, said: said}), Refusal(INVALID_PARAMETER, reason=described(answer)))
    line = f"{caplog.records[0].getMessage()} {facts(caplog)}"
    assert said not in line
    assert len(line) < 1000


def test_the_log_level_changes_nothing_of_what_is_counted(
    counts: RequestCounters, caplog: pytest.LogCaptureFixture
) -> None:
    for level in (logging.ERROR, logging.DEBUG):
        caplog.set_level(level)
        refused(answered(Answer(429)), Refusal(TOO_MANY_REQUESTS))
    assert counts.refused == {("acme-manila", "sendmessage", "10006", "futuresms"): 2}
