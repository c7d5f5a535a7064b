"""Reader, adapter and guard of different releases: those of one interface work together, others refuse."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.gateway import ROOT, EmbeddedGateway
from tests.harness.pbx import Pbx
from tests.harness.stub import StubServer

READER, GUARD = "yeastar-reader", "yeastar-guard"

StartWith = Callable[[str, str, str], EmbeddedGateway]


@pytest.fixture
def start_with(start_gateway: Callable[..., EmbeddedGateway], tmp_path: Path) -> StartWith:
    """`start_with("yeastar-guard", "VERSION", '"9"')`: a gateway where one constant of one Lua plugin is another."""

    def start(name: str, constant: str, value: str) -> EmbeddedGateway:
        copied = tmp_path / "kong" / "plugins"
        shutil.copytree(ROOT / "kong" / "plugins", copied)
        handler = copied / name / "handler.lua"
        text, changed = re.subn(
            rf"^local {constant} = .*$", f"local {constant} = {value}", handler.read_text(), flags=re.M
        )
        assert changed == 1
        handler.write_text(text)
        return start_gateway(environment={"KONG_LUA_PACKAGE_PATH": f"{tmp_path}/?.lua;;"}, workers=1)

    return start


@pytest.fixture
def assert_nothing_is_sent(stub: StubServer, pbx_at: Callable[..., Pbx]) -> Callable[[Any], None]:
    def check(gateway: EmbeddedGateway) -> None:
        pbx = pbx_at(gateway.proxy_url)
        assert [pbx.send().code for _ in range(3)] == ["10007"] * 3
        assert stub.orders() == []

    return check


@pytest.mark.parametrize("interface", [0, 2])
@pytest.mark.parametrize("name", [READER, GUARD])
def test_lua_of_another_interface_sends_nothing_and_is_named(
    start_with: StartWith, assert_nothing_is_sent: Callable[[Any], None], name: str, interface: int
) -> None:
    gateway = start_with(name, "INTERFACE", str(interface))
    assert_nothing_is_sent(gateway)
    said = gateway.log()
    assert f"speaks interface {interface}" in said or f"speaks {interface};" in said
    assert "yeastar-reader is of another version" in said or name == READER
    assert "install the three of one release" in gateway.log()


@pytest.mark.parametrize("interface", [0, 2])
def test_an_adapter_of_another_interface_sends_nothing_and_is_named(
    start_gateway: Callable[..., Any], assert_nothing_is_sent: Callable[[Any], None], interface: int
) -> None:
    command = f"{sys.executable} {ROOT / 'tests/faults/other_interface.py'} {interface}"
    gateway = start_gateway(plugin_command=command, workers=1)
    assert_nothing_is_sent(gateway)
    assert f"this yeastar-adapter speaks {interface}" in gateway.log()


@pytest.mark.parametrize("name", [READER, GUARD])
def test_another_release_of_the_same_interface_works(
    start_with: StartWith, stub: StubServer, pbx_at: Callable[..., Pbx], name: str
) -> None:
    gateway = start_with(name, "VERSION", '"0.2.9"')
    assert pbx_at(gateway.proxy_url).send().status == 200
    assert len(stub.orders()) == 1
