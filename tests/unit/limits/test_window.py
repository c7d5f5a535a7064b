"""The arithmetic of the windows against the naive model: a list of everything that was granted."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.limits.window import EXACT, SLOTS, Window, admit

SECOND = 1_000_000
START = 1_760_000_000 * SECOND

periods = st.sampled_from([SECOND, 60 * SECOND, 86_400 * SECOND])
limits = st.one_of(st.integers(1, 8), st.integers(1, EXACT), st.integers(EXACT, 300))


def arrivals(period: int, bursts: int = 10, size: int = 80) -> st.SearchStrategy[list[int]]:
    """When requests come: bursts, even and uneven, and pauses up to more than a period between them."""
    slot = period // SLOTS
    pause = st.one_of(
        st.integers(0, 50),
        st.integers(0, slot),
        st.integers(0, period),
        st.sampled_from([slot - 1, slot, slot + 1, period - 1, period, period + 1, period + slot]),
    )
    spacing = st.one_of(
        st.integers(0, 50), st.integers(0, slot), st.sampled_from([period // 100, period // 60, period // 7])
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


def counted(grants: list[int], period: int, now: int) -> int:
    return sum(now - period < grant <= now for grant in grants)


def allowed(window: Window, limit: int, now: int) -> bool:
    return admit([(limit, window)], now).allowed


@given(st.data(), periods, limits)
def test_no_interval_of_the_windows_length_holds_more_than_the_limit(
    data: st.DataObject, period: int, limit: int
) -> None:
    window = Window(period)
    grants = [now for now in data.draw(arrivals(period)) if allowed(window, limit, now)]
    for first, one_too_many in zip(grants, grants[limit:], strict=False):
        assert one_too_many - first >= period


@given(st.data(), periods, limits)
def test_nothing_is_refused_while_a_period_and_a_slot_leave_room(
    data: st.DataObject, period: int, limit: int
) -> None:
    window, grants = Window(period), []
    for now in data.draw(arrivals(period)):
        if allowed(window, limit, now):
            grants.append(now)
        else:
            assert counted(grants, period + period // SLOTS, now) >= limit


@given(st.data(), periods, st.integers(1, EXACT))
def test_limits_of_up_to_64_are_exact_to_the_microsecond(
    data: st.DataObject, period: int, limit: int
) -> None:
    window, grants = Window(period), []
    for now in data.draw(arrivals(period)):
        verdict = admit([(limit, window)], now)
        assert verdict.allowed == (counted(grants, period, now) < limit)
        if verdict.allowed:
            grants.append(now)
            assert verdict.remaining == limit - counted(grants, period, now)


@given(st.data(), periods, limits)
def test_a_retry_after_the_time_that_was_told_passes(data: st.DataObject, period: int, limit: int) -> None:
    window = Window(period)
    for now in data.draw(arrivals(period)):
        verdict = admit([(limit, window)], now)
        if not verdict.allowed:
            assert 1 <= verdict.retry_after_seconds <= period // SECOND
            assert allowed(deepcopy(window), limit, now + verdict.retry_after_seconds * SECOND)


@given(st.data(), periods, limits)
def test_the_wait_is_no_microsecond_too_long_or_too_short(
    data: st.DataObject, period: int, limit: int
) -> None:
    window = Window(period)
    for now in data.draw(arrivals(period, bursts=6)):
        window.advance(now)
        wait = window.wait(limit, now)
        if wait == 0:
            window.grant(now)
        else:
            assert not allowed(deepcopy(window), limit, now + wait - 1)
            assert allowed(deepcopy(window), limit, now + wait)


@given(st.data(), periods, limits)
def test_the_state_is_bounded(data: st.DataObject, period: int, limit: int) -> None:
    window = Window(period)
    for now in data.draw(arrivals(period)):
        allowed(window, limit, now)
        assert len(window.times) == len(window.counts) <= EXACT
        assert sum(window.counts) == window.total <= limit


@given(st.data(), periods, limits)
def test_a_clock_that_is_set_back_never_opens_the_gate(data: st.DataObject, period: int, limit: int) -> None:
    window, grants, behind = Window(period), [], 0
    amount = st.one_of(st.integers(0, period // 8), st.integers(0, 3 * period))
    set_back = data.draw(st.dictionaries(st.integers(0, 300), amount, max_size=12))
    for count, now in enumerate(data.draw(arrivals(period))):
        behind += set_back.get(count, 0)
        if allowed(window, limit, now - behind):
            grants.append(now)
    for first, one_too_many in zip(grants, grants[limit:], strict=False):
        assert one_too_many - first >= period


@given(periods, limits, st.integers(1, 10**15))
def test_a_clock_that_is_set_back_shuts_nobody_out_for_longer_than_a_period(
    period: int, limit: int, behind: int
) -> None:
    window = Window(period)
    for _ in range(limit):
        assert allowed(window, limit, START)
    assert not allowed(window, limit, START - behind)
    assert not allowed(window, limit, START - behind + period - 1)
    assert allowed(window, limit, START - behind + period)


@given(st.data())
def test_of_several_windows_all_or_none_count_a_request(data: st.DataObject) -> None:
    named = [(data.draw(st.integers(1, 6)), SECOND), (data.draw(st.integers(1, 20)), 60 * SECOND)]
    windows = [(limit, Window(period)) for limit, period in named]
    grants: list[int] = []
    for now in data.draw(arrivals(2 * SECOND, size=20)):
        verdict = admit(windows, now)
        room = [limit - counted(grants, period, now) for limit, period in named]
        assert verdict.allowed == all(left > 0 for left in room)
        if verdict.allowed:
            grants.append(now)
            assert verdict.remaining == min(room) - 1
        else:
            assert verdict.remaining == 0
            later = deepcopy(windows)
            assert admit(later, now + verdict.retry_after_seconds * SECOND).allowed
        assert [window.total for _, window in windows] == [
            counted(grants, period, now) for _, period in named
        ]


@given(st.data(), periods)
def test_a_changed_limit_applies_to_what_was_counted_before(data: st.DataObject, period: int) -> None:
    window, grants = Window(period), []
    limits = data.draw(st.lists(st.integers(1, EXACT), min_size=1, max_size=8))
    for count, now in enumerate(data.draw(arrivals(period, bursts=6))):
        limit = limits[count // 10 % len(limits)]
        verdict = admit([(limit, window)], now)
        before = counted(grants, period, now)
        assert verdict.allowed == (before < limit)
        if verdict.allowed:
            grants.append(now)
        else:
            assert allowed(deepcopy(window), limit, now + verdict.retry_after_seconds * SECOND)


def test_no_burst_passes_at_the_edge_of_a_minute() -> None:
    window = Window(60 * SECOND)
    late_in_one_minute = [allowed(window, 60, START + 59 * SECOND + i) for i in range(60)]
    early_in_the_next = [allowed(window, 60, START + 60 * SECOND + i) for i in range(60)]
    assert all(late_in_one_minute)
    assert not any(early_in_the_next)


def test_the_most_restrictive_window_is_reported() -> None:
    second, minute = Window(SECOND), Window(60 * SECOND)
    windows = [(2, second), (3, minute)]
    assert admit(windows, START) == (True, 2, 1, 1, 0)
    assert admit(windows, START + 1) == (True, 2, 0, 1, 0)
    assert admit(windows, START + 2) == (False, 2, 0, 1, 1)
    assert admit(windows, START + 2 * SECOND) == (True, 3, 0, 58, 0)
    assert admit(windows, START + 3 * SECOND) == (False, 3, 0, 57, 57)


def test_no_request_passes_a_limit_of_none() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        admit([(0, Window(SECOND))], START)
