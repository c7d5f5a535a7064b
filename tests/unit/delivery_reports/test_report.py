"""What is a report, and what a status means."""

from __future__ import annotations

import pytest
from yeastar_adapter.delivery_reports.report import NoReport, Objection, Report
from yeastar_adapter.delivery_reports.statuses import MEANINGS, OUTCOMES, Outcome


def test_a_report_is_read(body, reference):
    report = Report.parse(body(), reference)
    assert report == Report("SDPS260325103012A1B2C3D", "DELIVRD", "+639171234567")
    assert report.outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("word", "status", "outcome"),
    [
        ("DELIVRD", "DELIVRD", Outcome.DELIVERED),
        ("delivrd", "DELIVRD", Outcome.DELIVERED),
        ("Delivered", "DELIVRD", Outcome.DELIVERED),
        (" UNDELIV ", "UNDELIV", Outcome.UNDELIVERED),
        ("undeliverable", "UNDELIV", Outcome.UNDELIVERED),
        ("EXPIRED", "EXPIRED", Outcome.UNDELIVERED),
        ("REJECTD", "REJECTD", Outcome.UNDELIVERED),
        ("DELETED", "DELETED", Outcome.UNDELIVERED),
        ("UNKNOWN", "UNKNOWN", Outcome.UNDELIVERED),
        ("ACCEPTD", "ACCEPTD", Outcome.INTERIM),
        ("ENROUTE", "ENROUTE", Outcome.INTERIM),
    ],
)
def test_smpp_words_are_understood(body, reference, word, status, outcome):
    report = Report.parse(body(message_status=word), reference)
    assert (report.status, report.outcome) == (status, outcome)


def test_every_status_has_words_for_people():
    assert OUTCOMES.keys() == MEANINGS.keys()


@pytest.mark.parametrize("missing", ["client_order_id", "phone_number", "sender_value", "reported_at"])
@pytest.mark.parametrize("value", [None, ...])
def test_what_futuresms_may_leave_out_may_be_left_out(body, reference, missing, value):
    assert Report.parse(body(**{missing: value}), reference).status == "DELIVRD"


def test_an_order_id_may_be_a_number(body, reference):
    assert Report.parse(body(order_id=4711), reference).order_id == "4711"


@pytest.mark.parametrize(
    "raw", [None, b"", b"{", b"[]", b"1", b"null", b"\xff", b'"DELIVRD"', b"[" * 100_000, b"{}"]
)
def test_a_body_that_is_no_report_is_told(raw, reference):
    with pytest.raises(NoReport) as caught:
        Report.parse(raw, reference)
    assert caught.value.objection is Objection.BODY


@pytest.mark.parametrize(
    "change",
    [{"order_id": value} for value in (..., None, "", " ", True, [], 1.5)]
    + [{"message_status": value} for value in (..., None, "", " ", 0, ["DELIVRD"])],
)
def test_a_report_names_order_and_status(body, reference, change):
    with pytest.raises(NoReport) as caught:
        Report.parse(body(**change), reference)
    assert caught.value.objection is Objection.BODY


def test_a_report_about_another_order_is_refused(body, reference):
    with pytest.raises(NoReport) as caught:
        Report.parse(body(client_order_id="f" * 32), reference)
    assert caught.value.objection is Objection.ORDER


def test_a_status_that_nobody_knows_is_told(body, reference):
    with pytest.raises(NoReport) as caught:
        Report.parse(body(message_status="TELEPORTED"), reference)
    assert caught.value.objection is Objection.STATUS
    assert caught.value.detail == "TELEPORTED"


def test_the_objections_are_told_apart_and_none_is_an_error_of_a_pbx():
    answers = [objection.value for objection in Objection]
    assert len({reason for _, _, reason in answers}) == len(answers)
    assert all(status in (400, 404, 405, 422) for _, status, _ in answers)
