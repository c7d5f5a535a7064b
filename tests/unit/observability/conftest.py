"""Plugin servers as processes, and the counts of this process."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from yeastar_adapter.observability import requests as outcomes
from yeastar_adapter.observability.counters import RequestCounters

from kong.embedded.child import Child
from tests.unit.plugin_server.rpc_client import Worker

ROOT = Path(__file__).parents[3]
KEY = "ystr_test_acme_manila_0123456789"


class PluginServer:
    """A running plugin server."""

    def __init__(self, prefix: Path, name: str) -> None:
        self.path = str(prefix / "yeastar-adapter.socket")
        command = [sys.executable, "-m", "yeastar_adapter", "-p", prefix]
        self.child = Child("yeastar-adapter", command, log=prefix / f"{name}.log", directory=ROOT)
        self.child.wait_for("serves at", 30)

    @property
    def log(self) -> str:
        return self.child.output()

    def start(self, listen: str | None = None, **config: Any) -> int:
        """Start an instance that exports its metrics there. Returns its id."""
        metrics = {} if listen is None else {"metrics": {"listen": listen}}
        with Worker(self.path) as worker:
            return worker.start({"consumers": [], **metrics, **config}, "yeastar-adapter")

    def close_instance(self, instance: int) -> None:
        with Worker(self.path) as worker:
            worker.call("plugin.CloseInstance", instance)

    def exported_at(self) -> str:
        """Where it says that it serves its metrics: `http://…` or `unix:/…`."""
        return self.child.wait_for(r"metrics are served at (\S+)", 30)[1]


@pytest.fixture
def prefix() -> Iterator[Path]:
    """A directory for sockets: pytest's own are too long for the path of one."""
    directory = Path(tempfile.mkdtemp(prefix="kong-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def serve(prefix: Path) -> Iterator[Callable[[], PluginServer]]:
    """Starts a plugin server; each takes over from the one before, as after `kong reload`."""
    servers: list[PluginServer] = []

    def serve() -> PluginServer:
        servers.append(PluginServer(prefix, f"server-{len(servers)}"))
        return servers[-1]

    yield serve
    for server in servers:
        server.child.stop()


@pytest.fixture
def server(serve: Callable[[], PluginServer]) -> PluginServer:
    return serve()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> RequestCounters:
    """RequestCounters of the test's own."""
    fresh = RequestCounters()
    monkeypatch.setattr(outcomes, "counters", fresh)
    return fresh
