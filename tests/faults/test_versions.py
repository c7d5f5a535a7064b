"""Reader, adapter and guard of different releases: those of one interface work together, others refuse."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.gateway import ROOT
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Pbx
from tests.harness.stub import StubServer

READER, GUARD = "yeastar-reader", "yeastar-guard"


def lua_of_another_release(directory: Path, name: str, constant: str, value: str) -> dict[str, str]:
    """The Lua plugins with one constant of one of them changed; the environment in which a gateway takes them."""
    copied = directory / "kong" / "plugins"
    shutil.copytree(ROOT / "kong" / "plugins", copied)
    handler = copied / name / "handler.lua"
    text, changed = re.subn(
        rf"^local {constant} = .*$", f"local {constant} = {value}", handler.read_text(), flags=re.M
    )
    assert changed == 1
    handler.write_text(text)
    return {"KONG_LUA_PACKAGE_PATH": f"{directory}/?.lua;;"}


@pytest.mark.parametrize("interface", [0, 2])
@pytest.mark.parametrize("name", [READER, GUARD])
def test_lua_of_another_interface_sends_nothing_and_is_named(
    start_gateway: Callable[..., Any],
    kong_yml: KongYml,
    stub: StubServer,
    pbx_at: Callable[..., Pbx],
    tmp_path: Path,
    name: str,
    interface: int,
) -> None:
    environment = lua_of_another_release(tmp_path, name, "INTERFACE", str(interface))
    gateway = start_gateway(kong_yml, environment=environment, workers=1)
    pbx = pbx_at(gateway.proxy_url)
    assert [pbx.send().code for _ in range(3)] == ["10007"] * 3
    assert stub.orders() == []
    assert f"speaks interface {interface}" in gateway.log() or f"speaks {interface};" in gateway.log()
    assert "install the three of one release" in gateway.log()


@pytest.mark.parametrize("interface", [0, 2])
def test_an_adapter_of_another_interface_sends_nothing_and_is_named(
    start_gateway: Callable[..., Any],
    kong_yml: KongYml,
    stub: StubServer,
    pbx_at: Callable[..., Pbx],
    interface: int,
) -> None:
    command = f"{sys.executable} {ROOT / 'tests/faults/other_interface.py'} {interface}"
    gateway = start_gateway(kong_yml, plugin_command=command, workers=1)
    pbx = pbx_at(gateway.proxy_url)
    assert [pbx.send().code for _ in range(3)] == ["10007"] * 3
    assert stub.orders() == []
    assert f"this yeastar-adapter speaks {interface}" in gateway.log()


@pytest.mark.parametrize("name", [READER, GUARD])
def test_another_release_of_the_same_interface_works(
    start_gateway: Callable[..., Any],
    kong_yml: KongYml,
    stub: StubServer,
    pbx_at: Callable[..., Pbx],
    tmp_path: Path,
    name: str,
) -> None:
    environment = lua_of_another_release(tmp_path, name, "VERSION", '"0.2.9"')
    gateway = start_gateway(kong_yml, environment=environment, workers=1)
    assert pbx_at(gateway.proxy_url).send().status == 200
    assert len(stub.orders()) == 1
