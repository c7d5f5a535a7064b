"""What a call on the reports' route is answered, and what is seen of it."""

from __future__ import annotations

import json

import pytest
from yeastar_adapter.delivery_reports.address import PATH, ReportAddresses
from yeastar_adapter.delivery_reports.endpoint import DeliveryReports, Observer
from yeastar_adapter.delivery_reports.ledger import LocalLedger

from .conftest import HANDED_OVER, MESSAGE, ORDER


class Seen:
    def __init__(self):
        self.reports = []
        self.refusals = []
        self.expected = []

    def observer(self):
        return Observer(
            lambda *facts: self.reports.append(facts),
            lambda *facts: self.refusals.append(facts),
            self.expected.append,
            lambda consumer: consumer,
        )


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def ledger():
    return LocalLedger(lambda: HANDED_OVER - 100)


@pytest.fixture
def reports(addresses, ledger, seen):
    return DeliveryReports(addresses, ledger, seen.observer(), lambda: HANDED_OVER + 7.5)


@pytest.fixture
def call(reports, reference_text, body):
    def call(method="POST", reference=reference_text, content=None, to=reports):
        content = body() if content is None else content
        return to.answer(f"{method} {PATH}{reference} HTTP/1.1", reference, content, "req-1", "198.51.100.7")

    return call


def test_a_report_is_stored_and_told(call, seen, ledger):
    assert call() == (200, '{"status": "ok"}', {})
    [(request_id, reference, report, seconds, first)] = seen.reports
    assert (request_id, reference.consumer, reference.request_id) == ("req-1", "acme-manila", MESSAGE)
    assert (report.status, seconds, first) == ("DELIVRD", 7.5, True)
    assert ledger.totals().reports == {("acme-manila", "DELIVRD"): 1}


def test_a_report_that_comes_again_is_answered_and_not_counted(call, seen, ledger):
    answers = [call() for _ in range(3)]
    assert {answer.status for answer in answers} == {200}
    assert [first for *_, first in seen.reports] == [True, False, False]
    assert ledger.totals().reports == {("acme-manila", "DELIVRD"): 1}


def test_steps_on_the_way_and_the_end_are_counted_each(call, ledger, body):
    for word in ("ACCEPTD", "ENROUTE", "ENROUTE", "UNDELIV", "DELIVRD"):
        call(content=body(message_status=word))
    assert {status: n for (_, status), n in ledger.totals().reports.items()} == {
        "ACCEPTD": 1,
        "ENROUTE": 1,
        "UNDELIV": 1,  # the end; what comes after it is the same order once more
    }


@pytest.mark.parametrize(
    ("change", "status", "label"),
    [
        ({"method": "GET"}, 405, "method"),
        ({"reference": "x" * 90}, 404, "address"),
        ({"reference": ""}, 404, "address"),
        ({"content": b"not JSON"}, 400, "body"),
        ({"content": b'{"order_id": "1", "message_status": "NEVER-SEEN"}'}, 422, "status"),
        (
            {"content": b'{"order_id": "1", "message_status": "DELIVRD", "client_order_id": "x"}'},
            400,
            "order",
        ),
    ],
)
def test_what_is_no_report_gets_an_answer_of_its_own(call, seen, ledger, change, status, label):
    answer = call(**change)
    assert answer.status == status
    document = json.loads(answer.body)
    assert document.keys() == {"status", "reason"}
    assert document["status"] == "error"
    assert "errors" not in document
    [(_, address, _, refusal)] = seen.refusals
    assert (refusal.objection.label, address) == (label, "198.51.100.7")
    assert not ledger.totals().reports


def test_a_method_that_is_not_taken_is_told_which_is(call):
    assert call(method="GET").headers == {"Allow": "POST"}


def test_nothing_of_a_stranger_is_read(call):
    class Untouchable(bytes):
        def decode(self, *_):
            raise AssertionError("read")

    assert call(reference="x" * 90, content=Untouchable(b"{}")).status == 404


def test_where_reports_are_off_none_is_taken(call, ledger, seen):
    off = DeliveryReports(None, ledger, seen.observer())
    assert call(to=off).status == 404
    assert off.address_for("acme-manila", MESSAGE, ORDER) is None
    off.expect("acme-manila")
    assert seen.expected == []


def test_an_order_carries_an_address_that_its_report_can_come_to(reports, call, seen):
    address = reports.address_for("acme-manila", MESSAGE, ORDER)
    assert call(reference=address.rpartition("/")[2]).status == 200
    [(_, reference, _, seconds, _)] = seen.reports
    assert reference.client_order_id == ORDER
    assert seconds == 0.0


def test_no_report_is_expected_of_an_order_that_could_not_carry_an_address(ledger, seen):
    reports = DeliveryReports(ReportAddresses("https://sms.example.com", "s" * 40), ledger, seen.observer())
    for consumer in ("x" * 200, "x"):
        reports.expect(consumer)
    assert seen.expected == ["x"]
