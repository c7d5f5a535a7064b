from __future__ import annotations

from yeastar_adapter.limits import RateLimits
from yeastar_adapter.limits.local import LocalLimiter

SECOND = 1_000_000


class Clock:
    """Microseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 5_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


def test_every_consumer_has_counts_of_its_own() -> None:
    limiter = LocalLimiter(Clock())
    assert limiter.admit("acme", RateLimits(second=1)).allowed
    assert not limiter.admit("acme", RateLimits(second=1)).allowed
    assert limiter.admit("globex", RateLimits(second=1)).allowed


def test_a_request_that_one_window_refuses_uses_up_nothing_of_the_others() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock)
    limits = RateLimits(second=1, minute=3)
    for _ in range(3):
        assert limiter.admit("acme", limits).allowed
        for _ in range(10):
            assert not limiter.admit("acme", limits).allowed
        clock.pass_seconds(1)
    assert limiter.admit("acme", limits).limit == 3


def test_a_changed_limit_keeps_what_was_counted() -> None:
    limiter = LocalLimiter(Clock())
    for _ in range(5):
        assert limiter.admit("acme", RateLimits(minute=5)).allowed
    assert [limiter.admit("acme", RateLimits(minute=10)).allowed for _ in range(6)] == [True] * 5 + [False]


def test_a_window_that_is_left_out_for_a_while_keeps_its_count() -> None:
    limiter = LocalLimiter(Clock())
    assert limiter.admit("acme", RateLimits(minute=1, hour=2)).allowed
    assert not limiter.admit("acme", RateLimits(minute=1)).allowed
    assert limiter.admit("acme", RateLimits(hour=2)).allowed
    assert not limiter.admit("acme", RateLimits(hour=2)).allowed


def test_without_limits_everything_passes_and_nothing_is_kept() -> None:
    limiter = LocalLimiter(Clock())
    result = limiter.admit("acme", RateLimits())
    assert result.allowed
    assert result.limit is None
    assert len(limiter) == 0


def test_consumers_whose_windows_have_run_out_are_forgotten() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock)
    for number in range(1000):
        limiter.admit(f"yesterday-{number}", RateLimits(minute=60))
    clock.pass_seconds(61)
    for number in range(600):
        limiter.admit(f"today-{number % 10}", RateLimits(minute=60))
    assert len(limiter) == 10


def test_state_stays_in_proportion_to_the_active_consumers() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock)
    for number in range(20_000):
        limiter.admit(f"consumer-{number}", RateLimits(second=5))
        clock.pass_seconds(0.01)
        assert len(limiter) <= 2 * 100 + 10


def test_a_consumer_of_a_long_window_does_not_keep_others_from_being_forgotten() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock)
    limiter.admit("patient", RateLimits(day=1))
    for number in range(5_000):
        limiter.admit(f"consumer-{number}", RateLimits(second=5))
        clock.pass_seconds(0.1)
    assert len(limiter) <= 40
    assert not limiter.admit("patient", RateLimits(day=1)).allowed
