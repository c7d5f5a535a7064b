"""What FutureSMS answered to an order: both envelopes of the Merchant API (contract, section 2)."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, NamedTuple

MAX_BODY = 64 * 1024
"""Longest answer that is read, in bytes; an envelope is a few hundred."""

_GZIP = b"\x1f\x8b"

# Brackets and commas of an answer that is parsed: a value costs a microsecond, and all are served by one thread.
_MAX_VALUES = 2500
_SEPARATORS = (b",", b"[", b"{")


class Answer(NamedTuple):
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
            order_id=_identifier(order_id),
            error_code=_string(envelope.get("error_code")).strip().upper(),
            reason=_string(envelope.get("reason")),
            details=_string(envelope.get("details")),
            request_id=_string(envelope.get("request_id")),
        )

    @property
    def is_order(self) -> bool:
        """The order was accepted: a 2xx that names it."""
        return 200 <= self.status < 300 and bool(self.order_id)

    def concerns(self, field: str) -> bool:
        """The error names this field, in its reason or its details, in any case and spelling.

        `phone_number` is named by `INVALID_PHONE_NUMBER`, by `phoneNumber`, and by "Phone number must be …".
        """
        name = _squeezed(field)
        return name in _squeezed(self.reason) or name in _squeezed(self.details)


def _envelope(body: bytes | str | None) -> dict[str, Any]:
    raw = body.encode(errors="surrogateescape") if isinstance(body, str) else body or b""
    if raw.startswith(_GZIP):
        raw = _inflated(raw)
    if len(raw) > MAX_BODY or sum(map(raw.count, _SEPARATORS)) > _MAX_VALUES:
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


def _identifier(value: Any) -> str:
    """An order id: a string, or an integer, which other services use for theirs. A boolean is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else ""


def _string(value: Any) -> str:
    """`reason` and `details` are strings in the documentation; lists and objects have been seen elsewhere."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def _squeezed(text: str) -> str:
    return _BETWEEN_WORDS.sub("", text).casefold()


_BETWEEN_WORDS = re.compile(r"[\W_]+")
