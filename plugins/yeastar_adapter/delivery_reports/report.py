"""A delivery report: what FutureSMS posts to an order's `dlr_address` (contract, section 4)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .address import Reference
from .statuses import OUTCOMES, Outcome, status_of


class Objection(Enum):
    """Why a call on the reports' route is no report: label of the metric, HTTP status, what is answered."""

    OFF = ("off", 404, "delivery reports are disabled here")
    METHOD = ("method", 405, "a delivery report must be a POST")
    ADDRESS = ("address", 404, "this address belongs to no order")
    BODY = ("body", 400, "the body is not a delivery report")
    ORDER = ("order", 400, "the report is about another order than its address")
    STATUS = ("status", 422, "unknown message_status")

    @property
    def label(self) -> str:
        """A short name, for metrics and log."""
        return self.value[0]


class NoReport(Exception):
    """A call that is answered with an objection; `detail` is for the log."""

    def __init__(self, objection: Objection, detail: str = "") -> None:
        super().__init__(objection, detail)
        self.objection = objection
        self.detail = detail


@dataclass(frozen=True)
class Report:
    """One report. `status`: one of `statuses.OUTCOMES`."""

    order_id: str
    status: str
    phone_number: str

    @property
    def outcome(self) -> Outcome:
        """What the status means for the message."""
        return OUTCOMES[self.status]

    @classmethod
    def parse(cls, body: bytes | None, reference: Reference) -> Report:
        """Read a report that came to the address of `reference`; `body` None: longer than the reader hands over.

        Raises NoReport.
        """
        if body is None:
            raise NoReport(Objection.BODY, "longer than 64 KB")
        try:
            fields: Any = json.loads(body)
        except (ValueError, RecursionError):
            raise NoReport(Objection.BODY, "not JSON") from None
        if not isinstance(fields, dict):
            raise NoReport(Objection.BODY, "not a JSON object")
        order_id, word = fields.get("order_id"), fields.get("message_status")
        if isinstance(order_id, int) and not isinstance(order_id, bool):
            order_id = str(order_id)
        if not isinstance(order_id, str) or not order_id.strip():
            raise NoReport(Objection.BODY, "no order_id")
        if not isinstance(word, str) or not word.strip():
            raise NoReport(Objection.BODY, "no message_status")
        client_order_id = fields.get("client_order_id")
        if client_order_id is not None and client_order_id != reference.client_order_id:
            raise NoReport(Objection.ORDER)
        status = status_of(word)
        if status is None:
            raise NoReport(Objection.STATUS, word.strip()[:32])
        number = fields.get("phone_number")
        return cls(order_id.strip(), status, number if isinstance(number, str) else "")
