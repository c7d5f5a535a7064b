"""What fuzzing has found, each by its name."""

from __future__ import annotations

import pytest

from tests.harness.pbx import Pbx
from tests.harness.stub import SENDS, StubClient


@pytest.mark.parametrize("length", ["8\u00b3", "1" * 5000, "9" * 19, "+8", "8_0", ""])
def test_a_content_length_of_futuresms_that_is_no_number_is_10007(
    pbx: Pbx, stub: StubClient, length: str
) -> None:
    """The embedded gateway took every digit of Unicode for one, failed on it, and closed the connection."""
    stub.behave(path=SENDS, raw=f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}")
    assert pbx.send().code == "10007"


@pytest.mark.parametrize("size", ["\u00b2", "0x2", "+2", "1_0", "-2", "f" * 16, ""])
def test_a_chunk_of_futuresms_that_has_no_size_is_10007(pbx: Pbx, stub: StubClient, size: str) -> None:
    stub.behave(
        path=SENDS, raw=f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n"
    )
    assert pbx.send().code == "10007"
