"""Only configuration chooses sender, template and account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Pbx
from tests.harness.stub import LOGIN, StubClient


def test_the_route_s_sender_serves_a_consumer_without_one(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    del kong_yml.entry("acme-manila")["sender_id"]
    gateway.load(kong_yml)
    assert pbx.send().status == 200
    assert stub.orders()[-1]["sender_id"] == kong_yml.config["order"]["sender_id"]


def test_senders_are_chosen_by_the_pbx_s_number_and_others_have_no_permission(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    kong_yml.entry("acme-manila")["senders"] = {"+63280000001": "SID-1002"}
    gateway.load(kong_yml)
    assert pbx.send(from_="+63280000001").status == 200
    assert stub.orders()[-1]["sender_id"] == "SID-1002"
    assert pbx.send(from_="+63280000002").code == "10005"
    assert len(stub.orders()) == 1


def test_a_sender_in_the_message_is_ignored(pbx: Pbx, stub: StubClient) -> None:
    body = '{"from": "+63280000001", "to": "+639171234567", "text": "x", "sender_id": "SID-1002", "template_id": "T"}'
    assert pbx.post(body).status == 200
    assert stub.orders()[-1]["sender_id"] == "SID-1001"
    assert stub.orders()[-1]["template_id"] == "TPL1001"


UNSET = "{vault://env/no-such-variable-anywhere}"


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ("order", "template_id"),
        ("order", "sender_id"),
        ("merchant", "username"),
        ("merchant", "password"),
    ],
)
@pytest.mark.parametrize("value", [None, UNSET, "", " "])
def test_what_is_not_configured_or_blank_cannot_send(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient, where: str, field: str, value: str | None
) -> None:
    del kong_yml.entry("acme-manila")["sender_id"]
    kong_yml.config[where][field] = value
    gateway.load(kong_yml)
    assert pbx.verify().status == 200
    assert pbx.send(to="x").code == "10001"
    assert pbx.send().code == "10005"
    assert stub.requests() == []


@pytest.mark.parametrize("field", ["sender_id", "template_id"])
def test_a_blank_override_does_not_fall_back_on_the_route_s(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient, field: str
) -> None:
    kong_yml.entry("acme-manila")[field] = UNSET
    gateway.load(kong_yml)
    assert pbx.send().code == "10005"
    assert stub.orders() == []


def test_each_consumer_may_have_its_own_account(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    stub.merchant("initech-user", password="initech-password")
    entry: dict[str, Any] = kong_yml.add_pbx("initech", "ystr_test_initech_0123456789abcdef")
    entry["merchant"] = {"username": "initech-user", "password": "initech-password"}
    gateway.load(kong_yml)
    assert pbx.send().status == 200
    assert pbx.send(key="ystr_test_initech_0123456789abcdef").status == 200
    assert stub.count(f"POST {LOGIN}") == 2


def test_text_field_template_and_delivery_reports_are_configured(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    kong_yml.config["order"]["dlr_address"] = "https://pbx.example/dlr"
    kong_yml.entry("acme-manila")["template_id"] = "TPL1024"
    gateway.load(kong_yml)
    assert pbx.send(text="x" * 24).status == 200
    assert stub.orders()[-1]["dlr_address"] == "https://pbx.example/dlr"
    assert stub.orders()[-1]["template_id"] == "TPL1024"
    assert pbx.send(text="x" * 25).code == "10002"


@pytest.mark.parametrize(("template", "code"), [("TPL1000", "10002"), ("TPL1999", None), ("TPL4040", None)])
def test_a_template_that_futuresms_does_not_like_is_the_set_up_s_fault_or_the_message_s(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient, template: str, code: str | None
) -> None:
    kong_yml.config["order"]["template_id"] = template
    gateway.load(kong_yml)
    answer = pbx.send()
    assert answer.status >= 400
    assert code is None or answer.code == code
    assert stub.orders() == []
