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
        ("1.5", 1),
        ("100000", 100000),
        ("9" * 400, 9999999999),
        ("Wed, 25 Mar 2026 10:31:00 GMT", 60),
        ("Wed, 25 Mar 2026 10:29:00 GMT", 1),
        ("٣", 1),
    ],
)
def test_it_is_a_whole_number_of_seconds_and_never_0(value: object, seconds: int) -> None:
    assert retry_after.seconds(value, NOW) == seconds
