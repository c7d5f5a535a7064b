"""The embedded gateway says to a plugin server what Kong said: recorded RPC conversations, replayed word for word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fidelity import recording
from tests.fidelity.prefix import RECORD
from tests.fidelity.recording import (
    ReplayGateway,
    comparable_answer,
    comparable_message,
    comparable_request,
    read_answer,
)
from tests.fidelity.upstream import Upstream

SCENARIOS = recording.read("pdk-transcripts.jsonl")
_ORDER = {
    "message": "Accepted",
    "details": None,
    "data": {
        "order_id": "SDPS260325103012A1B2C3D",
        "order_status": "pending",
        "message_status": None,
        "created_at": "2026-03-25T10:30:12Z",
    },
    "meta": {},
}
_HEADERS = [("Content-Type", "application/json"), ("X-Up", "one"), ("X-Up", "two")]


def _send(gateway: ReplayGateway, request: dict[str, Any]) -> dict[str, Any]:
    body = request["body"]
    with gateway.connection() as connection:
        connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
        for name, value in request["headers"]:
            connection.putheader(name, value)
        if body == "CHUNK":
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            connection.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        elif body is None:
            connection.endheaders()
        else:
            size = body.removeprefix("x * ")
            data = b"x" * int(size) if size != body else body.encode("latin-1")
            connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
        return read_answer(connection.getresponse())


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the gateway made of every scenario, in the order of the recording."""

    def outcomes() -> dict[str, Any]:
        with Upstream(json.dumps(_ORDER).encode(), _HEADERS, slow_seconds=3) as upstream:
            kong_yml = (recording.DATA / "pdk-transcripts.kong.yml").read_text(encoding="utf-8")
            kong_yml = kong_yml.replace("18082", str(upstream.port))
            with ReplayGateway(
                tmp_path_factory.mktemp("transcripts"), kong_yml, "scripted_plugin"
            ) as gateway:
                ports = {str(gateway.port): "18200", str(upstream.port): "18082"}
                return {"ports": ports, **_replay(gateway, upstream)}

    found: dict[str, Any] = recording.once(tmp_path_factory, "pdk-transcripts", outcomes)
    return found


def _replay(gateway: ReplayGateway, upstream: Upstream) -> dict[str, Any]:
    outcomes = {}
    with (gateway.prefix / RECORD).open("w+", encoding="utf-8") as record:
        for scenario in SCENARIOS:
            answer = _send(gateway, scenario["request"])
            received = upstream.forget()
            outcomes[scenario["scenario"]] = {
                "rpc": [_recorded(json.loads(line)) for line in record],
                "upstream_request": received[-1] if received else None,
                "response": answer,
            }
    return outcomes


def _recorded(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("from", "message")}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["scenario"])
def test_the_plugin_server_hears_what_kong_told_it(scenario: dict[str, Any], replay: dict[str, Any]) -> None:
    outcome = replay[scenario["scenario"]]
    assert comparable_message(outcome["rpc"], replay["ports"]) == comparable_message(scenario["rpc"], {})


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["scenario"])
def test_the_upstream_receives_what_kong_sent(scenario: dict[str, Any], replay: dict[str, Any]) -> None:
    outcome = replay[scenario["scenario"]]
    sent = comparable_request(outcome["upstream_request"], replay["ports"])
    assert sent == comparable_request(scenario["upstream_request"], {})


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["scenario"])
def test_the_client_gets_what_kong_answered(scenario: dict[str, Any], replay: dict[str, Any]) -> None:
    answer = comparable_answer(replay[scenario["scenario"]]["response"], replay["ports"])
    assert answer == comparable_answer(scenario["response"], {})
