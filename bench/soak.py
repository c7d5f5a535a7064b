"""Many requests, a third of them refused and a third cut off anywhere: what does the plugin server keep of
them?

`python -m bench.soak` sends 100 000 requests and waits until the last abandoned event has been reaped; it
fails unless memory, open events, greenlets and file descriptors are then what they were after the first
tenth.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
import msgpack
from gevent import socket
from kong_plugin_server.limits import Limits

from . import processes, traffic
from .load import FORWARD, LAST_CALLS, Request, call, start_instance
from .processes import OURS, PluginServer, plugin_server

CUTS = ("silent", "close", "close unread", "garbage", "half a message")
"""How Kong goes away in the middle of a request: it never steps again (its own PDK call failed), the worker
is gone while the handler waits for it, the worker is gone while it waits for the handler, and two ways to
go mad."""

MESSAGES = 12
"""A request has at most so many; a cut comes before one of them."""

PARTS = 10

OPEN_EVENT = 15_000
"""Bytes that an event may take that waits for Kong."""

GROWTH = 3_000_000
"""Bytes by which resident memory may differ and still be called flat: an allocator's arenas come and go."""


@dataclass(frozen=True)
class Footprint:
    """What a plugin server holds."""

    open_events: int
    handlers: int
    connections: int
    descriptors: int
    rss: int

    @classmethod
    def of(cls, server: PluginServer) -> Footprint:
        status: dict[str, Any] = call(server.path, "plugin.GetStatus")
        return cls(
            open_events=status["OpenEvents"],
            handlers=status["Handlers"],
            connections=status["Connections"],
            descriptors=server.process.num_fds(),
            rss=server.rss(),
        )

    def __str__(self) -> str:
        return (
            f"{self.open_events} open events, {self.handlers} greenlets, {self.connections} connections, "
            f"{self.descriptors} descriptors, {self.rss / 1e6:.1f} MB"
        )


class CutOff(Exception):
    """The request ends here."""


class Worker:
    """A connection that carries one request after another, and may go away in the middle of one."""

    def __init__(self, path: str, instance: int) -> None:
        self._path = path
        self._instance = instance
        self._message_id = 0
        self.awaited = 0
        """PDK calls of the last request that the plugin waited for: all but the last of a phase."""
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(self._path)

    def close(self) -> None:
        self._socket.close()

    def send(self, request: Request, cut: tuple[int, str] | None) -> int | None:
        """One request, cut off before the message of that number. The status of the plugin's answer, if it
        gave one."""
        self._cut = cut
        self._sent = 0
        self.awaited = 0
        try:
            return self._phase("access", request) or self._phase("response", request)
        except CutOff:
            return None

    def _phase(self, phase: str, request: Request) -> int | None:
        answer = self._call("plugin.HandleEvent", {"EventName": phase, "InstanceId": self._instance})
        while answer["Data"] != "ret":
            method, arguments = answer["Data"]["Method"], answer["Data"]["Args"]
            if method == FORWARD:
                return None
            if method in LAST_CALLS:
                status: int = arguments[0]
                return status
            self.awaited += 1
            step = {"EventId": answer["EventId"], "Data": request.value(method, arguments)}
            answer = self._call("plugin.Step", step)
        return None

    def _call(self, method: str, argument: dict[str, Any]) -> Any:
        self._message_id += 1
        message = msgpack.packb([0, self._message_id, method, [argument]])
        if self._cut is not None and self._cut[0] == self._sent:
            self._cut_off(self._cut[1], message)
        self._sent += 1
        self._socket.sendall(message)
        unpacker = msgpack.Unpacker()
        while True:
            for _, message_id, error, result in unpacker:
                if error is not None or message_id != self._message_id:
                    raise RuntimeError(f"answer {message_id} to {self._message_id}: {error}")
                return result
            chunk = self._socket.recv(65536)
            if not chunk:
                raise RuntimeError("the plugin server closed a connection")
            unpacker.feed(chunk)

    def _cut_off(self, how: str, message: bytes) -> None:
        if how == "close unread":
            self._socket.sendall(message)
        elif how == "half a message":
            self._socket.sendall(message[: len(message) // 2])
        elif how == "garbage":
            self._socket.sendall(b"\xc1\xc1")
        if how != "silent":
            self._socket.close()
            self._connect()
        raise CutOff


def send_many(server: PluginServer, instance: int, count: int, connections: int, seed: int) -> Counter[str]:
    """A third accepted, a third refused, a third cut off. How many had which outcome."""
    choices = random.Random(seed)
    accepted = traffic.accepted(2000)
    refused = [*traffic.refused_key(), *traffic.invalid_recipient()]
    outcomes: Counter[str] = Counter()
    left = iter(range(count))

    def work() -> None:
        worker = Worker(server.path, instance)
        for number in left:
            kind = number % 3
            request = choices.choice(refused if kind == 1 else accepted)
            cut = (choices.randrange(MESSAGES), choices.choice(CUTS)) if kind == 2 else None
            status = worker.send(request, cut)
            if cut is None and status != request.expected_status:
                raise RuntimeError(f"answered {status}, not {request.expected_status}")
            outcomes[("accepted", "refused", f"cut off: {cut[1] if cut else ''}")[kind]] += 1
        worker.close()

    gevent.joinall([gevent.spawn(work) for _ in range(connections)], raise_error=True)
    return outcomes


def soak(
    server: PluginServer,
    instance: int,
    requests: int,
    settle: float,
    say: Callable[[str], object],
    connections: int = 32,
) -> list[Footprint]:
    """The footprint after each tenth of the requests, and at last when the open events are gone.

    settle: seconds after which the last abandoned event must have been reaped.
    """
    outcomes: Counter[str] = Counter()
    footprints = [Footprint.of(server)]
    say(f"at first: {footprints[0]}")
    for part in range(PARTS):
        outcomes += send_many(server, instance, requests // PARTS, connections, seed=part)
        footprints.append(Footprint.of(server))
        say(f"{outcomes.total()} requests: {footprints[-1]}")
    say(", ".join(f"{number} {name}" for name, number in sorted(outcomes.items())))
    footprints.append(_settled(server, footprints[0], settle))
    say(f"settled: {footprints[-1]}")
    return footprints


def _settled(server: PluginServer, first: Footprint, seconds: float) -> Footprint:
    deadline = time.monotonic() + seconds
    while True:
        footprint = Footprint.of(server)
        left = footprint.open_events or footprint.descriptors > first.descriptors
        if not left or time.monotonic() > deadline:
            return footprint
        time.sleep(0.2)


def complaint(footprints: list[Footprint]) -> str | None:
    """What is not flat: the footprints as `soak` gives them."""
    first, last = footprints[0], footprints[-1]
    half, all_sent = footprints[PARTS // 2], footprints[PARTS]
    if last.open_events:
        return f"{last.open_events} events are still open"
    if last.connections != first.connections or last.descriptors > first.descriptors:
        return "connections or descriptors were left behind"
    if last.handlers > Limits().max_idle_greenlets:
        return f"{last.handlers} greenlets were left behind"
    opened = max(0, all_sent.open_events - half.open_events)
    if all_sent.rss > half.rss + GROWTH + opened * OPEN_EVENT:
        return f"memory grew from {half.rss / 1e6:.1f} MB in the middle to {all_sent.rss / 1e6:.1f} MB"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    with processes.stub() as merchant, plugin_server(OURS) as server:
        instance = start_instance(server.path, OURS, traffic.configuration(merchant))
        footprints = soak(server, instance, options.requests, 120, lambda line: print(line, flush=True))
    problem = complaint(footprints)
    print(problem or "flat")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
