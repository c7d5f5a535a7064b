from __future__ import annotations

from tests.harness.kong_yml import KongYml


def test_the_builder_finds_the_plugin_of_the_projects_file():
    kong_yml = KongYml.read()
    assert kong_yml.entry("acme-manila")["sender_id"] == "SID-1001"
    assert kong_yml.consumer("globex-cebu")["username"] == "globex-cebu"
    assert kong_yml.service["name"] == "futuresms"


def test_addresses_are_replaced():
    kong_yml = KongYml.read()
    kong_yml.use_upstream("http://127.0.0.1:1")
    kong_yml.use_redis({"host": "127.0.0.1", "port": 2})
    assert kong_yml.service["url"] == "http://127.0.0.1:1"
    assert kong_yml.config["rate_limit"]["redis"] == {"host": "127.0.0.1", "port": 2}


def test_vault_references_become_their_values():
    kong_yml = KongYml.read()
    kong_yml.resolve_vaults({"FUTURESMS_USERNAME": "me", "FUTURESMS_PASSWORD": "mine"})
    assert kong_yml.config["merchant"] == {"username": "me", "password": "mine"}


def test_a_pbx_is_a_kong_consumer_and_an_entry():
    kong_yml = KongYml.read()
    kong_yml.add_pbx("initech", "a-key-of-at-least-20-characters", sender_id="SID-1002")
    assert kong_yml.consumer("initech")
    assert kong_yml.entry("initech")["sender_id"] == "SID-1002"


def test_limits_are_those_that_are_named():
    kong_yml = KongYml.read()
    kong_yml.limit(minute=7)
    assert kong_yml.config["rate_limit"]["minute"] == 7
    assert "second" not in kong_yml.config["rate_limit"]


def test_a_copy_is_independent():
    kong_yml = KongYml.read()
    kong_yml.copy().config["merchant"]["username"] = "other"
    assert kong_yml.config["merchant"]["username"] != "other"
    assert kong_yml.copy().as_json() == kong_yml.as_json()
