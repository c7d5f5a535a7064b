"""A plugin server in a process of its own, with scripted handlers, and Kong's side of its socket."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .kong import ROOT, Kong
from .rpc_client import PATIENCE, ConnectionClosed, Worker

COMMAND = (sys.executable, "-m", "tests.unit.plugin_server.scripted_plugin")


def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    """The first true value of `condition`, asked again and again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, what or "it did not come about in time"
        time.sleep(0.01)


class PluginProcess:
    """A running plugin server."""

    def __init__(self, prefix: Path, process: Any, log: Path, name: str = "scripted.socket") -> None:
        self.prefix = prefix
        self.process = process
        self.path = str(prefix / name)
        self.journal = prefix / "journal"
        self._log = log
        self._log_from = 0
        self._workers: list[Worker] = []

    def worker(self) -> Worker:
        """A new connection; closed when the test ends."""
        worker = Worker(self.path)
        self._workers.append(worker)
        return worker

    def start(self, access: str, **config: Any) -> tuple[Worker, int]:
        """A connection, and an instance whose access handler behaves so."""
        worker = self.worker()
        return worker, worker.start({"access": access, "journal": str(self.journal), **config})

    @property
    def log(self) -> str:
        return self._log.read_bytes()[self._log_from :].decode(errors="replace")

    def notes(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    def wait_for_note(self, note: str) -> None:
        eventually(lambda: note in self.notes(), f"no note {note!r}; the log: {self.log}")

    def wait_for_log(self, text: str) -> None:
        eventually(lambda: text in self.log, f"{text!r} is not in the log: {self.log}")

    def is_listening(self) -> bool:
        with contextlib.suppress(OSError), Worker(self.path):
            return True
        return False

    def is_served_by(self, pid: int) -> bool:
        """Whether that process answers at the path."""
        with contextlib.suppress(OSError, ConnectionClosed):
            return bool(self.status()["Pid"] == pid)
        return False

    def process_descriptors(self) -> list[str]:
        return os.listdir(f"/proc/{self.process.pid}/fd")

    def status(self) -> Any:
        with Worker(self.path) as worker:
            return worker.call("plugin.GetStatus")

    @contextlib.contextmanager
    def of_one_test(self, number: int) -> Iterator[PluginProcess]:
        """The same process with connections, a journal and a log of the test's own, and with no instance but its."""
        view = PluginProcess(self.prefix, self.process, self._log)
        view.journal = self.prefix / f"journal-{number}"
        view._log_from = self._log.stat().st_size
        yield view
        with Worker(self.path) as worker:
            for instance in worker.call("plugin.GetStatus")["Plugins"]["scripted"]["Instances"]:
                worker.call("plugin.CloseInstance", instance["Id"])
        for worker in view._workers:
            worker.close()

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def prefix() -> Iterator[Path]:
    """A directory for the socket: pytest's own are too long for the path of one."""
    directory = Path(tempfile.mkdtemp(prefix="kong-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


Launch = Callable[..., PluginProcess]


@contextlib.contextmanager
def launching(prefix: Path) -> Iterator[Launch]:
    """`launch("-v", handler_timeout=0.3)`: start a plugin server without waiting for it."""
    started: list[PluginProcess] = []

    def launch(*options: str, environment: dict[str, str] | None = None, **limits: float) -> PluginProcess:
        log = prefix / f"log-{len(started)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*COMMAND, "-p", str(prefix), *options],
                cwd=ROOT,
                env={**os.environ, "TEST_LIMITS": json.dumps(limits), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = PluginProcess(prefix, process, log)
        started.append(server)
        return server

    yield launch
    for server in started:
        server.close()


@pytest.fixture
def launch(prefix: Path) -> Iterator[Launch]:
    """Starts a plugin server without waiting for it; keyword arguments are `Limits`."""
    with launching(prefix) as launch:
        yield launch


@pytest.fixture(scope="session")
def _shared() -> Iterator[PluginProcess]:
    with tempfile.TemporaryDirectory(prefix="kong-") as directory, launching(Path(directory)) as launch:
        server = launch()
        server.wait_for_log("serves at")
        yield server


_numbers = itertools.count()


@pytest.fixture
def shared_server(_shared: PluginProcess) -> Iterator[PluginProcess]:
    """One that tests share which neither stop it nor look at what all of them leave in it."""
    with _shared.of_one_test(next(_numbers)) as server:
        yield server


@pytest.fixture
def serve(launch: Callable[..., PluginProcess]) -> Callable[..., PluginProcess]:
    """Starts a plugin server and waits until it says that it serves."""

    def serve(*options: str, **settings: Any) -> PluginProcess:
        server = launch(*options, **settings)
        server.wait_for_log("serves at")
        return server

    return serve


@pytest.fixture
def server(serve: Callable[..., PluginProcess]) -> PluginProcess:
    return serve()


@pytest.fixture
def start_kong(prefix: Path) -> Iterator[Callable[..., Kong]]:
    started: list[Kong] = []

    def start_kong(
        command: tuple[str, ...] = (*COMMAND, "-p", str(prefix)), in_background: bool = False, **limits: float
    ) -> Kong:
        """Keyword arguments are `Limits` of its plugin servers."""
        started.append(Kong(prefix, command, in_background, limits))
        return started[-1]

    yield start_kong
    for kong in started:
        kong.end()


@pytest.fixture
def kong(start_kong: Callable[..., Kong]) -> Kong:
    return start_kong()


@pytest.fixture
def socket_of(prefix: Path) -> PluginProcess:
    """What there is at the path, whoever serves it."""
    return PluginProcess(prefix, None, prefix / "log")
