"""Kong's log: one line an event on standard error, in nginx's form."""

from __future__ import annotations

import os
import sys
import time

_NAMES = dict(enumerate(("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"), 1))
LEVELS = {name: rank for rank, name in _NAMES.items()} | {"err": 4}


class Log:
    """Writes the lines whose level is at least as grave as the threshold."""

    def __init__(self, level: str = "notice") -> None:
        self.threshold = LEVELS.get(level, 6)

    def enabled(self, level: str) -> bool:
        return LEVELS[level] <= self.threshold

    def write(self, level: str, message: str, *, always: bool = False) -> None:
        """`always`: whatever the threshold says."""
        rank = LEVELS[level]
        if rank > self.threshold and not always:
            return
        stamp = time.strftime("%Y/%m/%d %H:%M:%S")
        line = f"{stamp} [{_NAMES[rank]}] {os.getpid()}#0: {message}\n"
        try:
            sys.stderr.write(line.encode("utf-8", "backslashreplace").decode("utf-8"))
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody reads the log any more: the gateway serves on
            return

    def error(self, message: str) -> None:
        self.write("error", message)

    def warn(self, message: str) -> None:
        self.write("warn", message)

    def notice(self, message: str) -> None:
        self.write("notice", message)

    def info(self, message: str) -> None:
        self.write("info", message)
