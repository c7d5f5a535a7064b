"""Kong's side of the plugin-server protocol, as small as a test needs it."""

from __future__ import annotations

import itertools
import json
import socket
from types import TracebackType
from typing import Any

import msgpack

PATIENCE = 20.0
"""Seconds that anything may take before a test gives up."""


class ConnectionClosed(Exception):
    """The plugin server closed the connection."""


class RpcError(Exception):
    """The plugin server answered with an error."""


class Worker:
    """One connection of an nginx worker: a request, its answer, the next request."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(path)
        self._unpacker = msgpack.Unpacker(strict_map_key=False, unicode_errors="surrogateescape")
        self._ids = itertools.count(1)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send(self, method: str, *arguments: Any) -> int:
        """Send a request and return its message id."""
        message_id = next(self._ids)
        packed = msgpack.packb(
            [0, message_id, method, list(arguments)], unicode_errors="surrogateescape", use_bin_type=True
        )
        self.send_bytes(packed)
        return message_id

    def receive(self, seconds: float = PATIENCE) -> Any:
        """The next message. Raises ConnectionClosed, and TimeoutError when none comes."""
        self._socket.settimeout(seconds)
        while True:
            for message in self._unpacker:
                return message
            try:
                chunk = self._socket.recv(65536)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise ConnectionClosed
            self._unpacker.feed(chunk)

    def answer_to(self, message_id: int) -> Any:
        kind, answered, error, result = self.receive()
        assert kind == 1
        assert answered == message_id
        if error is not None:
            raise RpcError(error)
        return result

    def call(self, method: str, *arguments: Any) -> Any:
        """One request and its result. Raises RpcError."""
        return self.answer_to(self.send(method, *arguments))

    def start(self, config: dict[str, Any], name: str = "scripted") -> int:
        """Start an instance and return its id."""
        started: dict[str, Any] = self.call(
            "plugin.StartInstance", {"Name": name, "Config": json.dumps(config)}
        )
        instance_id: int = started["Id"]
        return instance_id

    def begin(self, instance_id: int, phase: str = "access") -> Any:
        """Start an event; its first answer: {"Data": {"Method", "Args"} or "ret", "EventId"}."""
        return self.call("plugin.HandleEvent", {"InstanceId": instance_id, "EventName": phase})

    def step(self, answer: Any, value: Any = None, method: str = "plugin.Step") -> Any:
        """Answer the PDK call of the last answer, as Kong does: without `Data` when there is no value."""
        step = {"EventId": answer["EventId"]}
        if value is not None:
            step["Data"] = value
        return self.call(method, step)


def asked(answer: Any) -> tuple[str, list[Any]]:
    """Method and arguments of the PDK call that an answer asks for."""
    return answer["Data"]["Method"], answer["Data"]["Args"]
