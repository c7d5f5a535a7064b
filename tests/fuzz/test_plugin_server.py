"""Anything on the plugin server's socket: it lives, it answers, and it keeps nothing."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kong.embedded.child import Child
from tests.harness.faults import PluginServer
from tests.harness.gateway import ROOT, wait_until
from tests.harness.pbx import Answer, violations
from tests.harness.stub import PASSWORD, USERNAME, StubClient
from tests.unit.gateway.rpc_client import ConnectionClosed, RpcError, Worker

from . import rpc
from .cases import LONG, cases, count
from .pdk import KEY

GROWTH = 20_000_000
"""Bytes by which the process may have grown between the middle and the end of a round."""


class Server(PluginServer):
    """A plugin server of the test's own, with one instance."""

    def configure(self, merchant_url: str) -> int:
        config = {
            "__plugin_id": "59e49850-483c-5d81-8562-cbd46b11e97b",
            "route_id": "fd579e05",
            "consumers": [{"username": "acme-manila", "api_keys": [KEY], "enabled": True}],
            "order": {"template_id": "TPL1001", "sender_id": "SID-1"},
            "merchant": {"username": USERNAME, "password": PASSWORD, "base_url": merchant_url},
            "rate_limit": {"policy": "local", "day": 1_000_000_000},
            "log": {"level": "error"},
        }
        with Worker(self.socket) as worker:
            return worker.start(config, "yeastar-adapter")

    def holds_nothing_of(self, before: dict[str, Any], descriptors: int) -> None:
        """Events, connections and descriptors are what they were."""

        def settled() -> bool:
            status = self.status()
            return not status["OpenEvents"] and status["Connections"] <= before["Connections"]

        wait_until(settled, 20, "no event and no connection left")
        assert self.status()["Pid"] == before["Pid"] == self.pid
        wait_until(lambda: self.descriptors() <= descriptors, 20, "no descriptor left")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("adapter") / "log"
    with tempfile.TemporaryDirectory(prefix="kong-") as prefix:
        command = [sys.executable, "-m", "tests.fuzz.adapter_process", "-p", prefix]
        child = Child("adapter", command, log=log, directory=ROOT)
        child.wait_for("serves at", 30)
        yield Server(child.pid, str(Path(prefix) / "yeastar-adapter.socket"))
        child.stop()
    assert "Traceback" not in log.read_text(errors="replace").replace(_HANDLER_FAILED, ""), log


_HANDLER_FAILED = "handler failed\nTraceback"
"""A handler that Kong told nonsense may raise; the server's own code may not."""


@cases(short=150, long=6_000)
@given(data=st.data(), ends=st.sampled_from(["close", "half close", "wait"]))
def test_any_bytes_are_answered_or_the_connection_is_closed(
    adapter: Server, stub: StubClient, turn: int, data: Any, ends: str
) -> None:
    instance = _instances.setdefault(adapter.pid, 0) or adapter.configure(stub.url)
    _instances[adapter.pid] = instance
    before, descriptors = adapter.status(), adapter.descriptors()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(adapter.socket)
        try:
            for piece in data.draw(rpc.stream(instance)):
                connection.sendall(piece)
            if ends != "close":
                connection.shutdown(socket.SHUT_WR)
            if ends == "wait":
                while connection.recv(65536):
                    pass
        except OSError:
            pass  # closed before it was all sent
    assert adapter.status()["Pid"] == before["Pid"]
    assert adapter.descriptors() <= descriptors + 64
    count("messages to the plugin server", 1)


_instances: dict[int, int] = {}
