"""UTC time as FutureSMS writes it: ISO 8601 with a trailing `Z`, whole seconds."""

from __future__ import annotations

import time

_second = -1
_iso = ""
_compact = ""


def iso(seconds: float) -> str:
    """`2026-03-25T10:30:12Z`; a fraction is cut off."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def now() -> tuple[str, str]:
    """The current second as `2026-03-25T10:30:12Z` and `260325103012`, formatted once a second."""
    global _second, _iso, _compact
    second = int(time.time())
    if second != _second:
        parts = time.gmtime(second)
        _iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", parts)
        _compact = time.strftime("%y%m%d%H%M%S", parts)
        _second = second
    return _iso, _compact
