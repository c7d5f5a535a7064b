"""What is seen of delivery reports: a log line for each, and what is counted beside the ledgers."""

from __future__ import annotations

import logging
from collections import defaultdict

from ..delivery_reports.address import Reference
from ..delivery_reports.report import NoReport, Objection, Report
from ..yeastar.numbers import masked
from .logs import FIELDS
from .strangers import Strangers

log = logging.getLogger("yeastar_adapter.reports")


class DeliveryCounters:
    """Running totals of this process; read at any time, and never reset."""

    def __init__(self) -> None:
        self.expected: dict[str, int] = defaultdict(int)
        """Orders that FutureSMS has taken, and that ask for a report, by consumer."""
        self.repeated = 0
        """Reports that had been counted before."""
        self.refused: dict[str, int] = defaultdict(int)
        """Calls that were not valid reports, by the label of the objection."""


counters = DeliveryCounters()
_strangers = Strangers(fields={"endpoint": "report"})


def expected(label: str) -> None:
    """FutureSMS has taken an order whose report is to come."""
    counters.expected[label] += 1


def reported(request_id: str, reference: Reference, report: Report, seconds: float, first: bool) -> None:
    """A report has come; a repeated one is logged at debug."""
    counters.repeated += not first
    level = logging.INFO if first else logging.DEBUG
    if log.isEnabledFor(level):
        fields = {
            "request_id": request_id,
            "message_request_id": reference.request_id,
            "consumer": reference.consumer,
            "order_id": report.order_id[:64],
            "client_order_id": reference.client_order_id,
            "message_status": report.status,
            "seconds": round(seconds, 1),
            "recipient": masked(report.phone_number) if report.phone_number else "",
        }
        message = report.outcome.value if first else f"{report.outcome.value}, once more"
        log.log(level, message, extra={FIELDS: {name: fact for name, fact in fields.items() if fact != ""}})


def refused(request_id: str, address: str, reference: Reference | None, refusal: NoReport) -> None:
    """A call on the route was no report. One to an address of ours is FutureSMS's; the others are strangers'."""
    objection = refusal.objection
    counters.refused[objection.label] += 1
    if reference is not None:
        fields = {
            "request_id": request_id,
            "message_request_id": reference.request_id,
            "consumer": reference.consumer,
            "client_order_id": reference.client_order_id,
        }
        level = logging.WARNING if objection is not Objection.METHOD else logging.INFO
        log.log(level, "report refused: %s", _reason(refusal), extra={FIELDS: fields})
    elif _strangers.note(f"report refused: {objection.value[2]}", address):
        log.info(
            "report refused: %s",
            objection.value[2],
            extra={FIELDS: {"request_id": request_id, "address": address}},
        )


def _reason(refusal: NoReport) -> str:
    # A word of FutureSMS's that is not known is shown as far as it is one: it could be anything.
    detail = refusal.detail
    shown = detail if detail.isascii() and detail.isprintable() else f"({len(detail)} characters)"
    return refusal.objection.value[2] + (f": {shown}" if detail else "")
