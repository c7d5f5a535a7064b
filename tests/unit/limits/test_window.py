"""The arithmetic of the windows against the naive model: a list of every turn that was given."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.limits.window import LONGEST_WAIT, RECORDS, Window, admit

SECOND = 1_000_000
START = 1_760_000_000 * SECOND

lengths = st.sampled_from([1, 60, 86_400])
limits = st.one_of(st.integers(1, 8), st.integers(1, RECORDS), st.integers(RECORDS, 3 * RECORDS))
waits = st.one_of(st.just(0), st.integers(0, LONGEST_WAIT))


def arrivals(seconds: int, bursts: int = 8, size: int = 150) -> st.SearchStrategy[list[int]]:
    """When requests come: bursts, even and uneven, and pauses up to more than a period between them."""
    period = Window(seconds).period
    part = period // 32
    pause = st.one_of(
        st.integers(0, 50),
        st.integers(0, part),
        st.integers(0, period),
        st.sampled_from([period - 1, period, period + 1, period + part]),
    )
    spacing = st.one_of(
        st.integers(0, 50), st.integers(0, part), st.sampled_from([period // 100, period // 60, period // 7])
    )
    burst = st.tuples(pause, st.integers(1, size), spacing)
    return st.lists(burst, min_size=1, max_size=bursts).map(_times)


def _times(bursts: list[tuple[int, int, int]]) -> list[int]:
    now, found = START, []
    for pause, count, spacing in bursts:
        now += pause
        for _ in range(count):
            found.append(now)
            now += spacing
    return found


def counted(turns: list[int], period: int, now: int) -> int:
    return sum(now - period < turn for turn in turns)


def most_records(window: Window, highest: int, wait: int) -> float:
    """How many turns a window remembers at most, under limits up to `highest` that change between requests.

    Of one limit: `RECORDS` of the period that is over now, and as many of each period in which somebody waits. Limits
    that rise meanwhile remember every turn up to `RECORDS`, every second one of as many more, and so on.
    """
    periods = 1 + -(-wait // window.period)
    batch = -(-highest // RECORDS)
    return RECORDS * periods * sum(1 / each for each in range(1, batch + 1)) + batch


def allowed(window: Window, limit: int, now: int, wait: int = 0) -> bool:
    return admit([(limit, window)], now, wait).allowed


@given(st.data(), lengths, st.integers(1, RECORDS), waits)
def test_no_interval_of_the_windows_length_holds_more_turns_than_the_limit(
    data: st.DataObject, seconds: int, limit: int, wait: int
) -> None:
    window, turns = Window(seconds), []
    for now in data.draw(arrivals(seconds)):
        result = admit([(limit, window)], now, wait)
        if result.allowed:
            assert 0 <= result.wait_microseconds <= wait
            turns.append(now + result.wait_microseconds)
    assert turns == sorted(turns)
    for first, one_too_many in zip(turns, turns[limit:], strict=False):
        assert one_too_many - first >= window.period


@given(st.data(), lengths, st.integers(RECORDS + 1, 5 * RECORDS), waits)
def test_a_high_limit_is_passed_by_less_than_a_batch(
    data: st.DataObject, seconds: int, limit: int, wait: int
) -> None:
    window, turns = Window(seconds), []
    batch = -(-limit // RECORDS)
    for now in data.draw(arrivals(seconds, size=1500)):
        result = admit([(limit, window)], now, wait)
        if result.allowed:
            turns.append(now + result.wait_microseconds)
    for first, too_many in zip(turns, turns[limit + batch - 1 :], strict=False):
        assert too_many - first >= window.period


@given(st.data(), lengths, limits, waits)
def test_nothing_is_refused_or_told_to_wait_while_a_period_leaves_room(
    data: st.DataObject, seconds: int, limit: int, wait: int
) -> None:
    window, turns = Window(seconds), []
    for now in data.draw(arrivals(seconds)):
        result = admit([(limit, window)], now, wait)
        if not result.allowed or result.wait_microseconds:
            assert counted(turns, window.period, now) >= limit
        if result.allowed:
            turns.append(now + result.wait_microseconds)


@given(st.data(), lengths, st.integers(1, RECORDS), waits)
def test_a_turn_is_exactly_a_period_after_the_one_that_makes_room(
    data: st.DataObject, seconds: int, limit: int, wait: int
) -> None:
    window, turns = Window(seconds), []
    for now in data.draw(arrivals(seconds)):
        result = admit([(limit, window)], now, wait)
        ready = max(now, turns[-limit] + window.period) if len(turns) >= limit else now
        assert result.allowed == (ready - now <= wait)
        if result.allowed:
            assert result.wait_microseconds == ready - now
            turns.append(ready)
            assert result.remaining == max(0, limit - counted(turns, window.period, now))


@given(st.integers(1, 3 * RECORDS), lengths, waits)
def test_of_any_number_at_once_as_many_pass_as_the_limit_says_and_those_that_can_wait(
    limit: int, seconds: int, wait: int
) -> None:
    window = Window(seconds)
    results = [admit([(limit, window)], START, wait) for _ in range(min(2 * limit + 10, 2000))]
    at_once = [result for result in results if result.allowed and not result.wait_microseconds]
    assert len(at_once) == min(limit, len(results))
    later = [result for result in results if result.wait_microseconds]
    assert bool(later) == (window.period <= wait and len(results) > limit)


@given(st.data(), lengths, limits, waits)
def test_a_retry_after_the_time_that_was_told_passes_and_a_second_sooner_does_not(
    data: st.DataObject, seconds: int, limit: int, wait: int
) -> None:
    window = Window(seconds)
    for now in data.draw(arrivals(seconds)):
        result = admit([(limit, window)], now, wait)
        if not result.allowed:
            told = result.retry_after_seconds
            assert 1 <= told <= seconds
            assert allowed(deepcopy(window), limit, now + told * SECOND, wait)
            assert told == 1 or not allowed(deepcopy(window), limit, now + (told - 1) * SECOND, wait)


@given(st.data(), lengths, limits, waits)
def test_the_state_is_bounded(data: st.DataObject, seconds: int, limit: int, wait: int) -> None:
    window = Window(seconds)
    for now in data.draw(arrivals(seconds)):
        allowed(window, limit, now, wait)
        assert len(window.times) == len(window.ordinals) <= RECORDS * (1 + -(-wait // window.period)) + 1
        assert window.times == sorted(window.times)


@given(st.data(), lengths, st.integers(1, RECORDS), waits)
def test_a_clock_that_is_set_back_never_opens_the_gate(
    data: st.DataObject, seconds: int, limit: int, wait: int
) -> None:
    window, turns, behind = Window(seconds), [], 0
    amount = st.one_of(st.integers(0, window.period // 8), st.integers(0, 3 * window.period))
    set_back = data.draw(st.dictionaries(st.integers(0, 300), amount, max_size=12))
    for count, now in enumerate(data.draw(arrivals(seconds))):
        behind += set_back.get(count, 0)
        result = admit([(limit, window)], now - behind, wait)
        if result.allowed:
            turns.append(now + result.wait_microseconds)
    turns.sort()
    # What was reserved before the clock went back may come that much sooner in its count.
    for first, one_too_many in zip(turns, turns[limit:], strict=False):
        assert one_too_many - first >= window.period - wait


@given(lengths, limits, st.integers(LONGEST_WAIT + 1, 10**15))
def test_a_clock_that_is_set_back_shuts_nobody_out_for_longer_than_a_period(
    seconds: int, limit: int, behind: int
) -> None:
    window = Window(seconds)
    for _ in range(limit):
        assert allowed(window, limit, START)
    assert not allowed(window, limit, START - behind)
    assert not allowed(window, limit, START - behind + window.period - 1)
    assert allowed(window, limit, START - behind + window.period)


@given(st.data(), waits)
def test_of_several_windows_all_or_none_count_a_request(data: st.DataObject, wait: int) -> None:
    windows = [
        (data.draw(st.integers(1, 6)), Window(1)),
        (data.draw(st.integers(1, 20)), Window(60)),
    ]
    turns: list[int] = []
    for now in data.draw(arrivals(2, size=20)):
        result = admit(windows, now, wait)
        ready = max(
            [now, *[turns[-limit] + window.period for limit, window in windows if len(turns) >= limit]]
        )
        assert result.allowed == (ready - now <= wait)
        assert result.window_seconds in (1, 60)
        if result.allowed:
            turns.append(now + result.wait_microseconds)
            assert turns[-1] == ready
        else:
            assert result.remaining == 0
            later = now + result.retry_after_seconds * SECOND
            assert admit(deepcopy(windows), later, wait).allowed
        assert [window.count() for _, window in windows] == [
            counted(turns, window.period, now) for _, window in windows
        ]


@given(st.data(), lengths)
def test_a_changed_limit_applies_to_what_was_counted_before(data: st.DataObject, seconds: int) -> None:
    window, turns = Window(seconds), []
    limits = data.draw(st.lists(st.integers(1, RECORDS), min_size=1, max_size=8))
    for count, now in enumerate(data.draw(arrivals(seconds, bursts=6))):
        limit = limits[count // 10 % len(limits)]
        result = admit([(limit, window)], now)
        before = counted(turns, window.period, now)
        assert result.allowed == (before < limit)
        if result.allowed:
            turns.append(now)
        else:
            assert allowed(deepcopy(window), limit, now + result.retry_after_seconds * SECOND)


@given(st.data(), lengths, st.lists(st.integers(1, 5 * RECORDS), min_size=2, max_size=8))
def test_limits_that_change_between_low_and_high_leave_the_state_bounded_and_in_order(
    data: st.DataObject, seconds: int, changing: list[int]
) -> None:
    window = Window(seconds)
    most = most_records(window, max(changing), LONGEST_WAIT)
    for count, now in enumerate(data.draw(arrivals(seconds, size=700))):
        limit = changing[count // 200 % len(changing)]
        result = admit([(limit, window)], now, LONGEST_WAIT)
        assert result.allowed or window.count() >= limit
        assert window.times == sorted(window.times)
        assert window.ordinals == sorted(set(window.ordinals))
        assert len(window.times) <= most


@pytest.mark.parametrize("wait", [0, 1_000_000, LONGEST_WAIT])
@pytest.mark.parametrize(
    "limits", [[RECORDS], [RECORDS, 5 * RECORDS], [number * RECORDS for number in range(1, 6)]]
)
def test_whoever_takes_every_turn_that_there_is_leaves_the_state_bounded(
    limits: list[int], wait: int
) -> None:
    window = Window(1)
    for now in (START, START + window.period // 2, START + 2 * window.period):
        for limit in limits:
            while allowed(window, limit, now, wait):
                pass
            assert len(window.times) <= most_records(window, max(limits), wait)


def test_a_result_names_its_window() -> None:
    windows = [(5, Window(1)), (5, Window(60))]
    results = [admit(windows, START) for _ in range(6)]
    assert {result.window for result in results} == {"minute"}
    assert admit([(1, Window(86_400))], START).window == "day"


@pytest.mark.parametrize("wait", [0, 1000, LONGEST_WAIT])
def test_a_wait_of_exactly_the_longest_is_taken(wait: int) -> None:
    window = Window(1)
    assert allowed(window, 1, START)
    ready = START + window.period
    assert not allowed(window, 1, ready - wait - 1, wait)
    assert admit([(1, window)], ready - wait, wait).wait_microseconds == wait
