"""The `Retry-After` header (RFC 9110, 10.2.3), as the contract wants it: whole seconds."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

AT_LEAST, AT_MOST = 1, 86_400

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", re.ASCII)
_LONGEST = 64


def seconds(value: object, now: datetime | None = None) -> int:
    """Read a number of seconds, or a date in any form of HTTP; a fraction is rounded up.

    At least 1 and at most a day; what is missing or senseless counts as the shortest wait.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else str("" if value is None else value)
    text = text.strip()
    if _NUMBER.fullmatch(text):
        wait = float(text)
    elif len(text) > _LONGEST:
        wait = 0.0
    else:
        wait = _until(text, now or datetime.now(timezone.utc))
    return max(AT_LEAST, math.ceil(min(wait, AT_MOST)))


def _until(date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    # HTTP's dates are in GMT, whether they say so (IMF-fixdate) or not (asctime).
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - now).total_seconds()
