"""Recorded conversations of a real Kong: reading them, replaying their requests, comparing what comes of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from kong.embedded.child import Child
from tests.fidelity.prefix import RECORD
from tests.harness.gateway import wait_until

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).with_name("data")
PATIENCE = 60.0
"""Seconds that any single thing may take: a machine may be busy. Nothing here is slow by itself."""

_RELOADED = re.compile(r"^kong\.embedded (reloaded|reload failed)$", re.MULTILINE)
_ANY_ID = re.compile(r"\b[0-9a-f]{32}\b")
_ANY_RANDOM_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
_VARIABLE_HEADERS = re.compile(r"x-kong-(upstream|proxy|response)-latency|ratelimit-reset|retry-after")
_VARIABLE_KEYS = ("created_at", "updated_at", "StartTime", "__seq__")


def read(name: str) -> list[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def once(factory: pytest.TempPathFactory, name: str, replay: Callable[[], Any]) -> Any:
    """The outcome of a replay, as JSON has it; the processes of a parallel run share one."""
    directory = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    outcome = directory / f"{name}.json"
    try:
        (directory / f"{name}.lock").mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 110
        while not outcome.exists():
            assert time.monotonic() < deadline, f"the replay {name} of another process does not end"
            time.sleep(0.05)
    else:
        found: Any = None
        try:
            found = replay()
        finally:
            (directory / f"{name}.part").write_text(json.dumps(found), encoding="utf-8")
            (directory / f"{name}.part").replace(outcome)
    found = json.loads(outcome.read_text(encoding="utf-8"))
    assert found is not None, f"the replay {name} has failed"
    return found


class ReplayGateway:
    """An embedded gateway for one recording, with a plugin of the replays as its plugin server."""

    def __init__(
        self,
        directory: Path,
        kong_yml: str,
        plugin: str,
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = directory / "prefix"
        self.prefix.mkdir()
        self.kong_yml = directory / "kong.yml"
        self.kong_yml.write_text(kong_yml, encoding="utf-8")
        lines = {
            "plugins": "bundled,yeastar-adapter",
            "pluginserver_names": "yeastar-adapter",
            **(settings or {}),
        }
        (directory / "kong.conf").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        command: list[str | Path] = [sys.executable, "-m", "kong.embedded", "--kong-yml", self.kong_yml]
        command += ["--conf", directory / "kong.conf", "--prefix", self.prefix, "--workers", str(workers)]
        command += ["--proxy-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        starter = directory / "plugin.py"  # a plugin server has no PYTHONPATH: its environment is empty
        starter.write_text(
            f"import runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"runpy.run_module('tests.fidelity.{plugin}', run_name='__main__')\n"
        )
        command += ["--plugin-command", f"yeastar-adapter={sys.executable} {starter}"]
        log = directory / "gateway.log"
        variables = {**os.environ, **(environment or {})}
        self.child = Child("kong.embedded", command, log=log, environment=variables, directory=ROOT)
        ready = self.child.wait_for(r"^kong\.embedded ready proxy=(\S+) admin=(\S+)", PATIENCE)
        self.port = urlsplit(ready[1]).port or 0
        self.admin_port = urlsplit(ready[2]).port or 0

    def __enter__(self) -> ReplayGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    @property
    def plugin_servers(self) -> list[psutil.Process]:
        return list(psutil.Process(self.child.pid).children())

    def messages(self) -> list[dict[str, Any]]:
        """Every RPC message so far: `from`, `message`, and for Kong's the number of the `connection`."""
        record = self.prefix / RECORD
        return [json.loads(line) for line in record.open(encoding="utf-8")] if record.exists() else []

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            yield connection
        finally:
            connection.close()

    def load(self, kong_yml: str) -> None:
        """`POST /config`. Raises AssertionError with what the Admin API says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE)
        with contextlib.closing(connection):
            body = json.dumps({"config": kong_yml})
            connection.request("POST", "/config", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()

    def reload(self) -> str:
        """`kong reload`. Returns what was logged until it was done, or refused."""
        before = len(self.child.output())
        self.child.send(signal.SIGHUP)
        wait_until(lambda: _RELOADED.search(self.child.output(), before), PATIENCE, "the end of a reload")
        return self.child.output()[before:]

    def raw(self, request: str) -> str:
        """What comes back until the gateway closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(request.encode("latin-1"))
            answer = b""
            while data := connection.recv(65536):
                answer += data
        return answer.decode("latin-1")


def read_answer(response: http.client.HTTPResponse) -> dict[str, Any]:
    headers = [list(item) for item in response.getheaders()]
    return {"status": response.status, "headers": headers, "body": response.read().decode("latin-1")}


def parse_raw(answer: str) -> list[dict[str, Any]]:
    """The answers in what one connection carried; interim ones (100 Continue) are answers too."""
    answers: list[dict[str, Any]] = []
    rest = answer
    while rest:
        head, _, rest = rest.partition("\r\n\r\n")
        status_line, *lines = head.split("\r\n")
        headers = [list(line.split(": ", 1)) for line in lines]
        lengths = [int(value) for name, value in headers if name == "Content-Length"]
        length = lengths[0] if lengths else 0
        answers.append({"line": status_line, "headers": headers, "body": rest[:length]})
        rest = rest[length:]
    return answers


def comparable_answer(answer: Mapping[str, Any], ports: Mapping[str, str]) -> dict[str, Any]:
    """An answer without what differs from run to run: dates, ids, latencies, and the service's version."""
    headers = []
    for name, value in answer.get("headers", ()):
        if name.lower() == "server" and "Python" in value:  # the service's own
            value = "<python>"
        if _VARIABLE_HEADERS.fullmatch(name.lower()):
            value = "<number>" if value.isdigit() else value
        headers.append([name, plain(value, ports)])
    compared = {key: value for key, value in answer.items() if key not in ("headers", "body")}
    return {**compared, "headers": sorted(headers), "body": comparable_body(answer.get("body"), ports)}


def comparable_body(body: Any, ports: Mapping[str, str]) -> Any:
    """JSON as a value: the order of a Lua table's keys differs from run to run."""
    if not isinstance(body, str):
        return body
    text = plain(body, ports)
    try:
        return json.loads(text)
    except ValueError:
        return text


def comparable_request(request: Mapping[str, Any] | None, ports: Mapping[str, str]) -> Any:
    """A request that the upstream received."""
    if request is None:
        return None
    headers = sorted(
        [name, "<uuid>" if name == "X-Credential-Identifier" else plain(value, ports)]
        for name, value in request["headers"]
    )
    return {**request, "headers": headers}


def plain(value: str, ports: Mapping[str, str]) -> str:
    """Text with ids and dates masked, and the ports of this run written as the recorded ones."""
    for port, recorded in ports.items():
        value = re.sub(rf"(?<!\d){port}(?!\d)", recorded, value)
    return _DATE.sub("<date>", _ANY_RANDOM_UUID.sub("<uuid>", _ANY_ID.sub("<id>", value)))


def comparable_message(value: Any, ports: Mapping[str, str], key: str = "") -> Any:
    """An RPC message, or a part of one."""
    if key in _VARIABLE_KEYS:
        return f"<{key}>"
    if key == "Config" and isinstance(value, str):
        return {"json": comparable_message(json.loads(value), ports)}
    if isinstance(value, dict):
        return {name: comparable_message(item, ports, name) for name, item in value.items()}
    if isinstance(value, list):
        return [comparable_message(item, ports) for item in value]
    if isinstance(value, str):
        return plain(value, ports)
    if isinstance(value, int) and str(value) in ports:
        return int(ports[str(value)])
    return value
