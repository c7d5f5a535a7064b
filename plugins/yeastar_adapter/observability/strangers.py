"""What requests without a good key write to the log: a bounded number of lines, however many there are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import gevent

from .logs import FIELDS

log = logging.getLogger("yeastar_adapter.requests")

INTERVAL = 60.0
"""Seconds that a reason and an address have one line for, and one more for all that was left out."""

LINES = 20
"""Most lines of either kind in an interval."""

ADDRESSES = 1000
"""So many pairs of a reason and an address are counted by themselves; the others by the reason alone."""


def _later(seconds: float, work: Callable[[], None]) -> None:
    gevent.spawn_later(seconds, work)


class Strangers:
    """Tells which refusal of a stranger gets a line of its own, and writes what became of the others.

    `later`: runs a function after so many seconds. `fields`: what each line has beside the address.
    """

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], None] = _later,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self._later = later
        self._fields = {"code": "10004"} if fields is None else dict(fields)
        self._left_out: dict[tuple[str, str], int] = {}
        self._elsewhere: dict[str, int] = {}
        self._lines = 0
        self._running = False

    def note(self, reason: str, address: str) -> bool:
        """Count a refusal; True: it gets a line. `reason` is one of a few, `address` the client's."""
        if not self._running:
            self._later(INTERVAL, self.report)
            self._running = True
        known = self._left_out.get((reason, address))
        if known is not None:
            self._left_out[reason, address] = known + 1
            return False
        if len(self._left_out) >= ADDRESSES:
            self._elsewhere[reason] = self._elsewhere.get(reason, 0) + 1
            return False
        has_line = self._lines < LINES
        self._lines += has_line
        self._left_out[reason, address] = 0 if has_line else 1
        return has_line

    def report(self) -> None:
        """End the interval: a line for each reason and address of which something was left out, the most first."""
        left_out, elsewhere = self._left_out, self._elsewhere
        self._left_out, self._elsewhere, self._lines, self._running = {}, {}, 0, False
        most_first = sorted(
            (pair for pair in left_out if left_out[pair]), key=left_out.__getitem__, reverse=True
        )
        for reason, address in most_first[:LINES]:
            _write(reason, left_out[reason, address], {**self._fields, "address": address})
        for reason, address in most_first[LINES:]:
            elsewhere[reason] = elsewhere.get(reason, 0) + left_out[reason, address]
        for reason, count in elsewhere.items():
            _write(reason, count, {**self._fields, "address": "others"})


def _write(reason: str, count: int, fields: dict[str, str]) -> None:
    log.info("refused %d more in %d s: %s", count, INTERVAL, reason, extra={FIELDS: fields})


strangers = Strangers()
"""Those of this process."""
