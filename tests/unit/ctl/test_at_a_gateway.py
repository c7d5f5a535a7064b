"""The command line at a gateway with the whole way behind it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.gateway import EmbeddedGateway, Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.stub import StubClient
from tests.unit.ctl.conftest import Cli

DEMO_KEY = "ystr_demo_acme_manila_7Jw2pVqX9sKd4nBt"
KEY_OF_THE_ONE_THAT_IS_OFF = "ystr_demo_globex_cebu_Qm5TzL8rYc3WhN6v"
MESSAGE = ("--from", "+63280000001", "--to", "+639171234567", "--text", "Your table is ready")


def test_the_demo_pbx_is_let_in_and_the_others_are_not(cli: Cli, gateway: Gateway) -> None:
    codes = {}
    for key in (DEMO_KEY, KEY_OF_THE_ONE_THAT_IS_OFF, "ystr_nobody_0123456789"):
        result = cli("verify", "--url", gateway.proxy_url, "--key", key, "--json")
        codes[key] = (result.exit_code, json.loads(result.stdout).get("code", result.stdout))
    assert list(codes.values()) == [(0, None), (1, "10005"), (1, "10004")]


def test_messages_become_orders(cli: Cli, gateway: Gateway, stub: StubClient) -> None:
    call = ("send", *MESSAGE, "--url", gateway.proxy_url, "--key", DEMO_KEY, "--json")
    first = json.loads(cli(*call).stdout)
    many = json.loads(cli(*call, "--count", 5, "--rate", 100).stdout)
    assert (first["ok"], many["ok"]) == (True, True), (first, many)
    assert {order["order_id"] for order in stub.orders()} == {first["order_id"], *many["order_ids"]}


def test_media_is_refused_with_its_explanation(cli: Cli, gateway: Gateway) -> None:
    result = cli(
        *("send", *MESSAGE, "--media-url", "https://example.com/menu.png"),
        *("--url", gateway.proxy_url, "--key", DEMO_KEY),
    )
    assert result.exit_code == 1, result.output
    assert "10003 Unsupported media" in result.output


def test_the_doctor_finds_the_gateway_s_plugin_server(
    cli: Cli, embedded_gateway: EmbeddedGateway, kong_yml: KongYml, tmp_path: Path
) -> None:
    configuration = tmp_path / "kong.json"  # JSON is YAML
    configuration.write_text(kong_yml.as_json())
    cli("verify", "--url", embedded_gateway.proxy_url, "--key", DEMO_KEY)
    result = cli("doctor", "--prefix", embedded_gateway.prefix, "--config", configuration, "--json")
    checks = {check["subject"]: check["state"] for check in json.loads(result.stdout)["checks"]}
    assert checks["plugin server"] == "ok"
    assert checks["instances"] == "ok"
    assert "fail" not in checks.values(), result.stdout
