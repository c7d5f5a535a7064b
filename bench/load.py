"""Kong's side of the plugin-server protocol as a load generator: one process, one `epoll` loop.

Each connection carries one request at a time, as Kong's do: HandleEvent access, an answer to every PDK
call, HandleEvent response, the same, and at once the next request. The bytes of an answer are made before
the run, except for the ids.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import msgpack

_unpack = msgpack.unpackb
_pack = msgpack.packb
_uint32 = struct.Struct(">I").pack
_uint64 = struct.Struct(">Q").pack

FORWARD = "kong.yeastar.forward"
LAST_CALLS = frozenset({"kong.response.exit", "kong.response.error", FORWARD})
"""Kong sends nothing after these."""

Step = tuple[bytes, bytes]
"""A step message: what stands between message id and event id, and what follows the event id."""

Answers = dict[str, Step | dict[str, Step]]


@dataclass(frozen=True)
class Request:
    """What the PBX sends and what FutureSMS answers: the values that Kong answers PDK calls with."""

    authorization: str | None
    request_line: str
    body: bytes
    upstream_status: int = 202
    upstream_body: bytes = b""
    expected_status: int | None = 200
    """Of the answer that the plugin is to give with `kong.response.exit`."""

    def value(self, method: str, arguments: Sequence[Any]) -> Any:
        """What Kong answers to a PDK call."""
        values = VALUES.get(method, self._values().get(method))
        return values.get(arguments[0]) if isinstance(values, _ByArgument) else values

    def answers(self) -> Answers:
        """The same as step messages, by PDK method, or by method and first argument."""
        return {
            method: {argument: _step(method, value) for argument, value in values.items()}
            if isinstance(values, _ByArgument)
            else _step(method, values)
            for method, values in {**VALUES, **self._values()}.items()
        }

    def _values(self) -> dict[str, Any]:
        return {
            "kong.ctx.shared.get": _ByArgument(yeastar_request=self._request_left()),
            "kong.yeastar.upstream_answer": self._answer_left(),
        }

    def _request_left(self) -> dict[str, Any]:
        left = {
            **_LEFT,
            "line": self.request_line,
            "address": "192.0.2.7",
            "body": self.body.decode(),
            "service": "https://api.futuresms.example:443",
        }
        return left if self.authorization is None else {**left, "authorization": self.authorization}

    def _answer_left(self) -> dict[str, Any]:
        return {
            **_LEFT,
            "status": self.upstream_status,
            "body": self.upstream_body.decode(),
            "waited_ms": 1,
            "carried": True,
            "consumer": "acme-manila",
            "client_order_id": "71b96bec16d54186d69054cfa3f3f95c",
        }


_LEFT = {
    "interface": 1,
    "nonce": "831ad381b8f37f52da08e41d4b202eb5",
    "id": "831ad381b8f37f52da08e41d4b202eb5",
}


class _ByArgument(dict[str, Any]):
    """Values by the first argument of a PDK call."""


VALUES = {
    "kong.yeastar.load_consumer": {
        "consumer": {
            "id": "f70c4878-8cb8-591d-8b00-c1f20c88f1ac",
            "username": "acme-manila",
            "custom_id": "PBX-7",
        }
    }
}
STEP_KINDS = {
    "kong.client.authenticate": "plugin.StepCredential",
}


def _step(method: str, value: Any) -> Step:
    head = _pack(STEP_KINDS.get(method, "plugin.Step")) + b"\x91"
    head += (b"\x81" if value is None else b"\x82") + b"\xa7EventId\xcf"
    return head, b"" if value is None else b"\xa4Data" + _pack(value)


NOTHING = _step("", None)


@dataclass
class Measurement:
    """One run. Times are in seconds."""

    requests: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    messages: int = 0
    pdk_calls: int = 0
    own_cpu: float = 0.0
    unexpected: dict[Any, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


Prepared = Sequence[tuple[Request, Answers]]


def prepare(requests: Sequence[Request]) -> Prepared:
    """Make the bytes of all answers."""
    return [(request, request.answers()) for request in requests]


class RpcError(Exception):
    """The plugin server answered a request with an error."""


def call(path: str, method: str, *arguments: Any) -> Any:
    """One RPC on a connection of its own."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        connection.sendall(_pack([0, 1, method, list(arguments)]))
        unpacker = msgpack.Unpacker(strict_map_key=False)
        while True:
            for _, _, error, result in unpacker:
                if error is not None:
                    raise RpcError(error)
                return result
            unpacker.feed(connection.recv(65536))


def start_instance(path: str, name: str, config: dict[str, Any]) -> int:
    started: dict[str, int] = call(path, "plugin.StartInstance", {"Name": name, "Config": json.dumps(config)})
    return started["Id"]


class _Connection:
    __slots__ = ("answers", "pending", "recv", "request", "response_phase", "send", "since", "sock")

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.setblocking(False)
        self.recv = self.sock.recv
        self.send = self.sock.send
        self.pending = b""
        self.response_phase = False
        self.since = 0.0


class Load:
    """A plugin server under load on `connections` connections; `run` may be called again."""

    def __init__(self, path: str, instance: int, requests: Prepared, connections: int) -> None:
        self._requests = requests
        self._connections = {}
        self._poll = select.epoll()
        for _ in range(connections):
            connection = _Connection(path)
            self._connections[connection.sock.fileno()] = connection
            self._poll.register(connection.sock.fileno(), select.EPOLLIN)
        self._begin = {
            phase: _pack("plugin.HandleEvent") + b"\x91" + _pack({"EventName": phase, "InstanceId": instance})
            for phase in ("access", "response")
        }
        self._next = 0
        self._message = 0

    def close(self) -> None:
        for connection in self._connections.values():
            connection.sock.close()
        self._poll.close()

    def run(self, seconds: float) -> Measurement:
        """Keep every connection busy for so long, then let the requests under way finish."""
        measurement = Measurement()
        latencies = measurement.latencies
        requests, connections = self._requests, self._connections
        begin_access, begin_response = self._begin["access"], self._begin["response"]
        poll, clock = self._poll.poll, perf_counter
        message = self._message
        pdk_calls = messages = 0
        cpu = sum(os.times()[:2])
        start = clock()
        end = start + seconds
        busy = len(connections)
        for connection in connections.values():
            connection.request, connection.answers = requests[self._next % len(requests)]
            self._next += 1
            connection.since = clock()
            message += 1
            connection.send(b"\x94\x00\xce" + _uint32(message) + begin_access)
        while busy:
            for descriptor, _ in poll(10):
                connection = connections[descriptor]
                chunk = connection.recv(65536)
                if not chunk:
                    raise RpcError("the plugin server closed a connection")
                if connection.pending:
                    chunk = connection.pending + chunk
                try:
                    _, _, error, result = _unpack(chunk)
                except ValueError:
                    connection.pending = chunk
                    continue
                connection.pending = b""
                if error is not None:
                    raise RpcError(error)
                messages += 1
                asked = result["Data"]
                if asked.__class__ is dict:
                    pdk_calls += 1
                    method = asked["Method"]
                    if method not in LAST_CALLS:
                        answers = connection.answers
                        step = answers.get(method, NOTHING)
                        if step.__class__ is dict:
                            step = step.get(asked["Args"][0], NOTHING)
                        message += 1
                        connection.send(
                            b"".join(
                                (
                                    b"\x94\x00\xce",
                                    _uint32(message),
                                    step[0],
                                    _uint64(result["EventId"]),
                                    step[1],
                                )
                            )
                        )
                        continue
                    if method != FORWARD:
                        status = asked["Args"][0]
                        if status != connection.request.expected_status:
                            key = (status, str(asked["Args"][1:2]))
                            measurement.unexpected[key] = measurement.unexpected.get(key, 0) + 1
                        connection.response_phase = True
                if connection.response_phase:
                    now = clock()
                    latencies.append(now - connection.since)
                    connection.response_phase = False
                    if now >= end:
                        busy -= 1
                        continue
                    connection.request, connection.answers = requests[self._next % len(requests)]
                    self._next += 1
                    connection.since = now
                    message += 1
                    connection.send(b"\x94\x00\xce" + _uint32(message) + begin_access)
                else:
                    connection.response_phase = True
                    message += 1
                    connection.send(b"\x94\x00\xce" + _uint32(message) + begin_response)
        measurement.seconds = clock() - start
        measurement.own_cpu = sum(os.times()[:2]) - cpu
        measurement.requests = len(latencies)
        measurement.messages = messages
        measurement.pdk_calls = pdk_calls
        self._message = message
        return measurement
