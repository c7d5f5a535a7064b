"""`Retry-After`, as others write it and as a PBX gets it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from yeastar_adapter import retry_after

NOW = datetime(2026, 3, 25, 10, 30, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (b"7", 7),
        (7, 7),
        (" 30 ", 30),
        ("0", 1),
        ("", 1),
        (None, 1),
        ("soon", 1),
        ("-5", 1),
        ("1.5", 2),
        ("30.0", 30),
        ("29.01", 30),
        (30.5, 31),
        (".5", 1),
        ("7.", 7),
        ("0.0", 1),
        ("1,5", 1),
        ("1e3", 1),
        ("inf", 1),
        ("nan", 1),
        ("0x10", 1),
        ("7, 9", 1),
        ("86400", 86400),
        ("100000", 86400),
        ("9" * 400, 86400),
        ("x" * 10_000, 1),
        ("Wed, 25 Mar 2026 10:31:00 GMT", 60),
        ("Wed, 25 Mar 2026 10:29:00 GMT", 1),
        ("Wednesday, 25-Mar-26 10:31:00 GMT", 60),
        ("Wed Mar 25 10:31:00 2026", 60),
        ("Wed, 25 Mar 2026 12:31:00 +0200", 60),
        ("Fri, 27 Mar 2026 10:31:00 GMT", 86400),
        ("Wed, 99 Mar 2026 10:31:00 GMT", 1),
        ("٣", 1),
    ],
)
def test_it_is_a_whole_number_of_seconds_and_never_0(value: object, seconds: int) -> None:
    assert retry_after.seconds(value, NOW) == seconds


def test_a_moment_between_two_seconds_is_waited_for_to_the_end() -> None:
    assert retry_after.seconds("Wed, 25 Mar 2026 10:31:00 GMT", NOW.replace(microsecond=1)) == 60
