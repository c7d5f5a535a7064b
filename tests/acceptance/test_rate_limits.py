"""How many messages a PBX may send."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY_OFF, Pbx
from tests.harness.stub import StubClient


@pytest.fixture(params=["local", "redis"])
def limited(request: pytest.FixtureRequest, kong_yml: KongYml) -> KongYml:
    """Three requests an hour, for a consumer that no other test has counted."""
    limited = kong_yml
    limited.limit(hour=3)
    limited.config["rate_limit"]["policy"] = request.param
    limited.add_pbx(f"limited-{uuid.uuid4().hex}", KEY, sender_id="SID-1")
    return limited


KEY = "ystr_test_limited_0123456789abcdef"


def test_so_many_and_no_more(gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient) -> None:
    gateway.load(limited)
    assert [pbx.send(key=KEY).code for _ in range(5)] == [None] * 3 + ["10006"] * 2
    answer = pbx.verify(key=KEY)
    assert answer.code == "10006"
    assert 1 <= int(answer.headers["retry-after"]) <= 3600
    assert answer.headers["ratelimit-limit"] == "3"
    assert answer.headers["ratelimit-remaining"] == "0"
    assert int(answer.headers["ratelimit-reset"]) >= 1
    assert len(stub.orders()) == 3


def test_of_many_at_once_so_many_and_no_more(
    gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    gateway.load(limited)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: pbx.send(key=KEY), range(32)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 29
    assert len(stub.orders()) == 3


def test_a_consumer_has_limits_of_its_own(gateway: Gateway, limited: KongYml, pbx: Pbx) -> None:
    limited.config["consumers"][-1]["rate_limit"] = {"hour": 1}
    gateway.load(limited)
    assert [pbx.send(key=KEY).code for _ in range(2)] == [None, "10006"]


def test_limits_that_change_keep_what_was_counted(gateway: Gateway, limited: KongYml, pbx: Pbx) -> None:
    gateway.load(limited)
    assert [pbx.send(key=KEY).code for _ in range(3)] == [None] * 3
    limited.config["consumers"][-1]["rate_limit"] = {"hour": 5}
    gateway.load(limited)
    assert [pbx.send(key=KEY).code for _ in range(3)] == [None, None, "10006"]


def test_refused_keys_and_switched_off_consumers_are_not_counted(
    gateway: Gateway, limited: KongYml, pbx: Pbx
) -> None:
    gateway.load(limited)
    for _ in range(4):
        assert pbx.send(key="nobody").code == "10004"
        assert pbx.send(key=DEMO_KEY_OFF).code == "10005"
    assert pbx.send(key=KEY).status == 200


def test_the_rate_comes_before_the_message(gateway: Gateway, limited: KongYml, pbx: Pbx) -> None:
    gateway.load(limited)
    assert [pbx.post(b"x", key=KEY).code for _ in range(4)] == ["10002"] * 3 + ["10006"]


def test_accepted_messages_carry_the_quota_when_that_is_wanted(
    gateway: Gateway, limited: KongYml, pbx: Pbx
) -> None:
    limited.config["rate_limit"]["hide_client_headers"] = False
    gateway.load(limited)
    answers = [pbx.send(key=KEY) for _ in range(3)]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0"]
    assert {answer.headers["ratelimit-limit"] for answer in answers} == {"3"}
