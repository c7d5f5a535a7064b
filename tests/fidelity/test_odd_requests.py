"""Odd requests, Lua in every mood, upstreams with every status, bundled plugins: answered as Kong answered them."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.fidelity import recording
from tests.fidelity.recording import PATIENCE, ReplayGateway, comparable_body, plain
from tests.fidelity.upstream import ANSWER_HEADERS, Upstream

SCENARIOS = {name: recording.read(f"{name}.jsonl") for name in ("odd-requests", "bundled-plugins")}
# Left out of the recording, as every request has it.
USUAL = {
    ("Connection", "keep-alive"),
    ("Host", "127.0.0.1:18082"),
    ("Via", "1.1 kong/3.9.1"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Host", "x"),
    ("X-Forwarded-Port", "18600"),
    ("X-Forwarded-Proto", "http"),
    ("X-Real-IP", "127.0.0.1"),
    ("Content-Type", "application/json"),
}
_ANSWER = re.compile(r"(?=HTTP/1\.1 \d)")
_NUMBERS = re.compile(r"(X-Kong-\w+-Latency|Retry-After|RateLimit-(Reset|Remaining(-Second|-Minute)?)): \d+")
_ANY_CASE_ID = re.compile(r"\b[0-9A-Fa-f]{32}\b")


def send(port: int, parts: list[str | float]) -> str:
    """Send text, or pause between two of its parts where the client is slow; then read until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        for part in parts:
            if isinstance(part, str):
                connection.sendall(part.encode("latin-1"))
            else:
                time.sleep(part)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer.decode("latin-1")


def _comparable(answer: str, ports: dict[str, str]) -> list[tuple[str, list[str], Any]]:
    """Status line, header lines in order of the alphabet, and body of every answer on a connection."""
    compared = []
    for part in _ANSWER.split(_ANY_CASE_ID.sub("<id>", _NUMBERS.sub(r"\1: <number>", plain(answer, ports)))):
        head, _, body = part.partition("\r\n\r\n")
        line, *headers = head.split("\r\n")
        if "Transfer-Encoding: chunked" in headers:
            body = _without_chunks(body)
        headers = sorted(header for header in headers if not header.startswith("Server: BaseHTTP"))
        compared.append((line, headers, comparable_body(body, {})))
    return compared


def _without_chunks(body: str) -> str:
    """How a body is cut into chunks depends on time; whether it ends as it should does not."""
    content = ""
    while body:
        size_text, _, rest = body.partition("\r\n")
        try:
            size = int(size_text, 16)
        except ValueError:
            return f"{content}<broken>{body}"
        if size == 0:
            return f"{content}<end>{rest.strip()}"
        content, body = content + rest[:size], rest[size + 2 :]
    return f"{content}<cut>"


def _received(requests: list[dict[str, Any]], ports: dict[str, str]) -> list[dict[str, Any]]:
    compared = []
    for request in requests:
        headers = [(name, plain(value, ports)) for name, value in request.get("headers", ())]
        headers = [header for header in headers if header not in USUAL and header[0] != "X-Kong-Request-Id"]
        compared.append({"body": "", **request, "headers": sorted(headers)})
    return compared


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What the gateway made of a recording: of every scenario, in their order."""

    def replay(name: str) -> dict[str, Any]:
        directory = tmp_path_factory.mktemp(name)
        with Upstream(b'{"ok":true}', ANSWER_HEADERS, slow_seconds=1) as upstream:
            kong_yml = (recording.DATA / f"{name}.kong.yml").read_text(encoding="utf-8")
            kong_yml = kong_yml.replace("18082", str(upstream.port))
            # What is not meant to be slow may take its time; what is, need not.
            patient = kong_yml.replace("read_timeout: 1000", "read_timeout: 30000")
            hasty = kong_yml.replace("read_timeout: 1000", "read_timeout: 250")
            outcomes = {}
            with ReplayGateway(directory, patient, "accepting_plugin") as gateway:
                loaded = patient
                for scenario in SCENARIOS[name]:
                    wanted = hasty if "X-Up: slow" in str(scenario["request"]) else patient
                    if wanted != loaded:
                        gateway.load(wanted)
                        loaded = wanted
                    answer = send(gateway.port, scenario["request"])
                    outcomes[scenario["scenario"]] = {
                        "answer": answer,
                        "upstream_received": upstream.forget(),
                    }
                ports = {str(gateway.port): "18600", str(upstream.port): "18082"}
        return {"ports": ports, "outcomes": outcomes}

    replays: dict[str, dict[str, Any]] = {}

    def outcomes(name: str) -> dict[str, Any]:
        if name not in replays:
            replays[name] = recording.once(tmp_path_factory, name, lambda: replay(name))
        return replays[name]

    return outcomes


@pytest.mark.parametrize(
    ("recorded", "scenario"),
    [
        pytest.param(name, scenario, id=f"{name}: {scenario['scenario']}")
        for name, scenarios in SCENARIOS.items()
        for scenario in scenarios
    ],
)
def test_a_request_is_served_as_kong_served_it(
    recorded: str, scenario: dict[str, Any], replays: Callable[[str], dict[str, Any]]
) -> None:
    replay = replays(recorded)
    ports = replay["ports"]
    outcome = replay["outcomes"][scenario["scenario"]]
    assert _comparable(outcome["answer"], ports) == _comparable(scenario["answer"], {})
    received = _received(outcome["upstream_received"], ports)
    assert received == _received(scenario.get("upstream_received", []), {})
