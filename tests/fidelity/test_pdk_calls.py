"""Single PDK calls, with good arguments and bad: Kong's step back to the plugin server, and Kong's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fidelity import recording
from tests.fidelity.prefix import RECORD
from tests.fidelity.recording import ReplayGateway, comparable_message, plain, read_answer
from tests.fidelity.upstream import ANSWER_HEADERS, Upstream

CALLS = recording.read("pdk-calls.jsonl")
# A request of the recording has these unless it says otherwise.
_REQUEST = {
    "method": "POST",
    "path": "/p/x?a=1&b",
    "headers": [
        ["Content-Type", "application/json"],
        ["X-Multi", "1"],
        ["X-Multi", "2"],
        ["X-Under_score", "u"],
        ["Authorization", "Bearer k"],
    ],
    "body": '{"a":1}',
}
# Left out of the recorded answers.
_USUAL = {"date", "server", "via", "x-kong-request-id"}
_LATENCY = "x-kong-"


def _send(gateway: ReplayGateway, request: dict[str, Any], script: dict[str, Any]) -> dict[str, Any]:
    body = request["body"]
    with gateway.connection() as connection:
        connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
        connection.putheader("X-Script", json.dumps(script))
        for name, value in request["headers"]:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode("latin-1") if body is not None else None)
        return read_answer(connection.getresponse())


def _steps(messages: list[dict[str, Any]], script: dict[str, Any]) -> list[list[Any]]:
    """What Kong sent: the events' names, and the steps but for the one that brings the script."""
    steps: list[list[Any]] = []
    for message in messages:
        if message["from"] != "kong":
            continue
        _, _, method, [argument] = message["message"]
        if method == "plugin.HandleEvent":
            steps.append([argument["EventName"]])
        elif method.startswith("plugin.Step") and argument.get("Data") != json.dumps(script):
            steps.append(
                [method.removeprefix("plugin."), *([argument["Data"]] if "Data" in argument else [])]
            )
    return steps


def _comparable(answer: dict[str, Any], ports: dict[str, str]) -> dict[str, Any]:
    headers = []
    proxied = answer.get("proxied", False)
    for name, value in answer.get("headers", ()):
        proxied = proxied or name == "Via"
        usual = [name, value] in (
            ["Connection", "keep-alive"],
            ["Content-Length", str(len(answer["body"]))],
            ["Set-Cookie", "session=1"],
            ["X-Twice", "one"],
            ["X-Twice", "two"],
        )
        if not usual and name.lower() not in _USUAL and not name.lower().startswith(_LATENCY):
            headers.append([name, plain(value, ports)])
    body = recording.comparable_body(answer["body"], ports)
    return {"status": answer["status"], "headers": sorted(headers), "body": body, "proxied": proxied}


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the gateway made of every call, in the order of the recording."""

    def outcomes() -> dict[str, Any]:
        with Upstream(b'{"ok":true}', ANSWER_HEADERS, slow_seconds=2) as upstream:
            kong_yml = (recording.DATA / "pdk-calls.kong.yml").read_text(encoding="utf-8")
            kong_yml = kong_yml.replace("18082", str(upstream.port))
            settings = {"log_level": "info"}
            directory = tmp_path_factory.mktemp("calls")
            with ReplayGateway(directory, kong_yml, "scripted_plugin", settings=settings) as gateway:
                ports = {str(gateway.port): "18600", str(upstream.port): "18082"}
                return {"ports": ports, "outcomes": _replay(gateway, upstream.port)}

    found: dict[str, Any] = recording.once(tmp_path_factory, "pdk-calls", outcomes)
    return found


def _replay(gateway: ReplayGateway, upstream_port: int) -> list[dict[str, Any]]:
    outcomes = []
    with (gateway.prefix / RECORD).open("w+", encoding="utf-8") as record:
        for call in CALLS:
            # A call may name the service that the recording had.
            script = json.loads(json.dumps(call["script"]).replace("18082", str(upstream_port)))
            answer = _send(gateway, {**_REQUEST, **call.get("request", {})}, script)
            messages = [json.loads(line) for line in record]
            outcomes.append({"answer": answer, "steps": _steps(messages, script)})
    return outcomes


@pytest.mark.parametrize(
    "number", range(len(CALLS)), ids=lambda number: json.dumps(CALLS[number]["script"])[:80]
)
def test_a_call_is_answered_as_kong_answered_it(number: int, replay: dict[str, Any]) -> None:
    recorded, outcome, ports = CALLS[number], replay["outcomes"][number], replay["ports"]
    assert comparable_message(outcome["steps"], ports) == comparable_message(recorded["steps"], {})
    assert _comparable(outcome["answer"], ports) == _comparable(recorded["answer"], {})
