"""The guard that `yeastarctl` knows is the one of kong.yml."""

from __future__ import annotations

import json
from pathlib import Path

from ruamel.yaml import YAML
from yeastar_adapter.ctl.check.guard import shipped

from tests.unit.ctl.conftest import Cli

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_guard_is_kong_yml_s() -> None:
    kong = YAML(typ="safe").load(ROOT / "kong.yml")
    config = kong["services"][0]["routes"][0]["plugins"][1]["config"]
    assert {phase: [lua] for phase, lua in shipped().items()} == config, "run scripts/generate.py"


def test_the_printed_guard_is_yaml_to_paste(cli: Cli) -> None:
    (printed,) = YAML(typ="safe").load(cli("config", "guard").stdout)
    assert printed["name"] == "post-function"
    assert {phase: lua for phase, (lua,) in printed["config"].items()} == shipped()
    assert json.loads(cli("config", "guard", "--json").stdout) == printed


def test_the_guard_can_be_printed_for_another_order_path(cli: Cli) -> None:
    printed = cli("config", "guard", "--order-path", "/v2/orders").stdout
    assert '"/v2/orders"' in printed
    assert "/api/v1/sms/sends" not in printed
