"""What is done about code that blocks the event loop: an endless loop, a call that blocks the whole process.

The loop resets the watchdog about twice a second. When it has not for `Limits.max_blocking_time`, a signal interrupts
the code that is running, in the greenlet that is to blame, and logs where. When that does not help within
`Limits.watchdog_timeout` (C code that looks at no signals), a thread that needs nothing of Python's prints all stacks
and ends the process, and Kong starts another.

Time in which the process was stopped or got no CPU is nobody's fault. The signal comes in short intervals, and one
that comes late counts for no more than one of them.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import traceback
from types import FrameType

from greenlet import getcurrent, greenlet

from .events import EventLoopBlocked

INTERVALS = 10
"""How many signals it takes before code is interrupted."""

log = logging.getLogger(__name__)


class Watchdog:
    """Made in the main greenlet. hub: the event loop's. Times are in seconds."""

    def __init__(self, hub: greenlet, max_blocking_time: float, timeout: float) -> None:
        self._not_to_blame = (hub, getcurrent())
        self._max_blocking_time = max_blocking_time
        self._timeout = timeout
        self._report = _unblocking_descriptor()
        self._resets_until_rearmed = 0
        self._signals = 0
        signal.signal(signal.SIGALRM, self._interrupt)
        self.reset(0.0)

    def reset(self, interval: float) -> None:
        """The event loop runs; it will call again in `interval` seconds."""
        self._signals = 0
        signal.setitimer(signal.ITIMER_REAL, *[self._max_blocking_time / INTERVALS] * 2)
        # Arming this one starts a thread: not every time.
        self._resets_until_rearmed -= 1
        if self._resets_until_rearmed <= 0:
            self._resets_until_rearmed = int(self._timeout / 6 / interval) if interval else 1
            faulthandler.dump_traceback_later(self._timeout, file=self._report, exit=True)

    def close(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        # Those that were due while the process was stopped, or got no CPU, arrive as one.
        self._signals += 1
        if self._signals < INTERVALS or getcurrent() in self._not_to_blame:
            return
        stack = "".join(traceback.format_stack(frame))
        log.error("the event loop has not run for %g s: interrupting\n%s", self._max_blocking_time, stack)
        raise EventLoopBlocked


def _unblocking_descriptor() -> int:
    """Standard error, such that writing to it never blocks: `faulthandler` writes before it ends the
    process."""
    try:
        return os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND)
    except OSError:
        return 2
