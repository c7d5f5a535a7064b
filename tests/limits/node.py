"""Processes that limit as a gateway node's plugin process does: with gevent and greenlets.

    python -m tests.limits.node DESCRIPTOR

Loading all that a node needs takes a hundred times as long as a fork. So this process loads it, and becomes one node
for each message on the socket that it has inherited as DESCRIPTOR:

    {"start": {"policy": "redis", "redis": {"host": "127.0.0.1", "port": 6379}}, "environment": {}}
        with two descriptors: where the node's commands come from and its answers go, and its log. Answer: its pid
    {"stop": 4711}
        kill it. Answer: its pid, once it is gone

A node takes one command a line, a JSON object, and answers it with one line:

    {"do": "admit", "consumer": "acme", "rates": {"second": 5}, "times": 10}      in parallel, unless "at_once": false
        [[true, 5, 4, 1, 0, 1, 0], …]  a result each; null: LimiterUnavailable
    {"do": "admit", …, "busy_seconds": 1}   keep the processor busy while the answers come in
    {"do": "admit", …, "kill": "first"}     kill the greenlet of the first request while it waits, or "exchange":
                                            the one that asks Redis in the name of those who came later, or
                                            "waiting": the one that waits for its turn
    {"do": "ask", "times": 1000}            ask Redis, whatever came of it before, and count what went wrong
    {"do": "idle", "seconds": 60}           as if nobody had asked Redis for so long
    {"do": "counters"}  {"do": "resources"}
"""

from __future__ import annotations

from kong_plugin_server.patching import patch_standard_library

patch_standard_library()

import gc  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from dataclasses import asdict  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import psutil  # noqa: E402
from gevent.fileobject import FileObject  # noqa: E402
from gevent.monkey import get_original  # noqa: E402
from greenlet import greenlet  # noqa: E402
from yeastar_adapter.limits import (  # noqa: E402
    LimiterCounters,
    LimiterUnavailable,
    RateLimits,
    RateLimitSettings,
    RedisSettings,
    open_limiter,
)
from yeastar_adapter.limits.shared_connection import ScriptCall, SharedConnection  # noqa: E402

from kong.embedded.child import die_with_parent  # noqa: E402


class Node:
    def __init__(self, settings: RateLimitSettings) -> None:
        self.settings = settings
        self.limiter = open_limiter(settings)
        self.link = SharedConnection(settings.redis, LimiterCounters())

    def admit(
        self,
        consumer: str = "acme",
        rates: dict[str, int] | None = None,
        times: int = 1,
        at_once: bool = True,
        max_wait_seconds: float = 0,
        busy_seconds: float = 0,
        kill: str | None = None,
    ) -> list[tuple[Any, ...] | None]:
        asked = RateLimits(**(rates or {"minute": 5}))

        def one() -> tuple[Any, ...] | None:
            try:
                return tuple(self.limiter.admit(consumer, asked, max_wait_seconds))
            except LimiterUnavailable:
                return None

        if not at_once:
            return [one() for _ in range(times)]
        waiting = [gevent.spawn(one) for _ in range(times)]
        gevent.spawn(_keep_busy, busy_seconds)
        if kill == "first":
            gevent.sleep(0)
            waiting.pop(0).kill(block=False)
        elif kill == "exchange":
            _kill_exchange()
        elif kill == "waiting":
            while not (self.limiter.counters.waits and sum(not one.ready() for one in waiting) == 1):
                gevent.sleep(0.001)
            [late] = [one for one in waiting if not one.ready()]
            waiting.remove(late)
            late.kill(block=False)
        return [greenlet.get() for greenlet in waiting]

    def ask(self, times: int) -> int:
        failures = 0
        for _ in range(times):
            deadline = time.monotonic() + self.settings.redis.timeout_ms / 1000
            answer = self.link.ask(ScriptCall("yeastar-adapter:2:{acme}", RateLimits(minute=5), 0, deadline))
            failures += isinstance(answer, Exception)
        return failures

    def idle(self, seconds: float) -> None:
        """Let the connections to Redis be unused for so long."""
        for link in self.limiter._connections.values():
            link._used -= seconds

    def counters(self) -> dict[str, Any]:
        return asdict(self.limiter.counters)

    def resources(self) -> dict[str, int]:
        process = psutil.Process()
        return {
            "descriptors": process.num_fds(),
            "threads": process.num_threads(),
            "greenlets": sum(isinstance(thing, greenlet) and not thing.dead for thing in gc.get_objects()),
        }


def _keep_busy(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _kill_exchange() -> None:
    while True:
        gevent.sleep(0.001)
        for thing in gc.get_objects():
            if isinstance(thing, gevent.Greenlet) and "_serve_waiting" in repr(thing) and thing.started:
                thing.kill()
                return


def serve(given: dict[str, Any]) -> None:
    """Be a node until nobody gives commands any more."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    redis = RedisSettings(**given.pop("redis", {}))
    node = Node(RateLimitSettings(**given, redis=redis))
    # A plain read would hold up every greenlet.
    for line in FileObject(sys.stdin.fileno(), "r", close=False):
        command = json.loads(line)
        answer = getattr(node, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


def main() -> None:
    # Those of gevent would make an event loop, which a child must not inherit.
    fork = get_original("os", "fork")
    control = get_original("socket", "socket")(fileno=int(sys.argv[1]))
    while True:
        message, descriptors, *_ = socket.recv_fds(control, 1 << 16, 2)
        if not message:
            return
        told = json.loads(message)
        pid = told.get("stop")
        if pid is None:
            pid = fork()
            if pid == 0:
                break
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            os.kill(pid, signal.SIGKILL)
            get_original("os", "waitpid")(pid, 0)
        control.send(json.dumps(pid).encode())
    die_with_parent()
    control.close()
    commands, log = descriptors
    for source, target in ((commands, 0), (commands, 1), (log, 2)):
        os.dup2(source, target)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.update(told["environment"])
    serve(told["start"])


if __name__ == "__main__":
    main()
