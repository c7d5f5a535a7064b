"""Log lines: for people (`text`) or for machines (`json`), as `config.log` says."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

FIELDS = "fields"
"""The attribute of a log record that holds its fields by name: `log.info("…", extra={FIELDS: {…}})`."""


LONGEST = 1800
"""Bytes of a JSON line: nginx cuts what Kong logs at 2048, the time and more before it included, and half an
object is none."""

_started_at: int | None = None


def configure(level: str, style: str) -> None:
    """Apply a configuration to the log of this process; the last one that is loaded wins.

    A process that was started with `-v` stays verbose.
    """
    global _started_at
    root = logging.getLogger()
    if _started_at is None:
        _started_at = root.level
    root.setLevel(logging.DEBUG if _started_at == logging.DEBUG else level.upper())
    for handler in root.handlers:
        handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())


class TextFormatter(logging.Formatter):
    """`INFO logger: message name=value …`; Kong puts time, server and process id before it."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields: dict[str, Any] = getattr(record, FIELDS, {})
        return " ".join([line, *(f"{name}={_word(value)}" for name, value in fields.items())])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _shortened(line)


def _shortened(line: dict[str, Any]) -> str:
    """The line as JSON; too long, it loses the middle of its longest text: a traceback tells most at its end."""
    text = json.dumps(line, default=str)
    for _ in range(_CUTS):
        if len(text) <= LONGEST:
            break
        name = max(line, key=lambda name: len(str(line[name])))
        value = str(line[name])
        # As much of it as there is room for, by what its characters take in JSON on average.
        taken = len(json.dumps(value))
        room = max(0, LONGEST - (len(text) - taken) - len(_GAP))
        keep = len(value) * room // (taken + 1)
        line[name] = value[: keep // 3] + _GAP + value[len(value) - (keep - keep // 3) :]
        text = json.dumps(line, default=str)
    return text


_GAP = " [...] "
_CUTS = 50


def _word(value: Any) -> str:
    word = str(value)
    return word if word and word.isprintable() and not set(word) & set(' "=') else json.dumps(word)
