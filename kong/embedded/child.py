"""A child process of the demo and of the tests: ready at a known line, and never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ChildError(Exception):
    """The process ended, or was not ready in time. The text ends with the last lines that it wrote."""


class Child:
    """A process in a session of its own, terminated when this process dies, however it dies (on Linux).

    The thread that starts it must live as long as it: Linux takes that thread's end for the parent's.
    Its output goes to the file `log`. With `show_errors` its standard error goes to this process's instead.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        show_errors: bool = False,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self._offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if show_errors else subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=directory,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def alive(self) -> bool:
        return self.returncode is None

    def output(self) -> str:
        """What it has written to its log so far."""
        with self.log.open("rb") as written:
            written.seek(self._offset)
            return written.read().decode("utf-8", "replace")

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """The first line that the regular expression matches.

        Raises ChildError where the process ends before, or `seconds` pass; it has been stopped then.
        """
        line = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + seconds
        while True:
            ended = not self.alive
            written = self.output()
            # A line that is still being written may yet become another one.
            found = line.search(written if ended else written[: written.rfind("\n") + 1])
            if found is not None:
                return found
            if ended:
                raise ChildError(f"{self.name} ended with status {self.returncode}{self._last_lines()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ChildError(f"{self.name} was not ready after {seconds:g} s{self._last_lines()}")
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Signal the process itself (not its group); one that has ended already is left alone."""
        if self.alive:
            self._process.send_signal(number)

    def suspend(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def wait(self, seconds: float) -> int | None:
        """The exit status, or None where it still runs after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds: float = 10) -> int:
        """SIGTERM, after `seconds` SIGKILL, then the rest of its process group. Returns the exit status."""
        self.send(signal.SIGTERM)
        self.resume()
        if self.wait(seconds) is None:
            self.kill()
        self._kill_group()
        return self._process.wait()

    def kill(self) -> None:
        """SIGKILL, at once."""
        self._kill_group()
        self._process.kill()
        self._process.wait()

    def _kill_group(self) -> None:
        # macOS answers EPERM for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _last_lines(self, count: int = 15) -> str:
        lines = self.output().strip().splitlines()[-count:]
        return ":\n" + "\n".join(f"  {line}" for line in lines) if lines else " and wrote nothing"


def die_with_parent() -> None:
    """Let this process be terminated when its parent dies (on Linux). An execed program keeps it."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
