"""Whatever breaks: no order without a key, no message twice, an answer in the contract's form, and back by itself."""

from __future__ import annotations

import contextlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness.faults import Faults
from tests.harness.gateway import wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.load import Load
from tests.harness.pbx import SENDMESSAGE, Pbx
from tests.harness.stub import LOGIN, REFRESH, StubServer

BEFORE, DURING, AFTER = 20, 40, 40


def settled(faults: Faults, load: Load) -> None:
    """What has to be true when the fault is over: counts right, and nothing left in the plugin server."""
    load.verdict()
    server = faults.plugin_server()
    wait_until(lambda: server.open_events() == 0, 30, "no open event")


@pytest.mark.parametrize("fault", ["redis_down", "redis_hung", "redis_read_only"])
def test_messages_go_on_without_redis(faults: Faults, load: Load, fault: str) -> None:
    with load.running():
        load.wait_for(BEFORE)
        with getattr(faults, fault)():
            load.wait_for(DURING)
        load.wait_for(AFTER)
    assert load.statuses.keys() == {200}
    settled(faults, load)


def test_messages_go_on_while_redis_has_no_memory(faults: Faults, load: Load) -> None:
    with load.running():
        with faults.redis_configured(maxmemory="1", maxmemory_policy="noeviction"):
            load.wait_for(DURING)
        load.wait_for(AFTER)
    assert load.statuses.keys() == {200}
    settled(faults, load)


def test_messages_go_on_while_redis_forgets_its_scripts(faults: Faults, load: Load) -> None:
    with load.running():
        for _ in range(3):
            with faults.redis.client() as client:
                client.script_flush()
            load.wait_for(BEFORE)
    assert load.statuses.keys() == {200}
    settled(faults, load)


def test_without_redis_and_without_tolerance_messages_are_refused_until_it_is_back(
    faults: Faults, load: Load, kong_yml: KongYml
) -> None:
    kong_yml.config["rate_limit"]["fault_tolerant"] = False
    faults.gateway.load(kong_yml)
    with load.running():
        load.wait_for_status(200)
        with faults.redis_down():
            load.wait_for_status(500)
        load.wait_for_status(200)
    settled(faults, load)


@pytest.mark.parametrize(
    "others", [{"yeastar-adapter:2:{sendmessage:acme-manila}": "not ours"}, {"other": "x" * 100}]
)
def test_a_redis_server_full_of_somebody_else_s_keys_does_not_matter(
    faults: Faults, load: Load, others: dict[str, str]
) -> None:
    with faults.redis.client() as client:
        client.mset(others)
    with load.running():
        load.wait_for(DURING)
    assert load.statuses.keys() == {200}
    settled(faults, load)


@pytest.mark.parametrize(
    "behaviour",
    [
        {"status": 503, "body": "<html>busy</html>"},
        {"status": 500, "body": {"error_code": "X"}},
        {"drop_connection": True},
        {"reset": True},
        {"half_body": True},
        {"half_body": True, "accept": True},
        {"drop_connection": True, "accept": True},
        {"reset": True, "accept": True},
        {"raw": "not http\r\n\r\n", "accept": True},
        {"status": 202, "body": "<html>"},
        {"status": 202, "body": {"data": {}}, "accept": True},
        {"body": "x" * 10_000_000, "accept": True},
    ],
    ids=lambda behaviour: " ".join(f"{name}={str(value)[:24]}" for name, value in behaviour.items()),
)
def test_a_futuresms_that_misbehaves_is_10007_and_no_message_goes_twice(
    faults: Faults, load: Load, behaviour: dict[str, Any]
) -> None:
    with load.running():
        load.wait_for_status(200)
        with faults.futuresms(**behaviour):
            load.wait_for_status(500)
        load.wait_for_status(200)
    assert load.statuses.keys() == {200, 500}
    settled(faults, load)


def test_a_futuresms_that_is_gone_is_10007_until_it_is_back(faults: Faults, load: Load) -> None:
    with load.running():
        load.wait_for_status(200)
        faults.stub.kill()
        load.wait_for_status(500)
        assert load.statuses.keys() == {200, 500}
        faults.stub.start()
        load.wait_for_status(200)
    # The stub's memory went with it, so only the answers can be judged.
    assert load.statuses.keys() == {200, 500}


def test_a_futuresms_that_hangs_is_10007_within_the_service_s_time_limit(
    faults: Faults, load: Load, kong_yml: KongYml
) -> None:
    kong_yml.service["read_timeout"] = 500
    faults.gateway.load(kong_yml)
    with load.running():
        load.wait_for_status(200)
        with faults.futuresms_hung():
            load.wait_for_status(500)
        load.wait_for_status(200)
    assert load.statuses.keys() == {200, 500}
    load.verdict()


@pytest.mark.parametrize("kind", ["expire_tokens", "revoke_tokens"])
def test_tokens_that_die_under_load_cost_no_message(faults: Faults, load: Load, kind: str) -> None:
    with load.running():
        for _ in range(3):
            load.wait_for_each(4)
            getattr(faults.stub, kind)()
        load.wait_for(AFTER)
    assert load.statuses.keys() == {200}
    settled(faults, load)


@pytest.mark.parametrize(
    ("login", "status"),
    [
        ({"status": 401, "body": {"error_code": "UNAUTHORIZED"}}, 403),
        ({"status": 503}, 500),
        ({"reset": True}, 500),
    ],
    ids=["refused", "down", "reset"],
)
def test_a_log_in_that_fails_under_load_is_not_hammered_and_heals(
    faults: Faults, load: Load, login: dict[str, Any], status: int
) -> None:
    with load.running():
        load.wait_for_status(200)
        logins = faults.stub.count(f"POST {LOGIN}")
        faults.stub.behave(path=REFRESH, times=None, status=401, body={})
        faults.stub.behave(path=LOGIN, times=None, **login)
        faults.stub.revoke_tokens()
        load.wait_for_status(status)
        load.wait_for(DURING)
        attempts = faults.stub.count(f"POST {LOGIN}") - logins
        faults.stub.behave_well()
        load.wait_for_status(200, seconds=90)
    assert attempts <= 12
    assert load.statuses.keys() <= {200, status, 403}
    settled(faults, load)


def test_a_killed_plugin_server_lets_nothing_through_and_comes_back(faults: Faults, load: Load) -> None:
    with load.running():
        for _ in range(3):
            load.wait_for_status(200)
            with faults.killed_plugin_server():
                load.wait_for(5)
        load.wait_for_status(200)
    assert load.statuses.keys() <= {200, 500}
    settled(faults, load)


def test_a_hung_plugin_server_lets_nothing_through_and_comes_back(
    faults: Faults, load: Load, pbx: Pbx
) -> None:
    with faults.hung_plugin_server(), ThreadPoolExecutor() as pool:
        sent, verified = pool.submit(pbx.send), pool.submit(pbx.verify, key="nobody")
        assert sent.result().code == "10007"
        assert verified.result().code == "10007"
    with load.running():
        load.wait_for_status(200)
    settled(faults, load)


def test_a_reload_under_load_loses_no_message(faults: Faults, load: Load) -> None:
    with load.running():
        for _ in range(3):
            load.wait_for(BEFORE)
            faults.gateway.reload()
        load.wait_for(AFTER)
    assert load.statuses.keys() == {200}
    load.verdict()


def test_a_changed_configuration_under_load_loses_no_message(
    faults: Faults, load: Load, kong_yml: KongYml
) -> None:
    with load.running():
        for number in range(5):
            kong_yml.entry("acme-manila")["sender_id"] = f"SID-100{1 + number % 2}"
            faults.gateway.load(kong_yml)
            load.wait_for(BEFORE)
    assert load.statuses.keys() == {200}
    settled(faults, load)


def test_a_pbx_that_is_switched_off_under_load_sends_nothing_from_then_on(
    faults: Faults, load: Load, kong_yml: KongYml
) -> None:
    with load.running():
        load.wait_for_status(200)
        kong_yml.entry("acme-manila")["enabled"] = False
        faults.gateway.load(kong_yml)
        load.wait_for_status(403)
        orders = len(faults.stub.orders())
        load.wait_for(DURING)
        assert len(faults.stub.orders()) == orders
        kong_yml.entry("acme-manila")["enabled"] = True
        faults.gateway.load(kong_yml)
        load.wait_for_status(200)
    assert load.statuses.keys() == {200, 403}
    settled(faults, load)


def test_everything_at_once(faults: Faults, load: Load, kong_yml: KongYml) -> None:
    with load.running():
        with faults.redis_down(), faults.futuresms(reset=True, accept=True, times=10):
            faults.stub.expire_tokens()
            with faults.killed_plugin_server():
                faults.gateway.load(kong_yml)
                load.wait_for(5)
        load.wait_for_status(200)
    assert load.statuses.keys() <= {200, 500}
    settled(faults, load)


AWAY = """
local load_consumer = kong.client.load_consumer
return function()
  local away = kong.request.get_header("X-Database") == "away"
  kong.client.load_consumer = away and function() return nil, "[postgres] connection refused" end or load_consumer
end
"""


def test_messages_go_on_while_kongs_database_is_away(
    faults: Faults, kong_yml: KongYml, stub: StubServer, pbx: Pbx
) -> None:
    kong_yml.config["consumer_cache_seconds"] = 0
    kong_yml.setdefault("plugins", []).append({"name": "pre-function", "config": {"access": [AWAY]}})
    faults.gateway.load(kong_yml)
    host = faults.gateway.proxy_url.removeprefix("http://")
    # One connection stays with one worker, whose instance of the plugin remembers.
    with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as connection:

        def send(database: str) -> int:
            headers = {"Authorization": f"Bearer {pbx.key}", "X-Database": database}
            message = json.dumps({"from": "+63280000001", "to": "+639171234567", "text": "hello"})
            connection.request("POST", SENDMESSAGE, message, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert [send("away"), send("there")] == [500, 200]
        assert [send("away") for _ in range(5)] == [200] * 5
        assert send("there") == 200
    assert len(stub.orders()) == 7
    log = faults.gateway.log()
    assert "refused: Kong cannot look up the consumer 'acme-manila': [postgres] connection refused" in log
