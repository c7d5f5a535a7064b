"""Switching a PBX off and on while the gateway runs, and consumers that Kong has authenticated itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY, DEMO_KEY_OFF, Pbx
from tests.harness.stub import StubClient


def test_off_and_on_again_in_the_adapter_s_configuration(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx
) -> None:
    kong_yml.entry("globex-cebu")["enabled"] = True
    gateway.load(kong_yml)
    for enabled in (False, True):
        kong_yml.entry("acme-manila")["enabled"] = enabled
        gateway.load(kong_yml)
        assert pbx.verify().code == (None if enabled else "10005")
        assert pbx.send().code == (None if enabled else "10005")
        assert pbx.verify(key=DEMO_KEY_OFF).status == 200


NATIVE = {
    "acme-manila": "native_acme_manila_0123456789",
    "globex-cebu": "native_globex_cebu_0123456789",
    "initech": "native_initech_0123456789abcd",
}


@pytest.fixture
def native(kong_yml: KongYml) -> KongYml:
    """Consumers authenticated by Kong's key-auth: acme with an instance, globex's is off, initech has none."""
    config = kong_yml.config
    shared = {name: config[name] for name in ("order", "merchant", "rate_limit")}
    shared["authentication"] = "kong"
    scoped = {
        "name": "yeastar-adapter",
        "config": {**shared, "order": {**shared["order"], "sender_id": "SID-1002"}},
    }
    kong_yml["consumers"] = [
        {"username": name, "keyauth_credentials": [{"key": f"Bearer {key}"}]} for name, key in NATIVE.items()
    ]
    kong_yml.consumer("acme-manila")["plugins"] = [scoped]
    kong_yml.consumer("globex-cebu")["plugins"] = [{**scoped, "enabled": False}]
    kong_yml["consumers"].append({"username": "anonymous-pbx"})
    kong_yml.plugin["config"] = {**shared, "consumers": []}
    key_auth: dict[str, Any] = {
        "key_names": ["authorization"],
        "key_in_query": False,
        "anonymous": "anonymous-pbx",
        "hide_credentials": True,
    }
    kong_yml.service["routes"][0]["plugins"].append({"name": "key-auth", "config": key_auth})
    return kong_yml


def test_kong_s_own_authentication_serves_a_consumer_with_an_instance(
    gateway: Gateway, native: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    gateway.load(native)
    assert pbx.verify(key=NATIVE["acme-manila"]).status == 200
    assert pbx.send(key=NATIVE["acme-manila"]).status == 200
    [order] = stub.orders()
    assert order["sender_id"] == "SID-1002"
    seen = stub.requests()[-1]["headers"]
    assert not [name for name in seen if name.startswith(("x-consumer", "x-credential", "x-anonymous"))]
    assert NATIVE["acme-manila"] not in repr(stub.requests())


@pytest.mark.parametrize(
    ("key", "code"),
    [(NATIVE["globex-cebu"], "10005"), (NATIVE["initech"], "10005"), ("nobody", "10004"), (None, "10004")],
)
def test_kong_s_own_authentication_lets_nobody_else_in(
    gateway: Gateway, native: KongYml, pbx: Pbx, stub: StubClient, key: str | None, code: str
) -> None:
    gateway.load(native)
    assert pbx.verify(key=key).code == code
    assert pbx.send(key=key).code == code
    assert stub.requests() == []


def test_off_and_on_again_by_the_consumer_s_own_instance(gateway: Gateway, native: KongYml, pbx: Pbx) -> None:
    native.consumer("globex-cebu")["plugins"][0]["enabled"] = True
    for enabled in (False, True):
        native.consumer("acme-manila")["plugins"][0]["enabled"] = enabled
        gateway.load(native)
        assert pbx.send(key=NATIVE["acme-manila"]).code == (None if enabled else "10005")
        assert pbx.send(key=NATIVE["globex-cebu"]).status == 200


def test_without_an_anonymous_consumer_key_auth_itself_refuses(
    gateway: Gateway, native: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    del native.service["routes"][0]["plugins"][-1]["config"]["anonymous"]
    gateway.load(native)
    assert pbx.verify(key=NATIVE["acme-manila"]).status == 200
    assert pbx.verify(key="nobody").code == "10004"
    assert pbx.verify(key=None).code == "10004"


def test_an_entry_in_the_route_s_instance_serves_kong_s_consumers_too(
    gateway: Gateway, native: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    native.config["consumers"] = [{"username": "initech", "sender_id": "SID-1"}]
    gateway.load(native)
    assert pbx.send(key=NATIVE["initech"]).status == 200
    assert stub.orders()[-1]["sender_id"] == "SID-1"
    native.config["consumers"][0]["enabled"] = False
    gateway.load(native)
    assert pbx.send(key=NATIVE["initech"]).code == "10005"


def test_an_adapter_that_trusts_kong_lets_nobody_in_when_no_plugin_authenticates(
    gateway: Gateway, native: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    plugins = native.service["routes"][0]["plugins"]
    native.service["routes"][0]["plugins"] = [p for p in plugins if p["name"] != "key-auth"]
    gateway.load(native)
    for key in (NATIVE["acme-manila"], DEMO_KEY, None):
        assert pbx.send(key=key).code == "10004"
    assert stub.requests() == []


def test_a_token_that_expires_costs_kong_s_consumers_nothing(
    gateway: Gateway, native: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    gateway.load(native)
    assert pbx.send(key=NATIVE["acme-manila"]).status == 200
    stub.expire_tokens()
    assert pbx.send(key=NATIVE["acme-manila"]).status == 200
    assert [order["sender_id"] for order in stub.orders()] == ["SID-1002"] * 2
