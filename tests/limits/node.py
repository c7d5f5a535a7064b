"""A process that limits as a gateway node's plugin process does: with gevent and greenlets.

    python node.py '{"policy": "redis", "redis": {"host": "127.0.0.1", "port": 6379}}'

Takes one command a line on standard input, a JSON object, and answers it with one line on standard output:

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
import sys  # noqa: E402
import time  # noqa: E402
from dataclasses import asdict  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import psutil  # noqa: E402
from gevent.fileobject import FileObject  # noqa: E402
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


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    given = json.loads(sys.argv[1])
    redis = RedisSettings(**given.pop("redis", {}))
    node = Node(RateLimitSettings(**given, redis=redis))
    # A plain read would hold up every greenlet.
    for line in FileObject(sys.stdin.fileno(), "r", close=False):
        command = json.loads(line)
        answer = getattr(node, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
