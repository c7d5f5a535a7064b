"""What FutureSMS answered to an order: both envelopes of the Merchant API (contract, section 2)."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

MAX_BODY = 1 << 20
"""Longest answer that is read, in bytes; an envelope is a few hundred."""

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Answer:
    """An answer, read once: status, and what of the envelope matters. Missing strings are ""."""

    status: int
    order_id: str = ""
    error_code: str = ""
    reason: str = ""
    details: str = ""
    request_id: str = ""

    @classmethod
    def read(cls, status: int, body: bytes | str | None) -> Answer:
        """Read status and body; a body that is no envelope leaves everything but the status empty."""
        envelope = _envelope(body)
        outcome = envelope.get("data")
        order_id = outcome.get("order_id") if isinstance(outcome, dict) else None
        return cls(
            status=status,
            order_id=order_id if isinstance(order_id, str) else "",
            error_code=_string(envelope.get("error_code")),
            reason=_string(envelope.get("reason")),
            details=_string(envelope.get("details")),
            request_id=_string(envelope.get("request_id")),
        )

    @property
    def is_order(self) -> bool:
        """The order was accepted: a 2xx that names it."""
        return 200 <= self.status < 300 and bool(self.order_id)

    def concerns(self, field: str) -> bool:
        """The error names this field, in its reason or its details."""
        return field in self.reason or field in self.details


def _envelope(body: bytes | str | None) -> dict[str, Any]:
    raw = body.encode(errors="surrogateescape") if isinstance(body, str) else body or b""
    if raw.startswith(_GZIP):
        raw = _inflated(raw)
    if len(raw) > MAX_BODY:
        return {}
    try:
        envelope = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _inflated(raw: bytes) -> bytes:
    # The order asks for no compression; an upstream that compresses all the same has still taken the order.
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, MAX_BODY + 1)
    except zlib.error:
        return b""


def _string(value: Any) -> str:
    """`reason` and `details` are strings in the documentation; lists and objects have been seen elsewhere."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
