"""What is done on the reports' route, and to the orders that ask for a report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import NamedTuple

from .address import Reference, ReportAddresses
from .ledger import Ledger
from .report import NoReport, Objection, Report

STORED = '{"status": "ok"}'
"""What FutureSMS wants to see with status 200."""


class ReportAnswer(NamedTuple):
    """What a call on the route is answered."""

    status: int
    body: str
    headers: dict[str, str]


class Observer(NamedTuple):
    """Who is told of what comes: `observability.deliveries`, in the plugin."""

    reported: Callable[[str, Reference, Report, float, bool], None]
    refused: Callable[[str, str, Reference | None, NoReport], None]
    expected: Callable[[str], None]
    label: Callable[[str], str]


class DeliveryReports:
    """The reports of one configuration. `addresses` None: it asks for none, and takes none."""

    def __init__(
        self,
        addresses: ReportAddresses | None,
        ledger: Ledger,
        observer: Observer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._addresses = addresses
        self._ledger = ledger
        self._observer = observer
        self._clock = clock

    def address_for(self, consumer: str, request_id: str, client_order_id: str) -> str | None:
        """The `dlr_address` of an order; None where it is not to have one."""
        if self._addresses is None:
            return None
        return self._addresses.make(consumer, client_order_id, request_id, self._clock())

    @property
    def on(self) -> bool:
        """Whether orders ask for reports."""
        return self._addresses is not None

    def expect(self, consumer: str) -> None:
        """FutureSMS has taken an order of a consumer: its report is to come, if the order has asked for one."""
        if self._addresses is None or self._addresses.room(consumer) < 0:
            return
        label = self._observer.label(consumer)
        self._ledger.expect(label, self._clock())
        self._observer.expected(label)

    def answer(
        self, line: str, reference_text: str, body: bytes | None, request_id: str, address: str
    ) -> ReportAnswer:
        """Take what was sent to `reference_text`. `line`: the request line; `address`: the client's, for the log.

        A stranger costs one MAC; his body is not read.
        """
        reference: Reference | None = None
        try:
            if self._addresses is None:
                raise NoReport(Objection.OFF)
            reference = self._addresses.read(reference_text)
            if reference is None:
                raise NoReport(Objection.ADDRESS)
            if not line.startswith("POST "):
                raise NoReport(Objection.METHOD)
            report = Report.parse(body, reference)
        except NoReport as refusal:
            self._observer.refused(request_id, address, reference, refusal)
            _, status, reason = refusal.objection.value
            headers = {"Allow": "POST"} if refusal.objection is Objection.METHOD else {}
            return ReportAnswer(status, json.dumps({"status": "error", "reason": reason}), headers)
        now = self._clock()
        first = self._ledger.enter(reference, report, self._observer.label(reference.consumer), now)
        self._observer.reported(request_id, reference, report, max(0.0, now - reference.handed_over), first)
        return ReportAnswer(200, STORED, {})
