"""kong/load_once.py: a first configuration, through the Admin API of a Kong with a database."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.harness.gateway import EmbeddedGateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY, DEMO_KEY_OFF, Pbx
from tests.harness.stub import StubClient

ROOT = Path(__file__).resolve().parents[2]
EMPTY = {"_format_version": "3.0"}


@pytest.fixture(scope="module")
def load_once() -> ModuleType:
    spec = importlib.util.spec_from_file_location("load_once", ROOT / "kong/load_once.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def empty(start_gateway: Callable[..., EmbeddedGateway]) -> EmbeddedGateway:
    return start_gateway(EMPTY, workers=1, environment={**os.environ, "KONG_DATABASE": "postgres"})


def write(configuration: KongYml, directory: Path) -> str:
    path = directory / "kong.yml"
    path.write_text(configuration.text())
    return str(path)


def test_an_empty_gateway_is_given_all_of_kong_yml(
    load_once: ModuleType,
    empty: EmbeddedGateway,
    kong_yml: KongYml,
    pbx_at: Callable[..., Pbx],
    stub: StubClient,
    tmp_path: Path,
) -> None:
    assert load_once.main([write(kong_yml, tmp_path), empty.admin_url]) == 0
    assert pbx_at(empty.proxy_url, key=DEMO_KEY).send().status == 200
    assert pbx_at(empty.proxy_url, key=DEMO_KEY_OFF).send().code == "10005"
    assert pbx_at(empty.proxy_url).verify(key=None).code == "10004"
    assert len(stub.orders()) == 1


def test_a_gateway_that_has_a_configuration_keeps_it(
    load_once: ModuleType,
    empty: EmbeddedGateway,
    kong_yml: KongYml,
    pbx_at: Callable[..., Pbx],
    tmp_path: Path,
) -> None:
    path = write(kong_yml, tmp_path)
    assert load_once.main([path, empty.admin_url]) == 0
    entities = {name: empty.admin("GET", f"/{name}").json()["data"] for name in ("plugins", "consumers")}
    kong_yml.entry("acme-manila")["enabled"] = False
    write(kong_yml, tmp_path)
    assert load_once.main([path, empty.admin_url]) == 0
    assert {name: empty.admin("GET", f"/{name}").json()["data"] for name in entities} == entities
    assert pbx_at(empty.proxy_url, key=DEMO_KEY).verify().status == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"consumers": [{"username": ""}]}, "POST /consumers: 400"),
        ({"wasm_things": []}, "load this file with decK"),
    ],
)
def test_what_cannot_be_loaded_is_said_and_the_status_is_1(
    load_once: ModuleType,
    empty: EmbeddedGateway,
    kong_yml: KongYml,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    said: str,
) -> None:
    kong_yml.update(change)
    assert load_once.main([write(kong_yml, tmp_path), empty.admin_url]) == 1
    assert said in capsys.readouterr().err


def test_nobody_at_the_address_is_said(
    load_once: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_once.main([str(tmp_path / "kong.yml"), "http://127.0.0.1:1"]) == 1
    assert "Connection refused" in capsys.readouterr().err
