"""`kong reload`: the old workers end, and their plugin server with them, often before the next one listens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kong_plugin_server.family import is_running, nginx_master

from .conftest import COMMAND, ROOT, PluginProcess, eventually

# A process with the title of an nginx master that starts a plugin server, tells its pid and waits.
MASTER = """
import subprocess, sys
server = subprocess.Popen(sys.argv[2:])
print(server.pid, flush=True)
sys.stdin.read()
"""


class Kong:
    """An nginx master, as far as a plugin server can tell."""

    def __init__(self, prefix: Path) -> None:
        title = f"nginx: master process /usr/sbin/nginx -p {prefix} -c nginx.conf"
        command = [COMMAND[0], "-c", MASTER, title, *COMMAND, "-p", str(prefix)]
        self.process = subprocess.Popen(
            ["bash", "-c", 'title=$1; shift; exec -a "$title" "$@"', "bash", title, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.server_pid = int(self.process.stdout.readline())

    def end(self) -> None:
        """Kong is stopped."""
        self.process.kill()
        self.process.wait(30)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def kong(prefix: Path) -> Iterator[Kong]:
    kong = Kong(prefix)
    eventually(listening(prefix).is_listening)
    yield kong
    kong.end()
    eventually(lambda: not is_alive(kong.server_pid), "the plugin server ends with Kong")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def listening(prefix: Path) -> PluginProcess:
    return PluginProcess(prefix, None, prefix / "log")  # type: ignore[arg-type]


def test_a_server_that_is_asked_to_stop_serves_on_until_the_next_one_does(kong: Kong, prefix: Path) -> None:
    view = listening(prefix)
    assert view.status()["Pid"] == kong.server_pid
    os.kill(kong.server_pid, signal.SIGTERM)
    worker, instance = view.start("calls")
    assert worker.begin(instance)
    assert view.status()["Pid"] == kong.server_pid
    following = Kong(prefix)
    try:
        eventually(lambda: view.is_listening() and view.status()["Pid"] == following.server_pid)
        assert kong.process.poll() is None
        worker.close()
        eventually(lambda: not is_alive(kong.server_pid), "the old server ends")
        assert view.is_listening()
    finally:
        following.end()


def test_a_server_that_is_asked_twice_stops_at_once(kong: Kong, prefix: Path) -> None:
    view = listening(prefix)
    os.kill(kong.server_pid, signal.SIGTERM)
    eventually(view.is_listening)
    os.kill(kong.server_pid, signal.SIGTERM)
    eventually(lambda: not is_alive(kong.server_pid))


def test_a_server_ends_with_its_kong(kong: Kong, prefix: Path) -> None:
    kong.end()
    eventually(lambda: not is_alive(kong.server_pid))
    assert not (prefix / "scripted.socket").exists()


def test_the_master_is_found_among_the_ancestors(kong: Kong) -> None:
    assert nginx_master(kong.server_pid) == kong.process.pid
    assert is_running(kong.process.pid)
    assert nginx_master(os.getpid()) is None
    assert not is_running(os.getpid())
