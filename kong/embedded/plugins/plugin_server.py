"""The process of an external plugin: asked for its schema, started, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kong.embedded.child import die_with_parent
from kong.embedded.log import Log

RESPAWN_SECONDS = 1.0
DUMP_SECONDS = 60.0
START_SECONDS = 60.0
STOP_SECONDS = 5.0


class PluginServerError(Exception):
    """A plugin server that cannot be asked or started; `str()` is one line that says why."""


@dataclass(frozen=True)
class PluginServerDefinition:
    """How a plugin server is reached and run. `environment` is all that the process gets besides PWD."""

    name: str
    command: tuple[str, ...]
    query: tuple[str, ...]
    socket: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(
        cls, name: str, command: str | tuple[str, ...], socket: str, environment: Mapping[str, str]
    ) -> PluginServerDefinition:
        parts = tuple(shlex.split(command)) if isinstance(command, str) else command
        return cls(name, parts, (*parts, "-dump"), socket, environment)


def dump(definition: PluginServerDefinition, query: str | None = None) -> str:
    """What the server prints about its plugin. Kong asks with its own environment, before any worker runs.

    `query`: the command to ask with (`pluginserver_…_query_cmd`), when it is not the server's own with `-dump`.
    """
    command = tuple(shlex.split(query)) if query else definition.query
    try:
        result = subprocess.run(
            command, capture_output=True, timeout=DUMP_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        raise PluginServerError(
            f"plugin server '{definition.name}': command not found: {command[0]}"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise PluginServerError(f"plugin server '{definition.name}' cannot be asked: {problem}") from problem
    output = result.stdout.decode("utf-8", "replace")
    if result.returncode != 0 or not output.strip():
        errors = result.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = errors[-1] if errors else f"it printed nothing (exit status {result.returncode})"
        raise PluginServerError(f"plugin server '{definition.name}' did not describe its plugin: {reason}")
    return output


class PluginServer:
    """Keeps one plugin server running until `stop`."""

    def __init__(self, definition: PluginServerDefinition, prefix: str, log: Log) -> None:
        self.definition = definition
        self._prefix = prefix
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._command = (*definition.command, *_prefix_option(definition, prefix))
        self._stopping = False
        self._deaths = 0
        self._last_words = ""

    async def start(self) -> None:
        """Start the process and wait until it listens.

        Raises PluginServerError when it dies first or does not listen in time.
        """
        socket_path = Path(self.definition.socket)
        before = _identity(socket_path)
        self._task = asyncio.get_running_loop().create_task(self._keep_running())
        deadline = time.monotonic() + START_SECONDS
        while not (_identity(socket_path) not in (None, before) and await _accepts(socket_path)):
            if self._deaths:
                await self.stop()
                words = f": {self._last_words}" if self._last_words else ""
                raise PluginServerError(f"plugin server '{self.definition.name}' ended at once{words}")
            if time.monotonic() > deadline:
                await self.stop()
                raise PluginServerError(
                    f"plugin server '{self.definition.name}' does not listen on {socket_path}"
                )
            await asyncio.sleep(0.02)

    async def _keep_running(self) -> None:
        while not self._stopping:
            started = time.monotonic()
            self._log.notice(f"[pluginserver] starting pluginserver process for {self.definition.name}")
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=self._prefix,
                    env={"PWD": self._prefix, **self.definition.environment},
                    limit=1 << 20,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            except OSError as problem:
                self._last_words = str(problem)
                self._log.error(f"[pluginserver] cannot start '{self.definition.name}': {problem}")
                self._deaths += 1
            else:
                self._log.notice(f"[pluginserver] started, pid {self._process.pid}")
                await self._relay_output(self._process)
                status = await self._process.wait()
                self._deaths += 1
                if not self._stopping:
                    reason = "exit" if status >= 0 else "signal"
                    self._log.notice(
                        f"external pluginserver '{self.definition.name}' terminated: {reason} {abs(status)}"
                    )
            if not self._stopping:
                await asyncio.sleep(max(0.0, started + RESPAWN_SECONDS - time.monotonic()))

    async def _relay_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        prefix = f"[{self.definition.name}:{process.pid}] "
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit: its rest follows as lines of their own
                continue
            if not line:
                return
            self._last_words = line.decode("utf-8", "replace").rstrip()
            # Kong writes this at level info; here it is shown at every level, for it is what a developer looks for
            self._log.write("info", prefix + self._last_words, always=True)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough. Safe to call twice."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            _signal_group(process.pid, signal.SIGCONT)
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
        if process is not None:
            # children of its own, if it left any
            _signal_group(process.pid, signal.SIGKILL)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


def _prefix_option(definition: PluginServerDefinition, prefix: str) -> tuple[str, ...]:
    """Beneath Kong a server finds the prefix in the title of nginx's master; here it has to be told."""
    if not {"-p", "-kong-prefix", "--kong-prefix"}.isdisjoint(definition.command):
        return ()
    if definition.socket == os.path.join(prefix, f"{definition.name}.socket"):
        return ("-p", prefix)
    return ("-p", prefix, "--socket-name", definition.socket)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _identity(path: Path) -> tuple[int, int] | None:
    """Tells a new socket from one that a former process left, or an older server still serves, at the same path."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


async def _accepts(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    return True
