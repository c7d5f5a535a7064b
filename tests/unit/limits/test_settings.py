from __future__ import annotations

import pytest
from yeastar_adapter.limits import RateLimits, RateLimitSettings, RedisSettings, limiters, open_limiter


def test_the_windows_are_those_that_are_set_the_shortest_first() -> None:
    assert RateLimits(day=1000, second=5, hour=None, minute=60).windows == ((5, 1), (60, 60), (1000, 86400))
    assert RateLimits().windows == ()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="a limit per hour is at least 1"):
        RateLimits(hour=limit)


def test_rates_are_five_a_second_for_as_long_as_one_likes_unless_said_otherwise() -> None:
    settings = RateLimitSettings()
    assert settings.limits == RateLimits(second=5, minute=300)
    assert (settings.policy, settings.fault_tolerant, settings.hide_client_headers) == ("redis", True, True)


def test_the_password_is_not_printed() -> None:
    settings = RateLimitSettings(redis=RedisSettings(password="not-for-the-log"))
    assert "not-for-the-log" not in repr(settings)


def test_equal_settings_share_a_limiter() -> None:
    first = open_limiter(RateLimitSettings(redis=RedisSettings(host="one.test")))
    same = open_limiter(RateLimitSettings(redis=RedisSettings(host="one.test")))
    other = open_limiter(RateLimitSettings(redis=RedisSettings(host="two.test")))
    strict = open_limiter(RateLimitSettings(redis=RedisSettings(host="one.test"), fault_tolerant=False))
    assert first is same
    assert len({id(limiter) for limiter in (first, other, strict)}) == 3


def test_changed_limits_go_on_with_the_same_limiter() -> None:
    before = open_limiter(RateLimitSettings(second=5, redis=RedisSettings(host="one.test")))
    after = open_limiter(RateLimitSettings(second=10, day=7, redis=RedisSettings(host="one.test")))
    assert before is after


def test_local_counts_are_one_for_the_process_whatever_the_settings() -> None:
    assert open_limiter(RateLimitSettings(policy="local", second=1)) is open_limiter(
        RateLimitSettings(policy="local", redis=RedisSettings(host="unused.test"))
    )


def test_a_limiter_that_nobody_uses_is_closed() -> None:
    used = open_limiter(RateLimitSettings(redis=RedisSettings(host="three.test")))
    assert used in limiters()
    count = len(limiters())
    del used
    assert len(limiters()) == count - 1
