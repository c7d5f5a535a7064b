"""The embedded gateway answers as Kong answered: recorded requests, replayed from outside."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fidelity import recording
from tests.fidelity.prefix import HOLD
from tests.fidelity.recording import (
    PATIENCE,
    ReplayGateway,
    comparable_answer,
    comparable_request,
    parse_raw,
    read_answer,
)
from tests.fidelity.upstream import ANSWER_HEADERS, Upstream, refusing_port

SCENARIOS = recording.read("gateway-scenarios.jsonl")
# Recorded on a Kong whose plugin server was run by hand: stopped, let go on, and killed at last.
_SERVER = "plugin server"
PROXYING = [scenario for scenario in SCENARIOS if not scenario["scenario"].startswith(_SERVER)]
PLUGIN_SERVER = [scenario for scenario in SCENARIOS if scenario["scenario"].startswith(_SERVER)]

# Kong waited 60 s for the plugin server that hangs; here it waits this long.
_READ_TIMEOUT = {"nginx_http_lua_socket_read_timeout": "3s"}


def _arrange(gateway: ReplayGateway, name: str) -> None:
    """What was done to the plugin server, or waited for, before a request of the recording."""
    if name == "limited 1st":
        _leave_the_end_of_the_minute()
    if "SIGSTOP" in name:
        _signal(gateway, signal.SIGSTOP)
    elif "running again" in name:
        _signal(gateway, signal.SIGCONT)
    elif name == "plugin server killed: adapter":
        (gateway.prefix / HOLD).touch()
        _signal(gateway, signal.SIGKILL)


def _signal(gateway: ReplayGateway, number: signal.Signals) -> None:
    for process in psutil.Process(gateway.child.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            process.send_signal(number)
        if number == signal.SIGKILL:
            _wait_until_gone(process)


def _leave_the_end_of_the_minute() -> None:
    """Two requests of one calendar minute are what is replayed next."""
    while time.time() % 60 > 50:
        time.sleep(0.1)


def _wait_until_gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + PATIENCE
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


def _replay(directory: Path, scenarios: list[dict[str, Any]], settings: dict[str, str]) -> dict[str, Any]:
    """What the gateway made of the scenarios, in the order of the recording."""
    with Upstream(b'{"ok":true}', ANSWER_HEADERS, slow_seconds=2.5) as upstream, refusing_port() as refused:
        kong_yml = (recording.DATA / "gateway-scenarios.kong.yml").read_text(encoding="utf-8")
        kong_yml = kong_yml.replace("18082", str(upstream.port)).replace("19999", str(refused))
        # What is not meant to be slow may take its time.
        patient = kong_yml.replace("read_timeout: 1000", "read_timeout: 30000")
        with ReplayGateway(directory, patient, "accepting_plugin", settings=settings) as gateway:
            loaded = patient
            ports = {str(gateway.port): "18300", str(upstream.port): "18082", str(refused): "19999"}
            outcomes: dict[str, Any] = {"ports": ports}
            for scenario in scenarios:
                wanted = kong_yml if "slow" in str(scenario["request"]["headers"]) else patient
                if wanted != loaded:
                    gateway.load(wanted)
                    loaded = wanted
                _arrange(gateway, scenario["scenario"])
                response = _send(gateway, scenario["request"])
                outcomes[scenario["scenario"]] = {
                    "response": response,
                    "upstream_received": upstream.forget(),
                }
            return outcomes


@pytest.fixture(scope="module")
def proxying(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("proxying")
    return recording.once(tmp_path_factory, "proxying", lambda: _replay(directory, PROXYING, {}))


@pytest.fixture(scope="module")
def plugin_server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("plugin-server")
    return recording.once(
        tmp_path_factory, "plugin-server", lambda: _replay(directory, PLUGIN_SERVER, _READ_TIMEOUT)
    )


def _compare(scenario: dict[str, Any], replay: dict[str, Any]) -> None:
    outcome, ports = replay[scenario["scenario"]], replay["ports"]
    assert _comparable(outcome["response"], ports) == _comparable(scenario["response"], {})
    received = [comparable_request(request, ports) for request in outcome["upstream_received"]]
    assert received == [comparable_request(request, {}) for request in scenario["upstream_received"]]


def _comparable(response: dict[str, Any], ports: dict[str, str]) -> Any:
    if "raw" in response:
        return [comparable_answer(answer, ports) for answer in parse_raw(response["raw"])]
    return comparable_answer(response, ports)


@pytest.mark.parametrize("scenario", PROXYING, ids=lambda scenario: scenario["scenario"])
def test_a_request_is_served_as_kong_served_it(scenario: dict[str, Any], proxying: dict[str, Any]) -> None:
    _compare(scenario, proxying)


@pytest.mark.parametrize("scenario", PLUGIN_SERVER, ids=lambda scenario: scenario["scenario"])
def test_a_plugin_server_in_trouble_is_treated_as_kong_treated_it(
    scenario: dict[str, Any], plugin_server: dict[str, Any]
) -> None:
    _compare(scenario, plugin_server)
