"""Work for later."""

from __future__ import annotations

import threading
from collections.abc import Callable


def later(seconds: float, work: Callable[[], None]) -> None:
    """Run `work` on its own in so many seconds. In the plugin server, which gevent has patched, that is a greenlet."""
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
