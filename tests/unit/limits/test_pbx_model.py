"""A PBX that keeps to the advertised rate loses nothing: on one node and on two, by a clock that the test moves."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yeastar_adapter.limits import RateLimits
from yeastar_adapter.limits.local import LocalLimiter
from yeastar_adapter.limits.window import RateLimitResult

from tests.fuzz.cases import LONG

SECOND = 1_000_000
START = 1_760_000_000 * SECOND
MAX_WAIT = 1.0

# As shipped, and other limits that agree with each other: the rate at which each lets a PBX go on.
AGREEING = [
    (RateLimits(second=5, minute=300), 5.0),
    (RateLimits(second=5, minute=300, hour=18_000, day=432_000), 5.0),
    (RateLimits(second=1), 1.0),
    (RateLimits(second=20, minute=1200), 20.0),
    (RateLimits(minute=60), 1.0),
    (RateLimits(minute=600), 10.0),
    (RateLimits(hour=3600), 1.0),
]


class Gateway:
    """A limiter and the time: what it answers to requests that come in order."""

    def __init__(self) -> None:
        self.now = START
        self._limiter = LocalLimiter(lambda: self.now, wait=lambda result: None)

    def receive(
        self, arrivals: list[int], limits: RateLimits, max_wait: float = MAX_WAIT
    ) -> list[RateLimitResult]:
        """The results, in the order of arrival. A request that waits holds up no other."""
        results = []
        for arrival in sorted(arrivals):
            self.now = arrival
            results.append(self._limiter.admit("acme", limits, max_wait))
        return results


def evenly(count: int, rate: float) -> list[int]:
    return [START + round(number * SECOND / rate) for number in range(count)]


def at_each_windows_start(count: int, limit: int, seconds: int) -> list[int]:
    return [START + number // limit * seconds * SECOND for number in range(count)]


def jittered(sent: list[int], jitter: int, seed: int) -> list[int]:
    chance = random.Random(seed)
    return [moment + chance.randrange(jitter + 1) for moment in sent]


@pytest.mark.parametrize(("limits", "rate"), AGREEING)
@settings(max_examples=1000 if LONG else 6)
@given(jitter=st.integers(0, 900_000), seed=st.integers(0, 1000))
def test_evenly_spaced_messages_all_pass(limits: RateLimits, rate: float, jitter: int, seed: int) -> None:
    results = Gateway().receive(jittered(evenly(1500, rate), jitter, seed), limits)
    assert all(result.allowed for result in results)
    # What a message waits is what the network made the ones before it late, and no more.
    assert max(result.wait_microseconds for result in results) <= jitter


@pytest.mark.parametrize("limits", [limits for limits, _ in AGREEING])
@settings(max_examples=1000 if LONG else 6)
@given(jitter=st.integers(0, 900_000), seed=st.integers(0, 1000))
def test_all_messages_at_the_start_of_each_window_pass(limits: RateLimits, jitter: int, seed: int) -> None:
    limit, seconds = limits.windows[0]
    sent = at_each_windows_start(max(1500, 3 * limit), limit, seconds)
    results = Gateway().receive(jittered(sent, jitter, seed), limits)
    assert all(result.allowed for result in results)
    assert max(result.wait_microseconds for result in results) <= jitter


def test_a_pbx_at_the_shipped_rate_may_go_on_for_hours_by_a_clock_that_is_a_little_fast() -> None:
    fast = [START + round((moment - START) * 0.9995) for moment in evenly(5 * 3600 * 3, 5)]
    limits = RateLimits(second=5, minute=300, hour=18_000, day=432_000)
    results = Gateway().receive(jittered(fast, 300_000, 1), limits)
    assert all(result.allowed for result in results)


def test_of_a_hundred_recipients_at_once_those_pass_that_limit_and_wait_allow() -> None:
    results = Gateway().receive([START] * 100, RateLimits(second=5, minute=300))
    assert [result.allowed for result in results] == [True] * 10 + [False] * 90
    assert [result.wait_microseconds for result in results[:10]] == [0] * 5 + [999_000] * 5
    assert {result.retry_after_seconds for result in results[10:]} == {1}


def test_without_a_wait_exactly_the_limit_passes() -> None:
    results = Gateway().receive([START] * 100, RateLimits(second=5, minute=300), max_wait=0)
    assert sum(result.allowed for result in results) == 5


def test_a_refused_message_costs_those_that_come_later_nothing() -> None:
    gateway = Gateway()
    refused = gateway.receive([START] * 40, RateLimits(second=5))
    assert sum(result.allowed for result in refused) == 10
    later = [START + 2 * SECOND + number * SECOND // 5 for number in range(50)]
    assert all(result.allowed for result in gateway.receive(later, RateLimits(second=5)))


def test_no_second_holds_more_than_the_limit_whatever_waits() -> None:
    chance = random.Random(7)
    arrivals = sorted(START + chance.randrange(20 * SECOND) for _ in range(400))
    results = Gateway().receive(arrivals, RateLimits(second=5))
    turns = [a + v.wait_microseconds for a, v in zip(arrivals, results, strict=True) if v.allowed]
    assert len(turns) >= 5 * 20
    assert all(sixth - first >= 999_000 for first, sixth in zip(turns, turns[5:], strict=False))
