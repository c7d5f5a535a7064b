"""The reader and the guard that `yeastarctl` knows are those of kong.yml."""

from __future__ import annotations

import json
from pathlib import Path

from ruamel.yaml import YAML
from yeastarctl.check.functions import shipped

from tests.unit.ctl.conftest import Cli

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_functions_are_kong_yml_s() -> None:
    kong = YAML(typ="safe").load(ROOT / "kong.yml")
    plugins = {plugin["name"]: plugin["config"] for plugin in kong["services"][0]["routes"][0]["plugins"]}
    for name, phases in shipped().items():
        assert {phase: [lua] for phase, lua in phases.items()} == plugins[name], "run scripts/generate.py"


def test_what_is_printed_is_yaml_to_paste(cli: Cli) -> None:
    printed = YAML(typ="safe").load(cli("config", "guard").stdout)
    found = {plugin["name"]: {phase: lua for phase, (lua,) in plugin["config"].items()} for plugin in printed}
    assert found == shipped()
    assert json.loads(cli("config", "guard", "--json").stdout) == printed


def test_the_guard_can_be_printed_for_another_order_path(cli: Cli) -> None:
    printed = cli("config", "guard", "--order-path", "/v2/orders").stdout
    assert '"/v2/orders"' in printed
    assert "/api/v1/sms/sends" not in printed
