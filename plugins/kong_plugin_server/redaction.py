"""Keeps secrets out of what is logged when something unforeseen goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MASK = "<hidden>"

_SECRET_SETTING = re.compile(r"key|password|secret|token", re.IGNORECASE)
_CREDENTIAL = re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",;]+")
_SHORTEST = 6


class Redactor:
    """Masks Bearer and Basic credentials, and the values of secret settings that it has seen in
    configurations."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, config: Any) -> None:
        self._secrets.update(_secrets(config, secret=False))

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return _CREDENTIAL.sub(rf"\1 {MASK}", text)


def _secrets(value: Any, secret: bool) -> Iterable[str]:
    """The strings under settings whose name says that they are secret. Kong's bookkeeping (`__key__`, …) is
    none."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not str(name).startswith("__"):
                yield from _secrets(inner, secret or bool(_SECRET_SETTING.search(str(name))))
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, secret)
    elif secret and isinstance(value, str) and len(value) >= _SHORTEST:
        yield value
