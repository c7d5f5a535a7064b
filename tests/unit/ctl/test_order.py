"""`yeastarctl order`: what became of a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.merchant import Merchant
from tests.harness.stub import PASSWORD, USERNAME, StubClient
from tests.unit.ctl.conftest import Cli

ENV = {"FUTURESMS_USERNAME": USERNAME, "FUTURESMS_PASSWORD": PASSWORD}
REQUEST_ID = "b265232f3fe6b44558bdf63d6147c16e"
CLIENT_ORDER_ID = "71b96bec16d54186d69054cfa3f3f95c"


@pytest.fixture
def kong_yml(tmp_path: Path, stub: StubClient) -> Path:
    path = tmp_path / "kong.yml"
    path.write_text(
        f"""
_format_version: "3.0"
services:
  - name: futuresms
    url: {stub.url}
    routes:
      - name: sms
        paths: [/sms]
        plugins:
          - name: yeastar-adapter
            config:
              merchant:
                username: "{{vault://env/futuresms-username}}"
                password: "{{vault://env/futuresms-password}}"
              consumers:
                - username: acme
                - username: globex
                  merchant: {{username: other, password: other-password}}
"""
    )
    return path


@pytest.fixture
def merchant(stub: StubClient) -> Merchant:
    stub.report(charge_ms=0, delay_ms=0)
    return Merchant(stub.url)


def send(merchant: Merchant, **fields: Any) -> str:
    order_id: str = merchant.send(**fields).json()["data"]["order_id"]
    return order_id


def test_a_delivered_message_is_told_in_words(cli: Cli, kong_yml: Path, merchant: Merchant) -> None:
    order_id = send(merchant)
    result = cli("order", order_id, "--config", kong_yml, env=ENV)
    assert result.exit_code == 0, result.output
    assert f"{order_id}: delivered (DELIVRD), 20" in result.output
    assert "it is on the recipient's phone" in result.output
    assert "charged, 0.012000 USD" in result.output


@pytest.mark.parametrize(
    ("digits", "words"), [("0001", "undelivered (UNDELIV)"), ("0002", "undelivered (EXPIRED)")]
)
def test_an_undelivered_message_is_told_why(
    cli: Cli, kong_yml: Path, merchant: Merchant, digits: str, words: str
) -> None:
    result = cli("order", send(merchant, phone_number=f"+63917123{digits}"), "--config", kong_yml, env=ENV)
    assert result.exit_code == 0
    assert words in result.output


def test_a_message_on_its_way_is_told_so(
    cli: Cli, kong_yml: Path, merchant: Merchant, stub: StubClient
) -> None:
    stub.report(charge_ms=600_000, delay_ms=600_000)
    result = cli("order", send(merchant), "--config", kong_yml, env=ENV)
    assert ": accepted\n" in result.output
    assert "no delivery report yet" in result.output


def test_text_number_and_report_address_are_masked_unless_asked_for(
    cli: Cli, kong_yml: Path, merchant: Merchant
) -> None:
    order_id = send(merchant, dlr_address="https://sms.example.com/secret-part")
    for options in ((), ("--json",)):
        output = cli("order", order_id, "--config", kong_yml, *options, env=ENV).output
        assert "+639171234567" not in output
        assert "…4567" in output
        assert "Your table is ready" not in output
        shown = cli(
            "order", order_id, "--config", kong_yml, "--show-text", "--show-number", *options, env=ENV
        ).output
        assert "+639171234567" in shown
        assert "Your table is ready" in shown
        assert "secret-part" not in output + shown


def test_several_orders_are_one_document(cli: Cli, kong_yml: Path, merchant: Merchant) -> None:
    ids = [send(merchant), send(merchant, phone_number="+639171230003")]
    result = cli("order", *ids, "--config", kong_yml, "--json", env=ENV)
    document = json.loads(result.output)
    assert result.exit_code == 0
    assert document["ok"] is True
    assert [(row["id"], row["state"], row["final"]) for row in document["orders"]] == [
        (ids[0], "delivered", True),
        (ids[1], "undelivered", True),
    ]


def test_an_order_that_is_not_found_is_a_problem(cli: Cli, kong_yml: Path, merchant: Merchant) -> None:
    result = cli("order", send(merchant), "SDPS000000000000NONE000", "--config", kong_yml, env=ENV)
    assert result.exit_code == 1
    assert "delivered" in result.output
    assert "FutureSMS knows no such order in these accounts" in result.output


def test_every_account_of_the_file_is_asked(
    cli: Cli, kong_yml: Path, merchant: Merchant, stub: StubClient
) -> None:
    stub.merchant("other", password="other-password")
    order_id = send(Merchant(stub.url, "other", "other-password"))
    assert cli("order", order_id, "--config", kong_yml, env=ENV).exit_code == 0
    assert cli("order", order_id, "--config", kong_yml, "--consumer", "globex", env=ENV).exit_code == 0
    assert cli("order", order_id, "--config", kong_yml, "--consumer", "acme", env=ENV).exit_code == 1


def test_the_variables_may_be_in_a_file(cli: Cli, kong_yml: Path, merchant: Merchant, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"FUTURESMS_USERNAME={USERNAME}\nFUTURESMS_PASSWORD={PASSWORD}\n")
    assert cli("order", send(merchant), "--config", kong_yml, "--env-file", env_file).exit_code == 0


def test_an_account_may_be_given(cli: Cli, merchant: Merchant, stub: StubClient, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    given = ("--futuresms-url", stub.url, "--username", USERNAME, "--password-file", secret)
    assert cli("order", send(merchant), *given).exit_code == 0


def test_a_refused_log_in_is_told(cli: Cli, kong_yml: Path, merchant: Merchant) -> None:
    wrong = {**ENV, "FUTURESMS_PASSWORD": "wrong"}
    result = cli("order", send(merchant), "--config", kong_yml, "--consumer", "acme", env=wrong)
    assert result.exit_code == 1
    assert "refuses the log-in" in result.output


def test_a_futuresms_that_is_away_has_an_exit_status_of_its_own(cli: Cli, kong_yml: Path) -> None:
    result = cli("order", "SDPS1", "--config", kong_yml, "--futuresms-url", "http://127.0.0.1:1", env=ENV)
    assert result.exit_code == 3


def test_a_watch_ends_with_the_message(
    cli: Cli, kong_yml: Path, merchant: Merchant, stub: StubClient
) -> None:
    stub.report(charge_ms=0, delay_ms=1000)
    order_id = send(merchant)
    result = cli("order", order_id, "--config", kong_yml, "--watch", "--interval", "0.1", env=ENV)
    assert result.exit_code == 0
    assert f"{order_id}: delivered" in result.output


TEXT_LINE = (
    "2026/11/25 [info] 1#0: *3 [kong] [yeastar-adapter:99] INFO yeastar_adapter.requests: sent request_id={request} "
    "consumer=acme client_order_id={client} order_id={order} upstream_ms=2, context: ngx.timer\n"
)
REPORT_LINE = (
    "INFO yeastar_adapter.reports: delivered request_id=11111111111111111111111111111111 message_request_id={request} "
    "consumer=acme order_id={order} client_order_id={client} message_status=DELIVRD seconds=3.2 recipient=…4567\n"
)
JSON_LINE = (
    '[yeastar-adapter:99] {{"time": "t", "level": "debug", "message": "sent", "request_id": "{request}", '
    '"client_order_id": "{client}", "order_id": "{order}"}}, context: ngx.timer\n'
)


@pytest.mark.parametrize("line", [TEXT_LINE, REPORT_LINE, JSON_LINE])
def test_the_log_leads_from_a_request_to_its_order(
    cli: Cli, kong_yml: Path, merchant: Merchant, line: str
) -> None:
    order_id = send(merchant)
    log = "noise\n" + line.format(request=REQUEST_ID, client=CLIENT_ORDER_ID, order=order_id)
    for asked in (("--request-id", REQUEST_ID), (CLIENT_ORDER_ID,)):
        result = cli("order", *asked, "--log", "-", "--config", kong_yml, env=ENV, input=log)
        assert result.exit_code == 0, result.output
        assert f"→ {order_id}: delivered" in result.output


def test_the_log_says_of_a_refused_request_that_it_became_no_order(
    cli: Cli, kong_yml: Path, merchant: Merchant
) -> None:
    log = (
        "INFO yeastar_adapter.requests: refused: 'to' is too short code=10001 status=400 fault=pbx "
        f"endpoint=sendmessage request_id={REQUEST_ID} consumer=acme\n"
    )
    result = cli("order", "--request-id", REQUEST_ID, "--log", "-", "--config", kong_yml, env=ENV, input=log)
    assert result.exit_code == 1
    assert "it became no order: the PBX got 10001" in result.output


def test_a_request_that_the_log_does_not_know_is_told_how_it_would(
    cli: Cli, kong_yml: Path, merchant: Merchant
) -> None:
    result = cli(
        "order", "--request-id", REQUEST_ID, "--log", "-", "--config", kong_yml, env=ENV, input="noise\n"
    )
    assert result.exit_code == 1
    assert "log.level debug" in result.output


def test_a_wrong_call_says_what_is_missing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "which order?" in cli("order").output
    assert "--request-id needs --log" in cli("order", "--request-id", REQUEST_ID).output
    assert "which account?" in cli("order", "SDPS1", "--futuresms-url", "http://127.0.0.1:1").output
