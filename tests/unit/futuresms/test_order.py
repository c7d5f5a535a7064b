"""The order that goes to FutureSMS."""

from __future__ import annotations

import json

from yeastar_adapter.futuresms.order import Order, OrderForm, new_client_order_id


def form(**changes: object) -> OrderForm:
    fields = {"path": "/p", "template_id": "TPL1", "text_field": "var", "dlr_address": None}
    return OrderForm(**{**fields, **changes})  # type: ignore[arg-type]


def fields(order: Order) -> dict[str, str]:
    parsed = json.loads(order.body)
    assert isinstance(parsed, dict)
    return parsed


def test_an_order_has_the_documented_fields_and_no_other() -> None:
    order = Order.make(form(), "SID-1", "+630000000001", "Grüße 😀")
    assert fields(order) == {
        "phone_number": "+630000000001",
        "template_id": "TPL1",
        "sender_id": "SID-1",
        "var": "Grüße 😀",
        "client_order_id": order.client_order_id,
    }


def test_text_field_and_delivery_reports_are_configured() -> None:
    order = Order.make(form(text_field="message", dlr_address="https://x/dlr"), "SID-1", "+63", "hi")
    assert fields(order)["message"] == "hi"
    assert fields(order)["dlr_address"] == "https://x/dlr"


def test_client_order_ids_are_fresh_and_of_the_documented_length() -> None:
    ids = {new_client_order_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(12 <= len(i) <= 128 and i.isascii() for i in ids)
