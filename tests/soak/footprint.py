"""What the processes take while the load goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.harness.faults import PluginServer


@dataclass(frozen=True)
class Sample:
    """At `second` since the start: the plugin server's resident memory in MB, its open events and descriptors."""

    second: float
    megabytes: float
    open_events: int
    descriptors: int


class Footprint:
    """Looks at the plugin server that answers at the socket, every few seconds."""

    def __init__(self, prefix: Path, interval: float = 2.0) -> None:
        self.samples: list[Sample] = []
        self._socket = str(prefix / "yeastar-adapter.socket")
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="footprint", daemon=True)

    def start(self) -> None:
        self._start = time.monotonic()
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def look(self) -> Sample | None:
        """None while there is no plugin server."""
        with contextlib.suppress(OSError, AssertionError, psutil.Error):
            status = PluginServer(0, self._socket).status()
            process = psutil.Process(status["Pid"])
            return Sample(
                round(time.monotonic() - self._start, 1),
                round(process.memory_info().rss / 1e6, 1),
                status["OpenEvents"],
                process.num_fds(),
            )
        return None

    def as_rows(self) -> list[dict[str, float]]:
        return [asdict(sample) for sample in self.samples]

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            sample = self.look()
            if sample is not None:
                self.samples.append(sample)
