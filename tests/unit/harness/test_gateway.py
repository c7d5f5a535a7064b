from __future__ import annotations

import pytest

from tests.harness.gateway import wait_until
from tests.harness.outside import found_addresses


def test_a_configuration_is_in_force_when_load_returns(gateway, kong_yml, pbx):
    kong_yml.entry("acme-manila")["enabled"] = False
    gateway.load(kong_yml)
    assert pbx.verify().code == "10005"


def test_the_next_test_has_the_projects_configuration_again(pbx):
    assert pbx.verify().status == 200


def test_a_refused_configuration_is_told_in_kongs_words(gateway, kong_yml):
    kong_yml.config["rate_limit"]["second"] = "five"
    with pytest.raises(AssertionError, match="second"):
        gateway.load(kong_yml)


def test_a_killed_plugin_server_is_replaced(embedded_gateway, pbx):
    before = embedded_gateway.kill_plugin_server()
    assert before
    wait_until(lambda: set(embedded_gateway.plugin_server_pids()) - set(before), 30, "another plugin server")
    wait_until(lambda: pbx.verify().status == 200, 30, "service again")


def test_a_hanging_plugin_server_goes_on_when_it_is_let(embedded_gateway, pbx):
    assert embedded_gateway.stop_plugin_server()
    embedded_gateway.cont_plugin_server()
    assert pbx.verify().status == 200


def test_a_reload_brings_a_new_plugin_server(embedded_gateway, pbx):
    before = embedded_gateway.plugin_server_pids()
    embedded_gateway.reload()
    wait_until(
        lambda: not set(before) & set(embedded_gateway.plugin_server_pids()), 30, "the old server's end"
    )
    assert pbx.verify().status == 200


def test_a_gateway_of_a_tests_own_stops_cleanly(start_gateway, pbx_at):
    gateway = start_gateway(workers=1)
    assert pbx_at(gateway.proxy_url).verify().status == 200
    assert gateway.stop() == 0


def test_a_killed_gateway_can_be_started_again_at_its_address(start_gateway, pbx_at):
    gateway = start_gateway()
    gateway.kill()
    gateway.restart()
    assert pbx_at(gateway.proxy_url).verify().status == 200


def test_a_gateway_tells_how_it_reaches_futuresms_and_redis(gateway, stub, redis_server):
    found = found_addresses(gateway.admin_url)
    assert found["upstream"] == stub.url
    assert found["redis"]["port"] == redis_server.port
