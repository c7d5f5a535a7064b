"""What must never stand in a log: keys, tokens, passwords, message texts, full phone numbers."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Any

_SHORTEST = 8
_FEWEST = 4
"""Different characters: `xxxxxxxx` may stand anywhere."""
_MOST = 4000
_NUMBER = re.compile(r"\+[1-9][0-9]{7,14}")
_ORDINARY = frozenset({"undefined", "sendmessage"})


class Secrets:
    """Collects secrets while tests run, and finds them in logs afterwards. Thread-safe, bounded in number."""

    def __init__(self) -> None:
        self._kept: dict[str, None] = {}
        self._lock = threading.Lock()

    def guard(self, value: Any) -> None:
        """Keep a secret: a text of at least 8 characters. A phone number is looked for without its `+` too."""
        if not isinstance(value, str):
            return
        value = value.strip()
        if len(value) < _SHORTEST or value in _ORDINARY or len(set(value)) < _FEWEST:
            return
        with self._lock:
            if len(self._kept) < _MOST:
                self._kept[value.removeprefix("+") if _NUMBER.fullmatch(value) else value] = None

    def guard_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.guard(value)

    def found_in(self, text: str) -> list[str]:
        """The lines of a log that hold a secret, at most 10, with what was found in each."""
        with self._lock:
            present = [secret for secret in self._kept if secret in text]
        if not present:
            return []
        hits = []
        for line in text.splitlines():
            inside = [secret for secret in present if secret in line]
            if inside:
                hits.append(f"{inside!r} in: {line[:400]}")
        return (hits or [f"{present!r}, over several lines"])[:10]
