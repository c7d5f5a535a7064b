"""What strangers write to the log: little, and with a count of the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from yeastar_adapter.observability.logs import FIELDS
from yeastar_adapter.observability.strangers import ADDRESSES, INTERVAL, LINES, Strangers

NO_KEY, UNKNOWN = "no bearer key", "the key is unknown"


class Timer:
    """Runs what was set when the test says so."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, work: Callable[[], None]) -> None:
        self.set.append((seconds, work))

    def ring(self) -> None:
        [(seconds, work)] = self.set
        assert seconds == INTERVAL
        self.set.clear()
        work()


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def strangers(timer: Timer) -> Strangers:
    return Strangers(timer)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.getMessage(), getattr(record, FIELDS)["address"]) for record in caplog.records]


@pytest.fixture(autouse=True)
def _informative(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "yeastar_adapter.requests")


def test_a_reason_and_an_address_have_one_line_and_a_count_of_the_rest(
    strangers: Strangers, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    noted = [strangers.note(NO_KEY, "192.0.2.1") for _ in range(84_000)]
    assert noted == [True] + [False] * 83_999
    assert strangers.note(UNKNOWN, "192.0.2.1")
    assert strangers.note(NO_KEY, "192.0.2.2")
    timer.ring()
    assert lines(caplog) == [("refused 83999 more in 60 s: no bearer key", "192.0.2.1")]


def test_the_next_interval_begins_anew(strangers: Strangers, timer: Timer) -> None:
    assert strangers.note(NO_KEY, "192.0.2.1")
    timer.ring()
    assert timer.set == []
    assert strangers.note(NO_KEY, "192.0.2.1")
    assert not strangers.note(NO_KEY, "192.0.2.1")


def test_very_many_addresses_get_few_lines_and_none_is_forgotten_in_the_count(
    strangers: Strangers, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    total = 3 * ADDRESSES
    noted = [strangers.note(NO_KEY, f"192.0.{number // 256}.{number % 256}") for number in range(total)]
    assert sum(noted) == LINES
    for _ in range(7):
        strangers.note(NO_KEY, "192.0.0.0")
    timer.ring()
    written = lines(caplog)
    assert len(written) <= LINES + 1
    assert written[0] == ("refused 7 more in 60 s: no bearer key", "192.0.0.0")
    assert sum(int(message.split()[1]) for message, _ in written) == total + 7 - LINES
    assert written[-1][1] == "others"


def test_what_is_kept_does_not_grow_with_the_addresses(strangers: Strangers) -> None:
    for number in range(5 * ADDRESSES):
        strangers.note(UNKNOWN, str(number))
    assert len(strangers._left_out) == ADDRESSES
    assert len(strangers._elsewhere) == 1


def test_a_line_that_was_all_there_was_is_not_repeated(
    strangers: Strangers, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    strangers.note(NO_KEY, "192.0.2.1")
    timer.ring()
    assert caplog.records == []
