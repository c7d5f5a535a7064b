"""Which reports have come already, and what is counted of them: in this process, or in Redis for all nodes."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from .address import Reference
from .report import Report
from .statuses import Outcome

BOUNDS = (2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Buckets of the time to delivery, in seconds."""

OVERDUE = 3600
"""An order whose report has not come after so many seconds is outstanding."""

FORGOTTEN = 86400
"""After so many seconds it is so no longer: FutureSMS would have said something."""

SLOT = 600
"""Orders that wait for a report are counted by the ten minutes that FutureSMS took them in."""

REMEMBERED = 50_000
"""Orders whose reports this process knows to have come."""


@dataclass
class Totals:
    """What was counted, by the name that a consumer is counted under.

    seconds: (bucket, consumer) → deliveries. milliseconds: their sum. outstanding: consumer → orders; negative where
    another process has accepted what was reported here.
    """

    reports: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """(consumer, status) → reports."""
    seconds: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    milliseconds: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    outstanding: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Ledger(Protocol):
    """Counts each report once."""

    counted_in: str
    """`local` or `redis`."""

    def expect(self, consumer: str, now: float) -> None:
        """An order was accepted whose report is to come."""
        ...

    def enter(self, reference: Reference, report: Report, consumer: str, now: float) -> bool:
        """Count a report, under `consumer`; False when it was counted before."""
        ...


class LocalLedger:
    """Kept in this process: a restart forgets it. Greenlets of one thread may share it, threads may not.

    Orders that wait are counted, not remembered: one more when FutureSMS has taken it, one less when its report is
    there, under the time of its hand-over, which its address carries.
    """

    counted_in = "local"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._since = clock()
        self._totals = Totals()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: dict[tuple[int, str], int] = defaultdict(int)

    def expect(self, consumer: str, now: float) -> None:
        self._waiting[slot_of(now), consumer] += 1

    def enter(self, reference: Reference, report: Report, consumer: str, now: float) -> bool:
        if self.knows(reference, report):
            return False
        self.remember(reference, report)
        totals = self._totals
        totals.reports[consumer, report.status] += 1
        # An order from before the start was never counted as waiting here.
        if report.outcome is not Outcome.INTERIM and reference.handed_over >= self._since:
            self._waiting[slot_of(reference.handed_over), consumer] -= 1
        if report.outcome is Outcome.DELIVERED:
            seconds = waited(reference, now)
            totals.seconds[bucket_of(seconds), consumer] += 1
            totals.milliseconds[consumer] += round(seconds * 1000)
        return True

    def knows(self, reference: Reference, report: Report) -> bool:
        """Whether this process has counted it already."""
        key = seen_key(reference, report)
        if key in self._seen:
            self._seen.move_to_end(key)
            return True
        return False

    def remember(self, reference: Reference, report: Report) -> None:
        """Take a report for counted."""
        self._seen[seen_key(reference, report)] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def totals(self) -> Totals:
        """What was counted so far."""
        now = self._clock()
        kept, overdue = slots(now, since=0), slots(now)
        for key in [key for key in self._waiting if key[0] not in kept]:
            del self._waiting[key]
        self._totals.outstanding.clear()
        for (slot, consumer), orders in self._waiting.items():
            if slot in overdue:
                self._totals.outstanding[consumer] += orders
        return self._totals


def seen_key(reference: Reference, report: Report) -> bytes:
    """What is counted once: the end of an order, and each step on the way."""
    order = bytes.fromhex(reference.client_order_id)
    return order + report.status.encode() if report.outcome is Outcome.INTERIM else order


def waited(reference: Reference, now: float) -> float:
    """Seconds from the hand-over to now; at least 0, on whatever node's clock."""
    return max(0.0, now - reference.handed_over)


def bucket_of(seconds: float) -> int:
    """Index in BOUNDS of the first bound that is not below; their number: above all."""
    return next((index for index, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))


def slot_of(now: float) -> int:
    """The ten minutes that a moment is in."""
    return int(now) // SLOT


def slots(now: float, since: int = OVERDUE) -> range:
    """The slots that were over `since` seconds ago, and are not forgotten."""
    return range(slot_of(now - FORGOTTEN), slot_of(now - since) + (since == 0))


def merged(totals: Iterable[Totals]) -> Totals:
    """The sum of several."""
    result = Totals()
    for one in totals:
        for name in ("reports", "seconds", "milliseconds", "outstanding"):
            into = getattr(result, name)
            for key, value in getattr(one, name).items():
                into[key] += value
    return result
