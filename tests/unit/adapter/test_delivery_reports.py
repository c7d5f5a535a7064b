"""The reports' route beside the PBX's: an order carries an address, and what comes to it is taken, whoever sends it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from yeastar_adapter.decision import Forward, Reply
from yeastar_adapter.delivery_reports import ledgers
from yeastar_adapter.delivery_reports.ledger import LocalLedger
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.observability import deliveries, requests
from yeastar_adapter.observability.logs import TextFormatter
from yeastar_adapter.plugin import Adapter

from tests.harness.reader import answered, left

from .test_adapter import ENTITY, KEY, adapter

REPORTS = {
    "enabled": True,
    "public_url": "https://sms.example.com",
    "secret": "f3c1a2b4d5e6978812345678abcdef90",
}
REQUEST_ID = "b265232f3fe6b44558bdf63d6147c16e"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MerchantSession, "token", lambda self: "token-1")
    monkeypatch.setattr(ledgers, "local", LocalLedger())
    monkeypatch.setattr(deliveries, "counters", deliveries.DeliveryCounters())


def order_of(by: Adapter) -> dict[str, Any]:
    request = left(key=KEY, id=REQUEST_ID)
    decision = by.access(request, {"acme-manila": ENTITY}.get)
    assert isinstance(decision, Forward)
    fields: dict[str, Any] = json.loads(decision.order.body)
    return fields


def report_on(order: dict[str, Any], by: Adapter, method: str = "POST", **changes: Any) -> Reply:
    path = order["dlr_address"].removeprefix("https://sms.example.com")
    body = {
        "order_id": "SDPS260325103012A1B2C3D",
        "client_order_id": order["client_order_id"],
        "message_status": "DELIVRD",
        "phone_number": order["phone_number"],
        **changes,
    }
    request = left(f"{method} {path} HTTP/1.1", body)
    decision = by.access(request, {}.get)
    assert isinstance(decision, Reply)
    return decision


def test_an_order_carries_an_address_where_reports_are_on():
    assert "dlr_address" not in order_of(adapter())
    one = order_of(adapter(delivery_reports=REPORTS))["dlr_address"]
    other = order_of(adapter(delivery_reports=REPORTS))["dlr_address"]
    assert one.startswith("https://sms.example.com/api/v1/integration/yeastar/sms/reports/")
    assert len(one) <= 255
    assert one != other


def test_an_address_of_the_configuration_is_kept_where_reports_are_off():
    own = {"template_id": "TPL1", "sender_id": "SID-1", "dlr_address": "https://elsewhere.example.com/"}
    assert order_of(adapter(order=own))["dlr_address"] == "https://elsewhere.example.com/"
    assert order_of(adapter(order=own, delivery_reports=REPORTS))["dlr_address"] != own["dlr_address"]


def test_a_report_needs_no_key_and_is_logged_with_the_request_of_the_message(caplog):
    by = adapter(delivery_reports=REPORTS)
    order = order_of(by)
    caplog.set_level(logging.INFO)
    reply = report_on(order, by)
    assert (reply.status, json.loads(reply.body)) == (200, {"status": "ok"})
    [line] = [record for record in caplog.records if record.name == "yeastar_adapter.reports"]
    text = TextFormatter().format(line)
    assert text.startswith("INFO yeastar_adapter.reports: delivered ")
    assert f"message_request_id={REQUEST_ID} consumer=acme-manila order_id=SDPS260325103012A1B2C3D" in text
    assert f"client_order_id={order['client_order_id']} message_status=DELIVRD seconds=0" in text
    assert order["phone_number"] not in text
    assert f"recipient=…{order['phone_number'][-4:]}" in text


def test_a_report_that_repeats_is_one_line(caplog):
    by = adapter(delivery_reports=REPORTS)
    order = order_of(by)
    caplog.set_level(logging.INFO)
    assert [report_on(order, by).status for _ in range(3)] == [200, 200, 200]
    assert len([record for record in caplog.records if record.name == "yeastar_adapter.reports"]) == 1
    assert deliveries.counters.repeated == 2


def test_another_configuration_with_the_same_secret_takes_the_report():
    order = order_of(adapter(delivery_reports=REPORTS))
    assert report_on(order, adapter(delivery_reports=REPORTS, consumers=[])).status == 200


def test_with_kongs_authentication_a_report_needs_none_either():
    order = order_of(adapter(delivery_reports=REPORTS))
    assert report_on(order, adapter(delivery_reports=REPORTS, authentication="kong")).status == 200


@pytest.mark.parametrize(
    ("changes", "method", "status"),
    [
        ({"message_status": "WHO-KNOWS"}, "POST", 422),
        ({"message_status": None}, "POST", 400),
        ({"client_order_id": "another-order"}, "POST", 400),
        ({}, "GET", 405),
        ({}, "PUT", 405),
    ],
)
def test_what_is_no_report_is_answered_in_no_form_of_a_pbx(changes, method, status):
    by = adapter(delivery_reports=REPORTS)
    refusals = dict(requests.counters.refused)
    reply = report_on(order_of(by), by, method, **changes)
    assert reply.status == status
    assert json.loads(reply.body).keys() == {"status", "reason"}
    assert dict(requests.counters.refused) == refusals


def test_a_stranger_gets_no_further_and_few_lines(caplog):
    by = adapter(delivery_reports=REPORTS)
    caplog.set_level(logging.INFO)
    forged = {**order_of(by), "dlr_address": "/api/v1/integration/yeastar/sms/reports/" + "A" * 90}
    assert {report_on(forged, by).status for _ in range(200)} == {404}
    assert len([record for record in caplog.records if "report refused" in record.getMessage()]) <= 1
    assert deliveries.counters.refused == {"address": 200}


def test_where_reports_are_off_their_route_says_so():
    order = order_of(adapter(delivery_reports=REPORTS))
    assert report_on(order, adapter()).status == 404


def test_an_accepted_order_is_expected_to_be_reported():
    by = adapter(delivery_reports=REPORTS)
    by.response(answered(202, {"data": {"order_id": "SDPS1"}}, consumer="acme-manila"))
    by.response(answered(500, {}, consumer="acme-manila"))
    assert deliveries.counters.expected == {"acme-manila": 1}


def test_a_secret_that_is_too_short_is_a_warning_and_messages_go_out_without():
    by = adapter(delivery_reports={**REPORTS, "secret": "too short"})
    assert "dlr_address" not in order_of(by)
    assert any("delivery_reports.secret" in warning for warning in by._settings.warnings)
