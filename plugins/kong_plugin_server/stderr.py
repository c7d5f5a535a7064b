"""Standard output and error that can neither block nor fail.

Kong reads both through one pipe and writes them to its log. When nobody reads any more, a full or broken
pipe must not hold up the event loop, so text that the pipe does not take at once is dropped, and counted.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import sys
from typing import TYPE_CHECKING

from gevent.monkey import get_original

PIECE = 4096
"""A pipe that is ready for writing takes this much without blocking (PIPE_BUF)."""


def reserve_standard_descriptors() -> None:
    """Open /dev/null where 0, 1 or 2 is closed: else the next socket would get that number, and the log
    would go into it."""
    for descriptor in range(3):
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)


def keep_reader_waiting() -> None:
    """Write an empty line, which Kong does not log."""
    sys.stdout.write("\n")


def release_reader() -> None:
    """Close Kong's pipe: what is written from now on is lost."""
    pipe = os.fstat(1)
    null = os.open(os.devnull, os.O_RDWR)
    # nginx leaves it open under a third number.
    for descriptor in map(int, os.listdir("/dev/fd")):
        with contextlib.suppress(OSError):  # the one of the listing is closed
            if os.path.samestat(os.fstat(descriptor), pipe):
                os.dup2(null, descriptor)
    os.close(null)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class UnblockingStream(io.TextIOBase):
    """Text to a file descriptor, as far as it is ready to take it."""

    encoding = "utf-8"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # gevent's own would switch to the event loop, which logs too.
        self._ready = get_original("select", "poll")()
        self._ready.register(descriptor, select.POLLOUT)
        self.dropped = 0

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, text: str) -> int:
        if self.dropped:
            text = f"({self.dropped} bytes of log were dropped: nobody read them)\n{text}"
        data = text.encode("utf-8", "backslashreplace")
        written = 0
        with contextlib.suppress(OSError):
            while written < len(data) and self._is_ready():
                written += os.write(self._descriptor, data[written : written + PIECE])
        self.dropped = self.dropped + len(data) - written if written < len(data) else 0
        return len(text)

    def _is_ready(self) -> bool:
        return any(events & select.POLLOUT for _, events in self._ready.poll(0))


class _NoLock:
    """One native thread logs, and `UnblockingStream` never gives way inside a line: a lock would only
    cost."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return True

    def release(self) -> None:
        return None

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[UnblockingStream]
else:  # Python 3.10 cannot subscript it
    _StreamHandler = logging.StreamHandler


class _Handler(_StreamHandler):
    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        self.lock = _NoLock()  # type: ignore[assignment]

    def flush(self) -> None:
        return None


def redirect_log(level: int) -> None:
    """Make the standard streams unblocking and send the log to standard error, from `level` up."""
    sys.stdout = UnblockingStream(1)
    sys.stderr = UnblockingStream(2)
    handler = _Handler(sys.stderr)
    # Kong puts the time, the server's name and its process id before each line.
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.raiseExceptions = False
