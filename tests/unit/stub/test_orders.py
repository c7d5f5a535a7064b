from __future__ import annotations

import re

import pytest
import requests

from tests.harness.stub import SENDS


def test_an_order_is_accepted_with_the_documented_answer(merchant):
    answer = merchant.send()
    assert answer.status_code == 202
    assert answer.json()["message"] == "Accepted"
    data = answer.json()["data"]
    assert re.fullmatch(r"SDPS\d{12}[0-9A-Z]{7}", data["order_id"])
    assert (data["order_status"], data["message_status"]) == ("pending", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["created_at"])


def test_order_ids_never_repeat(merchant):
    ids = {merchant.send().json()["data"]["order_id"] for _ in range(50)}
    assert len(ids) == 50


def test_an_accepted_order_can_be_read_with_every_field_received(stub, merchant):
    sent = merchant.send(client_order_id="client-ord-0001", campaign="unknown fields are tolerated").json()
    [order] = stub.orders()
    assert order["order_id"] == sent["data"]["order_id"]
    assert order["phone_number"] == "+639171234567"
    assert order["template_id"] == "TPL1001"
    assert order["sender_id"] == "SID-1"
    assert order["var"] == "Your table is ready"
    assert order["client_order_id"] == "client-ord-0001"
    assert order["campaign"] == "unknown fields are tolerated"


def test_orders_stand_in_the_order_of_their_arrival(stub, merchant):
    for text in ("first", "second", "third"):
        merchant.send(var=text)
    assert [order["var"] for order in stub.orders()] == ["first", "second", "third"]
    assert [order["var"] for order in stub.orders(last=1)] == ["third"]


def test_an_order_is_looked_up_by_its_id(stub, merchant):
    stub.report(charge_ms=600_000, delay_ms=600_000)
    sent = merchant.send(template_id="TPL1024", var="4711", dlr_address="https://example.com/dlr").json()[
        "data"
    ]
    answer = merchant.call("GET", f"/api/v1/sms/orders/{sent['order_id']}")
    assert answer.status_code == 200
    assert answer.json()["data"] == {
        "order_id": sent["order_id"],
        "client_order_id": None,
        "order_status": "pending",
        "message_status": None,
        "phone_number": "+639171234567",
        "sender_value": "FUTURESMS",
        "content": "Your code is 4711",
        "merchant_price_usd": "0.000000",
        "dlr_address": "https://example.com/dlr",
        "dlr_available": False,
        "created_at": sent["created_at"],
        "updated_at": sent["created_at"],
    }


def test_an_unknown_order_is_not_found(merchant):
    answer = merchant.call("GET", "/api/v1/sms/orders/SDPS260325103012A1B2C3D")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phone_number", ...),
        ("phone_number", None),
        ("phone_number", 639171234567),
        ("phone_number", "09171234567"),
        ("phone_number", "+0639171234567"),
        ("phone_number", "+" + "6" * 32),
        ("phone_number", "+639171230000"),
        ("template_id", ...),
        ("template_id", "TPL"),
        ("template_id", "TPL10010000000000"),
        ("sender_id", ...),
        ("sender_id", ""),
        ("var", ...),
        ("var", ""),
        ("var", ["text"]),
        ("var", "x" * 2001),
        ("var", "half a pair \ud83d"),
        ("client_order_id", "eleven-char"),
        ("client_order_id", " eleven-char "),
        ("client_order_id", "x" * 129),
        ("dlr_address", "https://" + "x" * 248),
    ],
)
def test_a_field_against_its_rule_is_a_validation_error_that_names_it(stub, merchant, field, value):
    answer = merchant.send(**{field: value})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"].startswith(f"{field}: ")
    assert stub.orders() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"var": "x" * 2000},
        {"var": "☎" * 2000},
        {"template_id": "TPL1024", "var": "x" * 24},
        {"template_id": "TPL1000", "var": ...},
        {"template_id": "TPL1000", "var": ""},
        {"sender_id": "SID-1002"},
        {"client_order_id": "x" * 12},
        {"client_order_id": "x" * 128},
        {"dlr_address": "https://" + "x" * 247},
        {"client_order_id": None, "dlr_address": None},
    ],
)
def test_a_field_at_the_edge_of_its_rule_is_accepted(merchant, fields):
    answer = merchant.send(**fields)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"template_id": "TPL1024", "var": "x" * 25}, 422),
        ({"template_id": "TPL1000", "var": "text"}, 422),
        ({"template_id": "TPL1999", "var": "text"}, 403),
        ({"template_id": "TPL4711"}, 404),
        ({"sender_id": "AUTO"}, 403),
        ({"sender_id": "SID-9"}, 403),
    ],
)
def test_template_and_sender_must_be_usable(stub, merchant, fields, status):
    assert merchant.send(**fields).status_code == status
    assert stub.orders() == []


def test_a_client_order_id_is_unique_for_good(stub, merchant):
    assert merchant.send(client_order_id="client-ord-0001").status_code == 202
    answer = merchant.send(client_order_id=" client-ord-0001 ")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "CONFLICT")
    assert "client_order_id" in answer.json()["details"]
    assert len(stub.orders()) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff{}", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_validation_error(merchant, body):
    answer = merchant.call("POST", SENDS, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "VALIDATION_ERROR")


def test_a_body_that_is_not_said_to_be_json_is_a_validation_error(merchant):
    answer = merchant.call("POST", SENDS, data=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "VALIDATION_ERROR")


def test_a_body_of_more_than_a_megabyte_is_too_large(merchant):
    assert merchant.send(var="x" * (1 << 20)).status_code == 413


def test_another_method_and_another_path_have_their_own_errors(stub):
    wrong_method = requests.get(stub.url + SENDS, timeout=10)
    assert (wrong_method.status_code, wrong_method.headers["Allow"]) == (405, "POST")
    wrong_path = requests.get(stub.url + "/api/v1/nothing", timeout=10)
    assert (wrong_path.status_code, wrong_path.json()["error_code"]) == (404, "NOT_FOUND")
