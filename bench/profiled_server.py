"""The plugin server with a sampler inside: `python -m bench.profiled_server RESULT [the server's own
options]`.

Every millisecond of CPU the stack is looked at; when the server ends, RESULT gets the number of samples by
function, and by part of the work (`PARTS`). Time in C code counts for the Python function that called it.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

PARTS = (
    ("phone numbers", ("phonenumbers/", "yeastar_adapter/yeastar/numbers")),
    ("rate limiter", ("yeastar_adapter/limits/",)),
    ("authentication", ("yeastar_adapter/authentication",)),
    ("message: JSON and checks", ("yeastar_adapter/yeastar/",)),
    ("order", ("yeastar_adapter/futuresms/order",)),
    ("FutureSMS's answer", ("yeastar_adapter/futuresms/answer", "yeastar_adapter/translation")),
    ("Merchant session", ("yeastar_adapter/futuresms/", "yeastar_adapter/integration")),
    ("logs and metrics", ("yeastar_adapter/observability/",)),
    ("flow of the request", ("yeastar_adapter/plugin", "yeastar_adapter/call")),
    ("protocol: sending", ("kong_plugin_server/connection.py:send",)),
    ("protocol: reading", ("kong_plugin_server/connection", "kong_plugin_server/server")),
    ("protocol: PDK calls", ("kong_plugin_server/",)),
)
"""The first part of which a piece is in the file and function of the innermost frame that belongs to any
part."""

EVENT_LOOP = "event loop"


class Sampler:
    def __init__(self) -> None:
        self.samples = 0
        self.parts: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        if frame is not None:
            self.functions[_place(frame)] += 1
        self.parts[_part(frame)] += 1


def _place(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    for root in ("site-packages/", "plugins/", "lib/python3."):
        file = file.rpartition(root)[2]
    return f"{file}:{frame.f_code.co_name}"


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        place = _place(frame)
        for part, pieces in PARTS:
            if any(piece in place for piece in pieces):
                return part
        frame = frame.f_back
    return EVENT_LOOP


def main() -> int:
    result = Path(sys.argv.pop(1))
    from yeastar_adapter.__main__ import main as serve

    sampler = Sampler()
    signal.signal(signal.SIGUSR1, lambda *_: sampler.start())
    try:
        return serve()
    finally:
        sampler.stop()
        result.write_text(
            json.dumps(
                {
                    "samples": sampler.samples,
                    "parts": dict(sampler.parts),
                    "functions": dict(sampler.functions.most_common(60)),
                }
            )
        )


if __name__ == "__main__":
    sys.exit(main())
