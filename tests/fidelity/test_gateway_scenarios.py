"""The embedded gateway answers as Kong answered: recorded requests, replayed from outside."""

from __future__ import annotations

import http.client
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fidelity import recording
from tests.fidelity.recording import (
    HOLD,
    ReplayGateway,
    comparable_answer,
    comparable_request,
    parse_raw,
    read_answer,
)
from tests.fidelity.upstream import Upstream, refusing_port

SCENARIOS = recording.read("gateway-scenarios.jsonl")
# Recorded on a Kong whose plugin server was run by hand: stopped, let go on, and killed at last.
_SERVER = "plugin server"
PROXYING = [scenario for scenario in SCENARIOS if not scenario["scenario"].startswith(_SERVER)]
PLUGIN_SERVER = [scenario for scenario in SCENARIOS if scenario["scenario"].startswith(_SERVER)]

_HEADERS = [
    ("Content-Type", "application/json"),
    ("Set-Cookie", "session=1"),
    ("X-Twice", "one"),
    ("X-Twice", "two"),
    ("Connection", "keep-alive"),
    ("Keep-Alive", "timeout=5"),
]
# Kong waited 60 s for the plugin server that hangs; here it waits this long.
_READ_TIMEOUT = {"nginx_http_lua_socket_read_timeout": "1s"}


class Replay:
    """What the gateway made of every scenario, in the order of the recording."""

    def __init__(
        self, gateway: ReplayGateway, upstream: Upstream, refused: int, scenarios: list[dict[str, Any]]
    ) -> None:
        self.gateway = gateway
        self.ports = {str(gateway.port): "18300", str(upstream.port): "18082", str(refused): "19999"}
        self.outcomes: dict[str, dict[str, Any]] = {}
        for scenario in scenarios:
            self._arrange(scenario["scenario"])
            outcome = {"response": _send(gateway, scenario["request"])}
            outcome["upstream_received"] = upstream.forget()
            self.outcomes[scenario["scenario"]] = outcome

    def _arrange(self, name: str) -> None:
        if name == "limited 1st":
            _leave_the_end_of_the_minute()
        if "SIGSTOP" in name:
            self._signal(signal.SIGSTOP)
        elif "running again" in name:
            self._signal(signal.SIGCONT)
        elif name == "plugin server killed: adapter":
            (self.gateway.prefix / HOLD).touch()
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in psutil.Process(self.gateway.child.pid).children():
            process.send_signal(number)
            if number == signal.SIGKILL:
                _wait_until_gone(process)


def _leave_the_end_of_the_minute() -> None:
    """Two requests of one calendar minute are what is replayed next."""
    while time.time() % 60 > 50:
        time.sleep(0.1)


def _wait_until_gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _send(gateway: ReplayGateway, request: dict[str, Any]) -> dict[str, Any]:
    if request["raw"] is not None:
        return {"raw": gateway.raw(request["raw"])}
    body = request["body"]
    if body is not None:
        size = re.fullmatch(r"(\d+) bytes", body)
        body = b"x" * int(size[1]) if size else body.encode("latin-1")
    with gateway.connection() as connection:
        try:
            connection.request(request["method"], request["path"], body, request["headers"])
            answer = read_answer(connection.getresponse())
        except (http.client.BadStatusLine, http.client.IncompleteRead) as problem:
            return {"client_error": type(problem).__name__}
    if len(answer["body"]) > 5000:
        answer["body"] = f"{len(answer['body'])} bytes"
    return answer


def _start(directory: Path, scenarios: list[dict[str, Any]], settings: dict[str, str]) -> Iterator[Replay]:
    with Upstream(b'{"ok":true}', _HEADERS, slow_seconds=2.5) as upstream, refusing_port() as refused:
        kong_yml = (recording.DATA / "gateway-scenarios.kong.yml").read_text(encoding="utf-8")
        kong_yml = kong_yml.replace("18082", str(upstream.port)).replace("19999", str(refused))
        with ReplayGateway(directory, kong_yml, "accepting_plugin", settings=settings) as gateway:
            yield Replay(gateway, upstream, refused, scenarios)


@pytest.fixture(scope="module")
def proxying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    yield from _start(tmp_path_factory.mktemp("proxying"), PROXYING, {})


@pytest.fixture(scope="module")
def plugin_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    yield from _start(tmp_path_factory.mktemp("plugin-server"), PLUGIN_SERVER, _READ_TIMEOUT)


def _compare(scenario: dict[str, Any], replay: Replay) -> None:
    outcome = replay.outcomes[scenario["scenario"]]
    assert _comparable(outcome["response"], replay.ports) == _comparable(scenario["response"], {})
    received = [comparable_request(request, replay.ports) for request in outcome["upstream_received"]]
    assert received == [comparable_request(request, {}) for request in scenario["upstream_received"]]


def _comparable(response: dict[str, Any], ports: dict[str, str]) -> Any:
    if "raw" in response:
        return [comparable_answer(answer, ports) for answer in parse_raw(response["raw"])]
    return comparable_answer(response, ports)


@pytest.mark.parametrize("scenario", PROXYING, ids=lambda scenario: scenario["scenario"])
def test_a_request_is_served_as_kong_served_it(scenario: dict[str, Any], proxying: Replay) -> None:
    _compare(scenario, proxying)


@pytest.mark.parametrize("scenario", PLUGIN_SERVER, ids=lambda scenario: scenario["scenario"])
def test_a_plugin_server_in_trouble_is_treated_as_kong_treated_it(
    scenario: dict[str, Any], plugin_server: Replay
) -> None:
    _compare(scenario, plugin_server)
