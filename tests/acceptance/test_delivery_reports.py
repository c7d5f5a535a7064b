"""What became of a message comes back to the gateway, and is counted once."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.harness.gateway import Gateway, wait_until
from tests.harness.kong_yml import REPORTS, KongYml
from tests.harness.pbx import Pbx
from tests.harness.stub import StubClient


@pytest.fixture
def reporting(gateway: Gateway, kong_yml: KongYml, stub: StubClient, pytestconfig: pytest.Config) -> Gateway:
    """A gateway with the second route, and a FutureSMS that reports at once, to this machine too."""
    public_url = pytestconfig.getoption("--reports-url") or gateway.proxy_url
    kong_yml.take_reports(public_url)
    gateway.load(kong_yml)
    stub.report(https_only=False, allow_private=True, charge_ms=0, delay_ms=0, retry_ms=0)
    return gateway


def counts(stub: StubClient) -> dict[str, int]:
    """What became of the reports, once all of them are done."""
    wait_until(lambda: stub.reports()["waiting"] == 0, 60, "the reports to be done")
    found: dict[str, int] = stub.reports()["counts"]
    return found


def post(gateway: Gateway, path: str, body: Any = None, method: str = "POST") -> requests.Response:
    return requests.request(method, gateway.proxy_url + path, json=body, timeout=30)


def path_of(stub: StubClient) -> str:
    return urlsplit(stub.orders()[-1]["dlr_address"]).path


def test_what_became_of_a_message_is_taken_at_the_first_attempt(
    reporting: Gateway, pbx: Pbx, stub: StubClient
) -> None:
    assert pbx.send().status == 200
    assert pbx.send(to="+639171230001").status == 200
    assert counts(stub) == {"attempts": 2, "stored": 2, "stored DELIVRD": 1, "stored UNDELIV": 1}


def test_a_report_is_no_order_and_reaches_futuresms_in_no_form(
    reporting: Gateway, pbx: Pbx, stub: StubClient
) -> None:
    pbx.send()
    counts(stub)
    assert len(stub.orders()) == 1
    assert not [row for row in stub.requests() if "reports" in row["path"]]


def test_a_report_that_comes_again_is_answered_alike(reporting: Gateway, pbx: Pbx, stub: StubClient) -> None:
    stub.report(repeat=3)
    pbx.send()
    assert counts(stub)["attempts"] == 4
    assert {call["status"] for call in stub.reports(last=10)["calls"]} == {200}


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("POST", {"order_id": "1", "message_status": "NEVER-SEEN"}, 422),
        ("POST", {"order_id": "1"}, 400),
        ("POST", [], 400),
        ("GET", None, 405),
    ],
)
def test_what_is_no_report_is_answered_in_no_form_of_a_pbx(
    reporting: Gateway, pbx: Pbx, stub: StubClient, method: str, body: Any, status: int
) -> None:
    stub.report(delay_ms=600_000)
    pbx.send()
    answer = post(reporting, path_of(stub), body, method)
    assert answer.status_code == status
    assert answer.json().keys() == {"status", "reason"}
    assert not {name.lower() for name in answer.headers} & {"x-yeastar-adapter", "www-authenticate"}


def test_a_stranger_can_report_nothing(reporting: Gateway, pbx: Pbx, stub: StubClient) -> None:
    stub.report(delay_ms=600_000)
    pbx.send()
    path = path_of(stub)
    forged = path[:-10] + ("A" if path[-10] != "A" else "B") + path[-9:]
    report = {"order_id": "SDPS1", "message_status": "DELIVRD"}
    assert post(reporting, forged, report).status_code == 404
    assert post(reporting, REPORTS + "x", report).status_code == 404
    assert post(reporting, path, report).status_code == 200


def test_nobody_sends_a_message_through_the_reports_route(
    reporting: Gateway, pbx: Pbx, stub: StubClient
) -> None:
    answer = pbx.request("POST", REPORTS + "sendmessage", body=b"{}", checked=False)
    assert answer.status == 404
    assert stub.orders() == []
