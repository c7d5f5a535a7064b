"""kong/load_once.py: a first configuration, through the Admin API of a Kong with a database. All of it, or nothing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.harness.kong_yml import KongYml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def load_once() -> ModuleType:
    spec = importlib.util.spec_from_file_location("load_once", ROOT / "kong/load_once.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Killed(BaseException):
    """The container ends here."""


class Gateway:
    """A Kong with a database, as far as its Admin API is asked. `fails_at`: the call that is answered 500;
    `dies_at`: the call before which the caller is gone."""

    url = "http://kong-admin:8001"

    def __init__(self, load_once: ModuleType) -> None:
        self._refusal = load_once.NotLoaded
        self._pages = load_once.AdminApi.all
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self.calls = 0
        self.fails_at = self.dies_at = 0

    def all(self, path: str, tag: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._pages(self, path, tag)
        return found

    def call(self, method: str, path: str, body: Any = None) -> Any:
        self.calls += 1
        assert not self.open_routes(), "a route leads to the service before all plugins are there"
        if self.calls == self.dies_at:
            raise Killed
        if self.calls == self.fails_at:
            raise self._refusal(f"{method} /{path}: 500")
        path, _, query = path.partition("?")
        parts = path.split("/")
        if parts[0] == "schemas":
            if "five" in json.dumps(body):
                raise self._refusal(f"{method} /{path}: 400 expected an integer")
            return {}
        table = self.tables.setdefault(parts[0], {})
        if method == "POST":
            entity = {"id": f"{parts[0]}-{len(table)}", **body}
            table[entity["id"]] = entity
            return entity
        if len(parts) == 1:
            wanted = query.partition("tags=")[2]
            return {
                "data": [one for one in table.values() if not wanted or wanted in (one.get("tags") or ())]
            }
        named = [one for one in table.values() if parts[1] in (one["id"], one.get("name"))]
        if method == "PATCH":
            named[0].update(body)
        elif method == "DELETE":
            for one in named:
                del table[one["id"]]
        return named[0] if named else None

    def names(self, kind: str) -> set[str]:
        return {one.get("name") or one["username"] for one in self.tables.get(kind, {}).values()}

    def open_routes(self) -> list[str]:
        """Routes that a client can use while one of the three plugins is missing on them."""
        services = {one["id"]: one for one in self.tables.get("services", {}).values()}
        found = []
        for route in self.tables.get("routes", {}).values():
            there = {
                plugin["name"]
                for plugin in self.tables.get("plugins", {}).values()
                if (plugin.get("route") or {}).get("id") == route["id"]
            }
            serves = services[route["service"]["id"]].get("enabled", True)
            if serves and not {"yeastar-reader", "yeastar-adapter", "yeastar-guard"} <= there:
                found.append(route["name"])
        return found

    @property
    def is_empty(self) -> bool:
        return not any(self.tables.values())


@pytest.fixture
def gateway(load_once: ModuleType) -> Gateway:
    return Gateway(load_once)


@pytest.fixture
def path(kong_yml: KongYml, tmp_path: Path) -> str:
    (tmp_path / "kong.yml").write_text(kong_yml.text())
    return str(tmp_path / "kong.yml")


def test_an_empty_gateway_is_given_all_of_kong_yml(
    load_once: ModuleType, gateway: Gateway, path: str
) -> None:
    assert "is loaded" in load_once.run(path, gateway)
    assert gateway.names("services") == {"futuresms"}
    assert gateway.names("routes") == {"yeastar-sms"}
    assert {"yeastar-reader", "yeastar-adapter", "yeastar-guard"} <= gateway.names("plugins")
    assert gateway.names("consumers") == {"acme-manila", "globex-cebu"}
    assert all(service["enabled"] for service in gateway.tables["services"].values())


def test_a_gateway_that_has_a_configuration_keeps_it(
    load_once: ModuleType, gateway: Gateway, path: str
) -> None:
    load_once.run(path, gateway)
    before = json.dumps(gateway.tables)
    assert "has a configuration already" in load_once.run(path, gateway)
    assert json.dumps(gateway.tables) == before


def test_one_wrong_value_and_nothing_is_created(
    load_once: ModuleType, gateway: Gateway, kong_yml: KongYml, tmp_path: Path
) -> None:
    kong_yml.config["rate_limit"]["second"] = "five"
    (tmp_path / "wrong.yml").write_text(kong_yml.text())
    with pytest.raises(load_once.NotLoaded, match=r"plugins 'yeastar-adapter': .*expected an integer"):
        load_once.run(str(tmp_path / "wrong.yml"), gateway)
    assert gateway.is_empty


def test_a_collection_that_is_not_known_is_said_and_nothing_is_created(
    load_once: ModuleType, gateway: Gateway, kong_yml: KongYml, tmp_path: Path
) -> None:
    kong_yml["wasm_things"] = []
    (tmp_path / "wrong.yml").write_text(kong_yml.text())
    with pytest.raises(load_once.NotLoaded, match=r"wasm_things: .*load this file with decK"):
        load_once.run(str(tmp_path / "wrong.yml"), gateway)
    assert gateway.calls == 0


def calls_of_a_load(load_once: ModuleType, path: str) -> int:
    counted = Gateway(load_once)
    load_once.run(path, counted)
    return counted.calls


def test_a_call_that_fails_anywhere_leaves_nothing(load_once: ModuleType, path: str) -> None:
    for number in range(1, calls_of_a_load(load_once, path)):
        gateway = Gateway(load_once)
        gateway.fails_at = number
        with pytest.raises(load_once.NotLoaded):
            load_once.run(path, gateway)
        assert gateway.is_empty, f"call {number}"


def test_a_load_that_is_killed_anywhere_is_open_to_nobody_and_is_begun_anew(
    load_once: ModuleType, path: str
) -> None:
    last = calls_of_a_load(load_once, path)
    for number in range(1, last + 1):
        gateway = Gateway(load_once)
        gateway.dies_at = number
        with pytest.raises(Killed):
            load_once.run(path, gateway)
        assert gateway.open_routes() == []
        assert "is loaded" in load_once.run(path, gateway), f"call {number}"
        assert gateway.names("services") == {"futuresms"}
        assert len(gateway.tables["routes"]) == 1


def test_a_route_that_an_older_load_has_left_open_is_refused(
    load_once: ModuleType, gateway: Gateway, path: str
) -> None:
    load_once.run(path, gateway)
    adapters = [one for one in gateway.tables["plugins"].values() if one["name"] == "yeastar-adapter"]
    service = next(iter(gateway.tables["services"].values()))
    service["enabled"] = False  # so that the gateway of the test does not find it open first
    for adapter in adapters:
        del gateway.tables["plugins"][adapter["id"]]
    with pytest.raises(load_once.NotLoaded, match="yeastar-sms without yeastar-adapter"):
        load_once.run(path, gateway)


def test_nobody_at_the_address_is_said(
    load_once: ModuleType, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_once.main([path, "http://127.0.0.1:1"]) == 1
    assert "Connection refused" in capsys.readouterr().err
