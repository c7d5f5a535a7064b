"""The line in which orders wait to be submitted again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest
from yeastar_adapter.futuresms.line import Line


class Visitor(threading.Thread):
    """Goes into the line; `inside` is set while it has its place, until the test says `leave`."""

    def __init__(self, line: Line, seconds: float = 20) -> None:
        super().__init__(daemon=True)
        self._line, self._seconds = line, seconds
        self.inside, self.leave = threading.Event(), threading.Event()
        self.got: bool | None = None
        self.start()

    def run(self) -> None:
        with self._line.place(self._seconds) as self.got:
            if self.got:
                self.inside.set()
                self.leave.wait(20)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it did not happen")


def test_first_come_first_served() -> None:
    line = Line(lambda: 1, lambda: math.inf)
    visitors = []
    for number in range(5):
        visitors.append(Visitor(line))
        until(lambda number=number: visitors[0].inside.is_set() and len(line._waiting) == number)
    for number, visitor in enumerate(visitors):
        assert visitor.inside.wait(20)
        assert not any(later.inside.is_set() for later in visitors[number + 1 :])
        visitor.leave.set()
    for visitor in visitors:
        visitor.join(20)


def test_who_waits_too_long_has_no_place_and_takes_none_from_those_behind() -> None:
    line = Line(lambda: 1, lambda: math.inf)
    first = Visitor(line)
    assert first.inside.wait(20)
    late = Visitor(line, seconds=0.01)
    late.join(20)
    assert late.got is False
    patient = Visitor(line)
    first.leave.set()
    assert patient.inside.wait(20)
    patient.leave.set()
    patient.join(20)


def test_those_who_wait_come_in_when_there_is_suddenly_more_room() -> None:
    width = 1
    line = Line(lambda: width, lambda: 0.02)
    visitors = [Visitor(line) for _ in range(3)]
    until(lambda: len(line._waiting) == 2)
    width = 3
    for visitor in visitors:
        assert visitor.inside.wait(20)
        visitor.leave.set()


def test_one_looks_again_for_all_who_wait() -> None:
    width, alarms = 1, list[Callable[[], None]]()
    line = Line(lambda: width, lambda: 5.0, lambda seconds, look: alarms.append(look))
    visitors = [Visitor(line) for _ in range(5)]
    until(lambda: len(line._waiting) == 4)
    assert len(alarms) == 1
    alarms.pop()()
    assert len(alarms) == 1, "still no room: it is looked again"
    width = 5
    alarms.pop()()
    assert all(visitor.inside.wait(20) for visitor in visitors)
    assert not alarms
    for visitor in visitors:
        visitor.leave.set()


def test_a_place_is_free_again_whatever_happened_in_it() -> None:
    line = Line(lambda: 1, lambda: math.inf)
    for _ in range(3):
        with pytest.raises(KeyError), line.place(1):
            raise KeyError
    with line.place(1) as got:
        assert got
