"""How many cases a property is tried with: the short form of `make test`, the long one of `make soak`.

    @cases(short=100, long=40_000)
    @given(body=bodies.any_body())
    def test_…(body: bytes) -> None:
        count("bodies, in process")

`FUZZ=long` in the environment chooses the long form. The short one tries the same cases every time: what it finds
today it finds tomorrow, and what nobody has broken stays green. The long one tries others each time.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

LONG = os.environ.get("FUZZ") == "long"

ROUND = 2000
"""Cases of one round: Hypothesis remembers each, and gets slower."""

counted: Counter[str] = Counter()

Test = TypeVar("Test", bound=Callable[..., Any])

_profile = settings(
    deadline=None,
    derandomize=not LONG,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
        # A gateway, a stub, a plugin server: none is made anew for each case, and each is looked at after it.
        HealthCheck.function_scoped_fixture,
    ],
)


def cases(short: int, long: int) -> Callable[[Test], Test]:
    """Try the property with so many cases; the test takes an argument `turn`, the number of the round."""
    wanted = long if LONG else short
    rounds = max(1, round(wanted / ROUND))

    def decorate(test: Test) -> Test:
        each = settings(_profile, max_examples=-(-wanted // rounds))(test)
        if LONG:
            each = pytest.mark.timeout(3600)(each)
        return pytest.mark.parametrize("turn", range(rounds))(each)

    return decorate


def count(kind: str, number: int = 1) -> None:
    """Note cases that were judged."""
    counted[kind] += number
