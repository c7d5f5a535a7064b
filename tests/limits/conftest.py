"""Gateway nodes, each a process with a limiter, that share one real Redis server."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kong.embedded.child import die_with_parent
from tests.harness.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]


class Nodes:
    """A process that becomes a node whenever one is started; see node.py."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.limits.node", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                preexec_fn=die_with_parent,
            )

    def start(
        self, settings: dict[str, Any], environment: dict[str, str], commands: socket.socket, log: int
    ) -> int:
        """The pid of a node that takes its commands from a socket, and writes its log to a descriptor."""
        return self._tell({"start": settings, "environment": environment}, [commands.fileno(), log])

    def stop(self, pid: int) -> None:
        self._tell({"stop": pid}, [])

    def close(self) -> None:
        self._control.close()
        self._process.wait()

    def _tell(self, message: dict[str, Any], descriptors: list[int]) -> int:
        socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
        answer = self._control.recv(64)
        assert answer, "the process that becomes nodes has died"
        pid: int = json.loads(answer)
        return pid


class Node:
    """One process with a limiter: `node.admit("acme", times=6, minute=5)`; see node.py."""

    def __init__(
        self, nodes: Nodes, log: Path, settings: dict[str, Any], environment: dict[str, str]
    ) -> None:
        self._nodes = nodes
        self._log = log
        commands, theirs = socket.socketpair()
        with theirs, log.open("wb") as errors:
            self._pid = nodes.start(settings, environment, theirs, errors.fileno())
        self._lines = commands.makefile("rw")
        commands.close()

    def begin(self, **command: Any) -> None:
        """Give the command and do not wait."""
        self._lines.write(json.dumps(command) + "\n")
        self._lines.flush()

    def end(self) -> Any:
        """The answer to the command that was begun."""
        line = self._lines.readline()
        assert line, f"the node died:\n{self.log()}"
        return json.loads(line)

    def admit(
        self,
        consumer: str = "acme",
        times: int = 1,
        **rates_and_options: Any,
    ) -> list[Any]:
        """Results of so many requests, together unless `at_once` is false; None: limiter unavailable."""
        self.begin_admitting(consumer, times, **rates_and_options)
        return self.end()

    def begin_admitting(self, consumer: str, times: int, **options: Any) -> None:
        rates = {name: options.pop(name) for name in ("second", "minute", "hour", "day") if name in options}
        self.begin(do="admit", consumer=consumer, times=times, rates=rates, **options)

    def ask(self, times: int) -> int:
        """Ask Redis so many times, and count the failures."""
        self.begin(do="ask", times=times)
        return self.end()

    def idle(self, seconds: float) -> None:
        """As if nobody had asked Redis for so long."""
        self.begin(do="idle", seconds=seconds)
        self.end()

    def counters(self) -> dict[str, Any]:
        self.begin(do="counters")
        return self.end()

    def resources(self) -> dict[str, int]:
        self.begin(do="resources")
        return self.end()

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        self._nodes.stop(self._pid)
        with contextlib.suppress(OSError):
            self._lines.close()


def passed(results: list[Any]) -> int:
    """How many of the results allow the request."""
    return sum(result is not None and result[0] for result in results)


def until(happened: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def back(node: Node) -> bool:
    return not node.counters()["redis_away"]


@pytest.fixture(scope="session")
def _nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.close()


@pytest.fixture
def start_node(tmp_path: Path, _nodes: Nodes) -> Iterator[Callable[..., Node]]:
    """Start a node: `start_node(redis.settings(), fault_tolerant=False)`."""
    with contextlib.ExitStack() as stack:
        started = 0

        def start(redis: dict[str, Any], environment: dict[str, str] | None = None, **settings: Any) -> Node:
            nonlocal started
            started += 1
            redis = {"timeout_ms": 2000, **redis}
            node = Node(
                _nodes, tmp_path / f"node-{started}.log", {**settings, "redis": redis}, environment or {}
            )
            stack.callback(node.stop)
            return node

        yield start


@pytest.fixture
def redis(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A Redis server of the test's own."""
    return start_redis()


@pytest.fixture
def node(redis: RedisServer, start_node: Callable[..., Node]) -> Node:
    """A node that counts in `redis`."""
    return start_node(redis.settings())
