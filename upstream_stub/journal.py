"""What the stub has received: the last requests in full, and counters that never forget."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from . import clock

_KEPT_BODY = 65536
_MOST_CALLS = 1000
_BY_ID = "/api/v1/sms/orders/"


@dataclass(slots=True)
class Received:
    at: float
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    body_size: int

    def as_row(self) -> dict[str, Any]:
        """`headers` by lower-case name, a list of values where a name came more than once; `body` as text."""
        headers: dict[str, Any] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            if name in headers:
                before = headers[name]
                headers[name] = [*before, value] if isinstance(before, list) else [before, value]
            else:
                headers[name] = value
        path, _, query = self.target.decode("latin-1").partition("?")
        return {
            "at": clock.iso(self.at),
            "method": self.method.decode("latin-1"),
            "path": path,
            "query": query,
            "headers": headers,
            "body": self.body.decode("utf-8", "replace"),
            "body_size": self.body_size,
        }


class Journal:
    def __init__(self, keep: int) -> None:
        self.total = 0
        self.by_call: Counter[str] = Counter()
        self._last: deque[Received] = deque(maxlen=keep)

    def note(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.total += 1
        kept = body if len(body) <= _KEPT_BODY else body[:_KEPT_BODY]
        self._last.append(Received(time.time(), method, target, headers, kept, len(body)))

    def count(self, verb: str, path: str, status: int) -> None:
        """Count an answer under `POST /api/v1/sms/sends 202`; status 0: it got no answer."""
        if path.startswith(_BY_ID):
            path = _BY_ID + "{order_id}"
        key = f"{verb} {path} {status}"
        if key in self.by_call or len(self.by_call) < _MOST_CALLS:
            self.by_call[key] += 1

    def rows(self) -> list[dict[str, Any]]:
        return [received.as_row() for received in self._last]

    def clear(self) -> None:
        self.total = 0
        self.by_call.clear()
        self._last.clear()
