"""`yeastarctl lua-path`: what Kong needs to find reader and guard."""

from __future__ import annotations

import json
from pathlib import Path

from kong_declarative import lua_plugin
from yeastarctl.check.known import GUARD, READER, definitions

from tests.unit.ctl.conftest import Cli


def test_kong_finds_both_plugins_there(cli: Cli) -> None:
    value = cli("lua-path").stdout.strip()
    assert value.endswith(";;")
    template = value.split(";")[0]
    for name in (READER, GUARD):
        for module in ("handler", "schema"):
            assert Path(template.replace("?", f"kong/plugins/{name}/{module}")).is_file()


def test_the_same_as_json(cli: Cli) -> None:
    told = json.loads(cli("lua-path", "--json").stdout)
    assert told["lua_package_path"] == cli("lua-path").stdout.strip()


def test_their_schemas_are_read_from_the_lua_itself() -> None:
    for name in (READER, GUARD):
        folder = Path(lua_plugin.__file__).parents[2] / "kong" / "plugins" / name
        assert definitions()[name].definition == lua_plugin.load(folder).definition
        assert not definitions()[name].takes_consumer
        assert definitions()[name].version
