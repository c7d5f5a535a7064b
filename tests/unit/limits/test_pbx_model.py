"""A PBX that keeps to the advertised rate loses nothing: on one node and on two, by a clock that the test moves."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yeastar_adapter.limits import Rates
from yeastar_adapter.limits.local import LocalLimiter
from yeastar_adapter.limits.window import Verdict

SECOND = 1_000_000
START = 1_760_000_000 * SECOND
MAX_WAIT = 1.0

# As shipped, and other limits that agree with each other: the rate at which each lets a PBX go on.
AGREEING = [
    (Rates(second=5, minute=300), 5.0),
    (Rates(second=5, minute=300, hour=18_000, day=432_000), 5.0),
    (Rates(second=1), 1.0),
    (Rates(second=20, minute=1200), 20.0),
    (Rates(minute=60), 1.0),
    (Rates(minute=600), 10.0),
    (Rates(hour=3600), 1.0),
]


class Gateway:
    """A limiter and the time: what it answers to requests that come in order."""

    def __init__(self) -> None:
        self.now = START
        self._limiter = LocalLimiter(lambda: self.now, wait=lambda verdict: None)

    def receive(self, arrivals: list[int], rates: Rates, max_wait: float = MAX_WAIT) -> list[Verdict]:
        """The verdicts, in the order of arrival. A request that waits holds up no other."""
        verdicts = []
        for arrival in sorted(arrivals):
            self.now = arrival
            verdicts.append(self._limiter.admit("acme", rates, max_wait))
        return verdicts


def evenly(count: int, rate: float) -> list[int]:
    return [START + round(number * SECOND / rate) for number in range(count)]


def at_each_windows_start(count: int, limit: int, seconds: int) -> list[int]:
    return [START + number // limit * seconds * SECOND for number in range(count)]


def jittered(sent: list[int], jitter: int, seed: int) -> list[int]:
    chance = random.Random(seed)
    return [moment + chance.randrange(jitter + 1) for moment in sent]


@pytest.mark.parametrize(("rates", "rate"), AGREEING)
@settings(max_examples=20, deadline=None)
@given(jitter=st.integers(0, 900_000), seed=st.integers(0, 1000))
def test_evenly_spaced_messages_all_pass(rates: Rates, rate: float, jitter: int, seed: int) -> None:
    verdicts = Gateway().receive(jittered(evenly(1500, rate), jitter, seed), rates)
    assert all(verdict.allowed for verdict in verdicts)
    # What a message waits is what the network made the ones before it late, and no more.
    assert max(verdict.wait_microseconds for verdict in verdicts) <= jitter


@pytest.mark.parametrize("rates", [rates for rates, _ in AGREEING])
@settings(max_examples=20, deadline=None)
@given(jitter=st.integers(0, 900_000), seed=st.integers(0, 1000))
def test_all_messages_at_the_start_of_each_window_pass(rates: Rates, jitter: int, seed: int) -> None:
    limit, seconds = rates.windows[0]
    sent = at_each_windows_start(max(1500, 3 * limit), limit, seconds)
    verdicts = Gateway().receive(jittered(sent, jitter, seed), rates)
    assert all(verdict.allowed for verdict in verdicts)
    assert max(verdict.wait_microseconds for verdict in verdicts) <= jitter


def test_a_pbx_at_the_shipped_rate_may_go_on_for_hours_by_a_clock_that_is_a_little_fast() -> None:
    fast = [START + round((moment - START) * 0.9995) for moment in evenly(5 * 3600 * 3, 5)]
    rates = Rates(second=5, minute=300, hour=18_000, day=432_000)
    verdicts = Gateway().receive(jittered(fast, 300_000, 1), rates)
    assert all(verdict.allowed for verdict in verdicts)


def test_of_a_hundred_recipients_at_once_those_pass_that_limit_and_wait_allow() -> None:
    verdicts = Gateway().receive([START] * 100, Rates(second=5, minute=300))
    assert [verdict.allowed for verdict in verdicts] == [True] * 10 + [False] * 90
    assert [verdict.wait_microseconds for verdict in verdicts[:10]] == [0] * 5 + [999_000] * 5
    assert {verdict.retry_after_seconds for verdict in verdicts[10:]} == {1}


def test_without_a_wait_exactly_the_limit_passes() -> None:
    verdicts = Gateway().receive([START] * 100, Rates(second=5, minute=300), max_wait=0)
    assert sum(verdict.allowed for verdict in verdicts) == 5


def test_a_refused_message_costs_those_that_come_later_nothing() -> None:
    gateway = Gateway()
    refused = gateway.receive([START] * 40, Rates(second=5))
    assert sum(verdict.allowed for verdict in refused) == 10
    later = [START + 2 * SECOND + number * SECOND // 5 for number in range(50)]
    assert all(verdict.allowed for verdict in gateway.receive(later, Rates(second=5)))


def test_no_second_holds_more_than_the_limit_whatever_waits() -> None:
    chance = random.Random(7)
    arrivals = sorted(START + chance.randrange(20 * SECOND) for _ in range(400))
    verdicts = Gateway().receive(arrivals, Rates(second=5))
    turns = [a + v.wait_microseconds for a, v in zip(arrivals, verdicts, strict=True) if v.allowed]
    assert len(turns) >= 5 * 20
    assert all(sixth - first >= 999_000 for first, sixth in zip(turns, turns[5:], strict=False))
