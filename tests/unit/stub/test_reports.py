"""What becomes of the stub's orders, and how it reports that: as FutureSMS does."""

from __future__ import annotations

import json

import pytest
import requests

from tests.harness.gateway import wait_until

RECEIVER = "/receiver"
ON_THIS_MACHINE = {"https_only": False, "allow_private": True, "charge_ms": 0, "delay_ms": 0, "retry_ms": 0}


def received(stub, count):
    """The bodies of so many reports, once they are there: the stub itself is the receiver."""
    wait_until(lambda: len(stub.requests(path=RECEIVER)) >= count, 30, f"{count} reports")
    return [json.loads(row["body"]) for row in stub.requests(path=RECEIVER)]


@pytest.fixture
def receiver(stub):
    """The address of a receiver that stores what comes."""
    stub.behave(path=RECEIVER, status=200, body={"status": "ok"}, times=1000)
    stub.report(**ON_THIS_MACHINE)
    return stub.url + RECEIVER


def done(stub):
    wait_until(lambda: stub.reports()["waiting"] == 0, 30, "the reports to be done")
    return stub.reports()["counts"]


def test_a_report_has_the_documented_fields(stub, merchant, receiver):
    order = merchant.send(client_order_id="client-ord-0001", dlr_address=receiver).json()["data"]
    [report] = received(stub, 1)
    assert report.pop("reported_at").endswith("Z")
    assert report == {
        "order_id": order["order_id"],
        "client_order_id": "client-ord-0001",
        "message_status": "DELIVRD",
        "phone_number": "+639171234567",
        "sender_value": "FUTURESMS",
    }
    assert done(stub) == {"attempts": 1, "stored": 1, "stored DELIVRD": 1}


def test_an_order_without_an_address_is_not_reported(stub, merchant, receiver):
    merchant.send()
    assert stub.reports()["waiting"] == 0


def test_an_order_passes_through_its_states(stub, merchant):
    def state(**settings):
        stub.report(**settings)
        order_id = merchant.send().json()["data"]["order_id"]
        order = merchant.call("GET", f"/api/v1/sms/orders/{order_id}").json()["data"]
        return order["order_status"], order["message_status"], order["dlr_available"]

    assert state(charge_ms=600_000, delay_ms=600_000) == ("pending", None, False)
    assert state(charge_ms=0, delay_ms=600_000) == ("charged", None, False)
    assert state(charge_ms=0, delay_ms=0) == ("charged", "DELIVRD", True)


@pytest.mark.parametrize(
    ("digits", "status"), [("0001", "UNDELIV"), ("0002", "EXPIRED"), ("0003", "REJECTD"), ("1111", "DELIVRD")]
)
def test_the_last_digits_of_a_number_say_what_becomes_of_it(stub, merchant, receiver, digits, status):
    merchant.send(phone_number=f"+63917123{digits}", dlr_address=receiver)
    [report] = received(stub, 1)
    assert report["message_status"] == status


def test_other_digits_can_be_made_to_fail(stub, merchant, receiver):
    stub.report(statuses={"7": "EXPIRED", "67": "REJECTD"})
    for number in ("+639171234567", "+639171234557", "+639171234550"):
        merchant.send(phone_number=number, dlr_address=receiver)
    statuses = {report["phone_number"][-2:]: report["message_status"] for report in received(stub, 3)}
    assert statuses == {"67": "REJECTD", "57": "EXPIRED", "50": "DELIVRD"}


def test_some_messages_are_never_heard_of(stub, merchant, receiver):
    merchant.send(phone_number="+639171230009", dlr_address=receiver)
    assert done(stub) == {}


def test_a_report_is_tried_three_times(stub, merchant):
    stub.report(**ON_THIS_MACHINE)
    stub.behave(path=RECEIVER, status=503, times=1000)
    merchant.send(dlr_address=stub.url + RECEIVER)
    assert done(stub) == {"attempts": 3, "given up": 1}
    assert [call["status"] for call in stub.reports(last=10)["calls"]] == [503, 503, 503]


def test_a_report_is_tried_until_it_is_stored(stub, merchant, receiver):
    stub.behave(path=RECEIVER, method="POST", status=200, body={"status": "no"}, times=1)
    merchant.send(dlr_address=receiver)
    assert done(stub) == {"attempts": 2, "stored": 1, "stored DELIVRD": 1}


def test_an_address_that_does_not_answer_is_given_up(stub, merchant):
    stub.report(**ON_THIS_MACHINE)
    merchant.send(dlr_address="http://127.0.0.1:1/reports")
    assert done(stub) == {"attempts": 3, "given up": 1}


def test_a_report_may_come_again(stub, merchant, receiver):
    stub.report(repeat=2)
    merchant.send(dlr_address=receiver)
    assert len(received(stub, 3)) == 3
    assert done(stub) == {"attempts": 3, "stored": 1, "stored DELIVRD": 1}


def test_a_step_on_the_way_can_be_reported_first(stub, merchant, receiver):
    stub.report(interim="ENROUTE")
    merchant.send(dlr_address=receiver)
    assert [report["message_status"] for report in received(stub, 2)] == ["ENROUTE", "DELIVRD"]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://93.184.215.14/x", {}),
        ("https://127.0.0.1:9/x", {}),
        ("https://10.1.2.3/x", {"https_only": False}),
        ("https://[::1]/x", {}),
        ("https://localhost/x", {}),
        ("ftp://93.184.215.14/x", {"https_only": False, "allow_private": True}),
        ("nonsense", {"https_only": False, "allow_private": True}),
    ],
)
def test_futuresms_calls_public_https_addresses_only(stub, merchant, address, allowed):
    stub.report(delay_ms=0, **allowed)
    merchant.send(dlr_address=address)
    assert done(stub) == {"not allowed": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"delay": 1},
        {"delay_ms": "1"},
        {"delay_ms": -1},
        {"delay_ms": True},
        {"statuses": []},
        {"statuses": {"1": 1}},
    ],
)
def test_a_setting_that_is_none_is_told(stub, settings):
    answer = requests.put(f"{stub.url}/__stub__/reports", json=settings, timeout=10)
    assert answer.status_code == 400


def test_a_reset_forgets_reports_and_their_settings(stub, merchant, receiver):
    merchant.send(dlr_address=receiver)
    received(stub, 1)
    stub.reset()
    overview = stub.reports(last=10)
    assert (overview["waiting"], overview["counts"], overview["calls"]) == (0, {}, [])
    assert overview["settings"]["allow_private"] is False
