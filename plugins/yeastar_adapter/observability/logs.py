"""Log lines: for people (`text`) or for machines (`json`), as `config.log` says."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

FIELDS = "fields"
"""The attribute of a log record that holds its facts by name: `log.info("…", extra={FIELDS: {…}})`."""


def configure(level: str, style: str) -> None:
    """Apply a configuration to the log of this process; the last one that is loaded wins.

    A process that was started with `-v` stays verbose.
    """
    root = logging.getLogger()
    if root.level != logging.DEBUG or level == "debug":
        root.setLevel(level.upper())
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
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, then the facts."""

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
        return json.dumps(line, default=str)


def _word(value: Any) -> str:
    word = str(value)
    return word if word and word.isprintable() and not set(word) & set(' "=') else json.dumps(word)
