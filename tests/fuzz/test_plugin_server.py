"""Anything on the plugin server's socket: it lives, it answers, and it keeps nothing."""

from __future__ import annotations

import json
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kong.embedded.child import Child
from tests.harness.faults import PluginServer
from tests.harness.gateway import ROOT, wait_until
from tests.harness.pbx import Answer, violations
from tests.harness.stub import PASSWORD, USERNAME, StubServer
from tests.unit.plugin_server.rpc_client import RpcError, Worker

from . import rpc
from .cases import cases, count
from .pdk import KEY

NAME = "yeastar-adapter"

GROWTH = 30_000_000
"""Bytes by which all that nonsense may have made the process grow, its caches included."""

# A handler that is told nonsense may raise; what the event loop itself calls may not: so gevent reports it.
_LOOP_FAILED = re.compile(r"^.*> failed with \w+", re.MULTILINE)


@dataclass(frozen=True)
class Adapter(PluginServer):
    """A plugin server of the test's own."""

    config: dict[str, Any] = field(default_factory=dict)

    def worker(self) -> Worker:
        return Worker(self.socket)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adapter]:
    """One for all cases; at the end it is what it was at the beginning."""
    directory = tmp_path_factory.mktemp("adapter")
    log = directory / "log"
    futuresms = StubServer(directory)
    with tempfile.TemporaryDirectory(prefix="kong-") as prefix:
        command = [sys.executable, "-m", "tests.fuzz.adapter_process", "-p", prefix]
        child = Child("adapter", command, log=log, directory=ROOT)
        child.wait_for("serves at", 30)
        config = {
            "__plugin_id": "59e49850-483c-5d81-8562-cbd46b11e97b",
            "route_id": "fd579e05",
            "consumers": [{"username": "acme-manila", "api_keys": [KEY], "enabled": True}],
            "order": {"template_id": "TPL1001", "sender_id": "SID-1"},
            "merchant": {"username": USERNAME, "password": PASSWORD, "base_url": futuresms.url},
            "rate_limit": {"policy": "local", "day": 1_000_000_000},
            "log": {"level": "error"},
        }
        adapter = Adapter(child.pid, str(Path(prefix) / f"{NAME}.socket"), config)
        with adapter.worker() as worker:
            # One instance stays, and with it the Merchant session.
            _accepted(worker, worker.start(config, NAME))
        before, descriptors, bytes_before = adapter.status(), adapter.descriptors(), adapter.resident_bytes()
        yield adapter
        wait_until(lambda: not adapter.open_events(), 60, "no open event")
        wait_until(lambda: adapter.status()["Connections"] <= before["Connections"], 20, "no connection left")
        wait_until(lambda: adapter.descriptors() <= descriptors, 20, "no descriptor left")
        after = adapter.status()
        assert after["Pid"] == before["Pid"]
        assert len(after["Plugins"][NAME]["Instances"]) == len(before["Plugins"][NAME]["Instances"])
        assert adapter.resident_bytes() < bytes_before + GROWTH
        assert child.stop() == 0
    futuresms.stop()
    assert _LOOP_FAILED.findall(log.read_text(errors="replace")) == []


def _accepted(worker: Worker, instance: int) -> None:
    """A message that becomes an order."""
    values = {
        "kong.ctx.shared.get": rpc.GOOD,
        "kong.yeastar.load_consumer": {"consumer": {"id": "1", "username": "acme-manila"}},
    }
    answer = worker.begin(instance)
    while (method := answer["Data"]["Method"]) in values:
        answer = worker.step(answer, values[method])
    assert method == "kong.yeastar.forward"  # the last message of the event


@cases(short=60, long=8_000)
@given(data=st.data(), ends=st.sampled_from(["close", "half close", "read"]))
def test_any_bytes_are_answered_or_cost_the_connection(
    adapter: Adapter, turn: int, data: Any, ends: str
) -> None:
    [running] = adapter.status()["Plugins"][NAME]["Instances"]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(adapter.socket)
        try:
            for piece in data.draw(rpc.stream(running["Id"])):
                connection.sendall(piece)
            if ends != "close":
                connection.shutdown(socket.SHUT_WR)
            while ends == "read" and connection.recv(65536):
                pass
        except OSError:
            pass  # closed before all was sent
    with adapter.worker() as worker:
        for instance in worker.call("plugin.GetStatus")["Plugins"][NAME]["Instances"]:
            if instance["Id"] != running["Id"]:
                worker.call("plugin.CloseInstance", instance["Id"])
        _accepted(worker, running["Id"])
    count("streams of bytes to the plugin server")


@dataclass
class Event:
    """One that waits for Kong: the plugin server's last answer, and whether it has been shown the key."""

    answer: dict[str, Any]
    has_key: bool = False


class Conversation:
    """A Kong gone mad, on three connections."""

    def __init__(self, adapter: Adapter, instance: int) -> None:
        self._adapter = adapter
        self._instance = instance
        self.workers = [adapter.worker() for _ in range(3)]
        self.waiting: list[Event] = []

    def begin(self, at: int, phase: str) -> None:
        self._go_on(Event({}), self.workers[at].begin(self._instance, phase))

    def step(self, at: int, event: Event, value: Any) -> None:
        self.waiting.remove(event)
        said = value.get("authorization") if isinstance(value, dict) else value
        event.has_key = event.has_key or (isinstance(said, str) and KEY in said)
        self._go_on(event, self.workers[at].step(event.answer, value))

    def fail(self, at: int, event: Event) -> None:
        self.waiting.remove(event)
        self._go_on(event, self.workers[at].step(event.answer, "it failed", "plugin.StepError"))

    def confuse(self, at: int, event_id: Any) -> None:
        """A step for an event that there is not."""
        with pytest.raises(RpcError):
            self.workers[at].call("plugin.Step", {"EventId": event_id, "Data": "x"})

    def leave(self, at: int) -> None:
        """The worker dies; its events are picked up by another, or never."""
        self.workers[at].close()
        self.workers[at] = self._adapter.worker()

    def close(self) -> None:
        self.workers[0].call("plugin.CloseInstance", self._instance)
        for worker in self.workers:
            worker.close()

    def _go_on(self, event: Event, answer: Any) -> None:
        assert set(answer) == {"Data", "EventId"}
        if answer["Data"] == "ret":
            return
        assert set(answer["Data"]) == {"Method", "Args"}
        method, arguments = answer["Data"]["Method"], answer["Data"]["Args"]
        if method == "kong.response.exit":
            status, body, headers = arguments
            lower = {name.lower(): value for name, value in headers.items()}
            lower.pop("x-yeastar-adapter", None)
            assert violations(Answer(status, lower, body.encode(), json.loads(body))) == []
            return
        if method == "kong.yeastar.forward":
            assert event.has_key
            return
        event.answer = answer
        self.waiting.append(event)


@cases(short=40, long=8_000)
@given(data=st.data())
def test_a_kong_gone_mad_gets_answers_in_form_and_no_order_without_a_key(
    adapter: Adapter, turn: int, data: Any
) -> None:
    with adapter.worker() as worker:
        instance = worker.start(adapter.config, NAME)
    conversation = Conversation(adapter, instance)
    try:
        rave(conversation, data)
    finally:
        conversation.close()
    count("conversations with the plugin server")


def rave(conversation: Conversation, data: Any) -> None:
    for _ in range(data.draw(st.integers(1, 25))):
        at = data.draw(st.integers(0, 2))
        if not conversation.waiting or data.draw(st.integers(0, 5)) == 0:
            conversation.begin(at, data.draw(st.sampled_from(["access", "access", "response"])))
            continue
        event = data.draw(st.sampled_from(conversation.waiting))
        kind = data.draw(st.integers(0, 15))
        if kind < 12:
            strategy = rpc.ANSWERS.get(event.answer["Data"]["Method"], st.one_of(st.none(), rpc.values))
            conversation.step(at, event, data.draw(strategy))
        elif kind == 12:
            conversation.fail(at, event)
        elif kind == 13:
            conversation.confuse(
                at, data.draw(st.one_of(st.just(event.answer["EventId"] + 1000), rpc.values))
            )
        elif kind == 14:
            conversation.leave(at)
        else:
            conversation.waiting.remove(event)
