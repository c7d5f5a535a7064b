"""The `Retry-After` header (RFC 9110, 10.2.3), as the contract wants it: whole seconds."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

AT_LEAST = 1


def seconds(value: object, now: datetime | None = None) -> int:
    """Read a number of seconds or an HTTP date; what is missing or senseless counts as the shortest wait."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    text = text.strip()
    if text.isascii() and text.isdigit():
        wait = float(text[:10])
    else:
        try:
            wait = (parsedate_to_datetime(text) - (now or datetime.now(timezone.utc))).total_seconds()
        except (ValueError, TypeError):
            wait = 0.0
    return max(AT_LEAST, int(wait))
