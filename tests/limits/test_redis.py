"""What nodes count together on a real Redis server."""

from __future__ import annotations

import random
import time
from copy import deepcopy
from itertools import islice

import pytest
import redis as redis_py
from hypothesis import given, settings
from hypothesis import strategies as st
from yeastar_adapter.limits.shared_connection import SCRIPT
from yeastar_adapter.limits.window import LONGEST_WAIT, RECORDS, Window, admit

from tests.fuzz.cases import LONG
from tests.harness.link import Link
from tests.limits.conftest import passed, until

KEY = "yeastar-adapter:2:{acme}"
SECOND = 1_000_000


def calls(client: redis_py.Redis, command: str) -> int:
    return client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)


def test_of_simultaneous_requests_as_many_pass_as_the_limit_says(node):
    results = node.admit(times=200, minute=60)
    assert passed(results) == 60
    assert sorted(result[2] for result in results if result[0]) == list(range(60))


def test_nodes_that_are_released_together_share_one_count(redis, start_node):
    nodes = [start_node(redis.settings()) for _ in range(4)]
    for node in nodes:
        node.admit("somebody else", minute=1)
    for limit in (1, 50, 150):
        for node in nodes:
            node.begin_admitting(f"acme-{limit}", 100, minute=limit, hour=1000)
        assert sum(passed(node.end()) for node in nodes) == limit


def test_a_refused_request_says_when_to_come_back(node):
    node.admit(times=2, second=100, minute=2)
    allowed, limit, remaining, reset, retry_after, window, wait = node.admit(second=100, minute=2)[0]
    assert (allowed, limit, remaining, window, wait) == (False, 2, 0, 60, 0)
    assert 1 <= retry_after == reset <= 60


def test_requests_that_come_early_wait_for_their_turn_on_all_nodes_together(redis, start_node):
    nodes = [start_node(redis.settings()) for _ in range(2)]
    for node in nodes:
        node.admit("somebody else", minute=1)
    started = time.monotonic()
    for node in nodes:
        node.begin_admitting("acme", 20, second=5, max_wait_seconds=1)
    results = [result for node in nodes for result in node.end()]
    seconds_late = int((time.monotonic() - started) / 0.999) - 1
    waits = sorted(result[6] for result in results if result[0])
    # Five at once and five a second later; five for each second more that a busy machine takes to bring them all.
    assert 10 <= len(waits) <= 10 + 5 * seconds_late
    assert waits[:5] == [0] * 5
    assert waits[-1] <= 1_000_000
    assert sum(node.counters()["waits"] for node in nodes) == sum(wait > 0 for wait in waits) >= 5


def test_a_greenlet_that_is_killed_while_it_waits_for_its_turn_has_used_it(node):
    results = node.admit(times=2, second=1, max_wait_seconds=5, kill="waiting")
    assert [result[6] for result in results] == [0]
    # The killed one's turn is a second after the first one's, so the next is two seconds after it.
    assert 1_000_000 < node.admit(second=1, max_wait_seconds=5)[0][6] <= 2_000_000


def test_nobody_is_held_up_by_one_who_waits_for_his_turn(node):
    node.begin_admitting("acme", 4, second=1, max_wait_seconds=5)
    assert [result[0] for result in node.end()] == [True] * 4
    assert node.counters()["redis_round_trips"] <= 4


def test_all_windows_of_a_request_take_one_round_trip(node, redis):
    with redis.client() as client:
        node.admit(second=5)
        client.config_resetstat()
        results = node.admit(times=30, at_once=False, second=10, minute=20, hour=50, day=100)
        assert len(results) == calls(client, "evalsha") == 30
        assert calls(client, "eval") == calls(client, "script") == 0


def test_requests_that_come_while_redis_is_asked_share_the_next_round_trip(redis, start_node):
    with Link(redis.port) as link:
        node = start_node({**redis.settings(), "port": link.port})
        node.admit(minute=1000)
        before = node.counters()
        link.delay_seconds = 0.05
        assert passed(node.admit(times=100, minute=1000)) == 100
        after = node.counters()
    assert after["redis_requests"] - before["redis_requests"] == 100
    assert after["redis_round_trips"] - before["redis_round_trips"] == 2
    assert after["redis_connections"] == 1


def test_a_request_that_one_window_refuses_uses_up_nothing_of_the_others(node):
    assert passed(node.admit(times=10, minute=3, hour=5)) == 3
    assert passed(node.admit(times=10, minute=100, hour=5)) == 2


def test_a_refused_request_writes_nothing(node, redis):
    node.admit(times=3, minute=3)
    with redis.client() as client:
        client.config_resetstat()
        assert passed(node.admit(times=10, minute=3)) == 0
        assert calls(client, "set") == 0


def test_one_key_a_consumer_that_goes_when_nothing_counts_any_more(node, redis):
    with redis.client() as client:
        node.admit("acme", second=5)
        assert client.pttl(KEY) in (-2, *range(2_001))  # -2: gone already, on a busy machine
        node.admit("acme", second=5, minute=60, hour=100)
        assert client.keys() == [KEY.encode()]
        assert 3_500_000 < client.pttl(KEY) <= 3_601_000


def test_the_size_of_a_consumers_state_does_not_grow_with_the_limit(node, redis):
    with redis.client() as client:
        assert passed(node.admit(times=2000, at_once=False, second=5000, day=100_000)) == 2000
        assert client.strlen(KEY) < 2 * (RECORDS + 1) * 12 + 100


def test_a_changed_limit_keeps_what_was_counted(node):
    assert passed(node.admit(times=10, minute=5)) == 5
    assert passed(node.admit(times=10, minute=8)) == 3
    assert passed(node.admit(times=10, minute=5)) == 0


def test_a_window_that_is_left_out_for_a_while_keeps_its_count(node):
    assert passed(node.admit(times=3, hour=3)) == 3
    assert passed(node.admit(times=3, minute=1)) == 1
    assert passed(node.admit(times=3, hour=4)) == 1


def test_the_script_is_sent_again_after_a_flush(node, redis):
    assert passed(node.admit(times=2, minute=5)) == 2
    with redis.client() as client:
        client.script_flush()
    assert passed(node.admit(times=10, minute=5)) == 3
    counters = node.counters()
    assert (counters["script_loads"], counters["redis_failures"]) == (2, 0)


def test_a_restarted_server_is_used_at_once(node, redis):
    assert passed(node.admit(times=6, minute=5)) == 5
    redis.kill()
    redis.start()
    assert passed(node.admit(times=6, minute=5)) == 5
    counters = node.counters()
    assert (counters["script_loads"], counters["redis_failures"]) == (2, 0)
    assert counters["redis_connections"] == 2


def test_a_replica_that_takes_over_knows_the_counts(start_redis, start_node):
    master, replica = start_redis(), start_redis()
    with master.client() as old, replica.client() as new:
        new.replicaof(master.host, master.port)
        until(lambda: new.info("replication")["master_link_status"] == "up")
        assert passed(start_node(master.settings()).admit(times=4, minute=5, hour=100)) == 4
        assert old.wait(1, 10_000) == 1
        master.kill()
        new.replicaof("NO", "ONE")
        assert passed(start_node(replica.settings()).admit(times=10, minute=5, hour=100)) == 1


def test_a_connection_that_the_server_closed_is_made_again(node, redis):
    node.admit(minute=5)
    with redis.client() as client:
        client.client_kill_filter(skipme=True, _type="normal")
    assert passed(node.admit(times=6, minute=5)) == 4
    assert node.counters()["redis_failures"] == 0


def test_what_somebody_else_left_under_a_consumers_key_counts_for_nothing(node, redis):
    with redis.client() as client:
        client.rpush(KEY, "a list")
        assert passed(node.admit(times=6, minute=5)) == 5
        for value in (
            b"\xc1 not MessagePack",
            b"\x2a",
            b"\x81\x3c\x2a",
            b"\x81\x3c\x92\x01\xa1x",
            b"\x91\x92\xa1x\xa1x",
        ):
            client.set(KEY, value)
            assert passed(node.admit(times=6, minute=5)) == 5


def test_a_consumer_may_have_any_name(node):
    for name in ("o'brien & söhne", "a b", "{x}{y}", "}", "日本"):
        assert passed(node.admit(name, times=3, minute=2)) == 2


def test_in_the_script_the_arithmetic_is_the_same(redis_server):
    slot = SECOND // 32
    pause = st.one_of(
        st.integers(0, 50),
        st.integers(0, slot),
        st.integers(0, 2 * SECOND),
        st.sampled_from([slot, SECOND - 1, SECOND, 60 * SECOND, 3600 * SECOND, 3600 * SECOND + 1]),
        st.integers(-3 * SECOND, -1),
        st.integers(-100 * SECOND, -1),
    )
    spacing = st.one_of(st.integers(0, 50), st.integers(0, slot), st.just(SECOND // 2))
    bursts = st.lists(st.tuples(pause, st.integers(1, 60), spacing), min_size=1, max_size=8)
    limit = st.one_of(st.none(), st.integers(1, 8), st.integers(50, 150), st.integers(600, 2000))
    wait = st.one_of(st.just(0), st.integers(0, LONGEST_WAIT))

    with redis_server.client() as client:
        script = client.register_script(SCRIPT)

        @settings(max_examples=2000 if LONG else 40)
        @given(bursts, st.lists(st.tuples(limit, limit, limit).filter(any), min_size=1, max_size=3), wait)
        def same(
            bursts: list[tuple[int, int, int]], configurations: list[tuple[int | None, ...]], wait: int
        ) -> None:
            client.delete(KEY)
            windows = {seconds: Window(seconds) for seconds in (1, 60, 3600)}
            now = 1_760_000_000 * SECOND
            pauses = [gap for pause, count, spacing in bursts for gap in (pause, *[spacing] * (count - 1))]
            for count, pause in enumerate(pauses):
                now += pause
                limits = configurations[count * len(configurations) // len(pauses)]
                asked = [(n, s) for n, s in zip(limits, windows, strict=True) if n is not None]
                future = now + LONGEST_WAIT
                set_back = any(windows[s].times and windows[s].times[-1] > future for _, s in asked)
                before = deepcopy(windows)
                here = admit([(n, windows[s]) for n, s in asked], now, wait)
                # What has expired leaves the stored state with the next write, and most refusals write nothing:
                # that shows when the clock is set back.
                if here.allowed or set_back:
                    windows = {s: Window(s) if w.expired(now) else w for s, w in windows.items()}
                else:
                    windows = before
                words = [number for pair in asked for number in pair]
                there = script(keys=[KEY], args=[wait, *words, now])
                assert tuple(map(int, there.split())) == here

        same()


@pytest.mark.parametrize("limits", [((5, 1), (300, 60)), ((60, 60),), ((3600, 3600),)])
@pytest.mark.parametrize("bursts", [False, True])
def test_a_pbx_that_keeps_to_the_rate_loses_nothing_on_two_nodes(redis_server, limits, bursts):
    limit, seconds = limits[0]
    chance = random.Random(limit)
    spacing = seconds * SECOND // limit
    start = 1_760_000_000 * SECOND
    sent = [
        start + (number // limit * seconds * SECOND if bursts else number * spacing)
        for number in range(3 * limit + 400)
    ]
    arrivals = sorted(moment + chance.randrange(900_000) for moment in sent)
    words = [number for window in limits for number in window]
    with redis_server.client() as one, redis_server.client() as other:
        script = one.register_script(SCRIPT)
        one.delete(KEY)
        results = []
        left = iter(arrivals)
        # One node or the other; what it sends together, the script still decides one after the other.
        while together := list(islice(left, chance.randrange(1, 60))):
            with chance.choice((one, other)).pipeline(transaction=False) as node:
                for now in together:
                    script(keys=[KEY], args=[1_000_000, *words, now], client=node)
                results += [tuple(map(int, answer.split())) for answer in node.execute()]
    assert {result[0] for result in results} == {1}
    assert max(result[6] for result in results) <= 900_000
