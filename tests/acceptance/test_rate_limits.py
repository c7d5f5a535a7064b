"""How many messages a PBX may send."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY_OFF, Answer, Pbx, steadily
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
OTHER_KEY = "ystr_test_unlimited_0123456789abcd"


def test_so_many_and_no_more(gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient) -> None:
    gateway.load(limited)
    answers = [pbx.send(key=KEY) for _ in range(5)]
    assert [answer.code for answer in answers] == [None] * 3 + ["10006"] * 2
    answer = answers[-1]
    assert 1 <= int(answer.headers["retry-after"]) <= 3600
    assert answer.headers["ratelimit-limit"] == "3"
    assert answer.headers["ratelimit-remaining"] == "0"
    assert int(answer.headers["ratelimit-reset"]) >= 1
    assert len(stub.orders()) == 3


def test_redis_counts(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    """Where it refuses, requests are counted in the gateway: no other test would notice."""
    kong_yml.limit(minute=1000)
    kong_yml.config["rate_limit"] |= {"policy": "redis", "fault_tolerant": False}
    gateway.load(kong_yml)
    answer = pbx.send()
    assert answer.status == 200, "Redis does not count for the gateway; its log says why"


def test_of_many_at_once_so_many_and_no_more(
    gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    gateway.load(limited)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: pbx.send(key=KEY), range(32)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 29
    assert len(stub.orders()) == 3


def test_verify_and_messages_never_spend_what_the_other_may_use(
    gateway: Gateway, limited: KongYml, pbx: Pbx
) -> None:
    gateway.load(limited)
    assert [pbx.verify(key=KEY).code for _ in range(4)] == [None] * 3 + ["10006"]
    assert [pbx.send(key=KEY).code for _ in range(4)] == [None] * 3 + ["10006"]


def at_once(pbx: Pbx, count: int) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda number: pbx.send(text=f"message {number}", key=KEY), range(count)))


def test_those_who_come_early_get_their_turn_and_no_more(
    gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    limited.limit(second=3, minute=180)
    gateway.load(limited)
    started = time.monotonic()
    answers = at_once(pbx, 20)
    seconds_late = int((time.monotonic() - started) / 0.999) - 1
    # Three at once, and three a second later; the rest would have to wait for longer than a second. A busy machine that
    # takes more than a second to bring them all lets three pass for each second more.
    sent = len(stub.orders())
    assert 6 <= sent <= 6 + 3 * seconds_late
    assert sorted(answer.status for answer in answers) == [200] * sent + [429] * (20 - sent)
    assert {answer.headers["retry-after"] for answer in answers if answer.status == 429} <= {"1", "2"}


def test_without_a_wait_whoever_comes_early_is_refused(
    gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    limited.limit(second=3, hour=3)
    limited.config["rate_limit"]["max_wait_ms"] = 0
    gateway.load(limited)
    assert sorted(answer.status for answer in at_once(pbx, 20)) == [200] * 3 + [429] * 17
    assert len(stub.orders()) == 3


def test_who_waits_for_his_turn_holds_up_nobody_else(
    gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    limited.limit(second=1)
    limited.config["rate_limit"]["max_wait_ms"] = 3000
    limited.add_pbx(f"other-{uuid.uuid4().hex}", OTHER_KEY, sender_id="SID-1", rate_limit={"second": 1000})
    gateway.load(limited)
    assert pbx.send(key=KEY).status == 200
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pbx.send, text="in its turn", key=KEY)
        others = 0
        while not waiting.done():
            assert pbx.send(key=OTHER_KEY).status == 200
            others += 1
    assert waiting.result().status == 200
    assert others >= 5
    assert "in its turn" in [order["var"] for order in stub.orders()]


def test_a_pbx_at_the_documented_rate_loses_nothing(
    gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    limited.limit(second=5, minute=300)
    gateway.load(limited)
    answers = steadily(lambda: pbx.send(key=KEY), 30, rate=5)
    assert [answer.code for answer in answers] == [None] * 30
    assert len(stub.orders()) == 30


def test_a_pbx_that_sends_a_list_in_bursts_of_its_rate_loses_nothing(
    gateway: Gateway, limited: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    limited.limit(second=5, minute=300)
    gateway.load(limited)
    # It sends the next burst when it has the answers to the last one: early, since what waits is answered late.
    codes = [answer.code for _ in range(4) for answer in at_once(pbx, 5)]
    assert codes == [None] * 20
    assert len(stub.orders()) == 20


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
