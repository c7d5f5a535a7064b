"""The adapter's process: is its socket there, does it answer?"""

import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
from yeastar_adapter import __version__
from yeastar_adapter.schema import NAME

from ..check.known import GUARD, READER, definitions
from ..lua_path import lua_root
from .line import Line

_SUBJECT = "plugin server"
_PREFIXES = ("/var/kong", "/usr/local/kong")
_CONF_NAME = NAME.replace("-", "_")


def check(path: Path, timeout: float = 3.0) -> Iterator[Line]:
    """Look for the socket and ask the process behind it for its status."""
    missing = _missing(path)
    if missing:
        yield missing
        return
    yield Line("ok", "socket", str(path))
    started = time.perf_counter()
    try:
        status = get_status(path, timeout)
    except PermissionError:
        yield Line(
            "fail", _SUBJECT, f"{path} cannot be opened", "run this as Kong's user, `kong`, or as root"
        )
    except ConnectionRefusedError:
        yield Line(
            "fail",
            _SUBJECT,
            "nothing listens: the process has died and left its socket",
            f"Kong starts it again within seconds; if not, its error log says why (search for {NAME})",
        )
    except TimeoutError:
        yield Line(
            "fail",
            _SUBJECT,
            f"no answer within {timeout:g} s: the process hangs",
            "take a stack dump for a report (py-spy dump), then end the process; Kong starts a new one",
        )
    except (OSError, ValueError, EOFError) as error:
        yield Line("fail", _SUBJECT, f"unexpected answer: {error}", "see Kong's error log")
    else:
        took = (time.perf_counter() - started) * 1000
        yield Line("ok", _SUBJECT, f"process {status.get('Pid', '?')} answers in {took:.1f} ms")
        yield _instances(status)
        yield _version(path, timeout)


def sockets() -> list[Path]:
    """The sockets of the plugin servers that listen on this machine, and those that Kong's usual prefixes have."""
    found = [socket_in(Path(prefix)) for prefix in _PREFIXES if socket_in(Path(prefix)).exists()]
    try:
        listed = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        listed = []  # not Linux
    # A socket is listed under the name that it was bound to, and takes its own name afterwards.
    folders = {Path(line[line.index("/") :]).parent for line in listed if "/" in line}
    found += [path for folder in sorted(folders) if (path := socket_in(folder)).exists()]
    return list(dict.fromkeys(found))


def nowhere() -> Line:
    """No plugin server was found."""
    return Line(
        "fail",
        "socket",
        f"no {NAME}.socket in {' or '.join(_PREFIXES)}, and no plugin server listens on this machine",
        f"give Kong's prefix: --prefix DIR. Kong must run with `pluginserver_names = {NAME}` and"
        f" `plugins = bundled,{READER},{NAME},{GUARD}`; its error log says whether the process could be started",
    )


def socket_in(prefix: Path) -> Path:
    """Where Kong looks for the plugin server unless it is told otherwise."""
    return prefix / f"{NAME}.socket"


def get_status(path: Path, timeout: float) -> dict[str, Any]:
    """What the process answers to `plugin.GetStatus`. Raises OSError, ValueError, EOFError.

    Keep it to yourself: the status of an instance can have its configuration in it.
    """
    return _call(path, timeout, "plugin.GetStatus")


def _version(path: Path, timeout: float) -> Line:
    """The running process, reader and guard, and this command: all of one release?"""
    try:
        running = str(_call(path, timeout, "plugin.GetPluginInfo", NAME).get("Version", ""))
    except (OSError, ValueError, EOFError) as error:
        return Line(
            "warn",
            "version",
            f"the process does not say its version: {error}",
            "restart Kong after an upgrade",
        )
    try:
        lua = {name: definitions()[name].version for name in (READER, GUARD)}
    except (OSError, ValueError) as error:
        return Line(
            "fail", "version", f"reader and guard cannot be read: {error}", "install the package again"
        )
    others = {
        name: version for name, version in {**lua, "yeastarctl": __version__}.items() if version != running
    }
    if not running or others:
        shown = ", ".join(f"{name} {version}" for name, version in others.items())
        return Line(
            "fail" if set(others) & set(lua) else "warn",
            "version",
            f"the running process is {running or 'of unknown version'}, and {shown}",
            "install the three of one release, and restart Kong (`kong reload` starts a new process too)",
        )
    return Line("ok", "version", f"process, reader and guard are {running} (Lua in {lua_root()})")


def _call(path: Path, timeout: float, method: str, *arguments: str) -> dict[str, Any]:
    unpacker = msgpack.Unpacker(strict_map_key=False)
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(os.fspath(path))
        connection.sendall(msgpack.packb([0, 1, method, list(arguments)]))
        while True:
            for message in unpacker:
                return _result(message)
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            received = connection.recv(65536)
            if not received:
                raise EOFError("the connection was closed")
            unpacker.feed(received)


def _result(message: Any) -> dict[str, Any]:
    if not isinstance(message, list) or len(message) != 4 or message[0] != 1:
        raise ValueError("that is not Kong's protocol for plugins")
    if message[2] is not None:
        raise ValueError(str(message[2]))
    return message[3] if isinstance(message[3], dict) else {}


def _instances(status: dict[str, Any]) -> Line:
    plugins = status.get("Plugins")
    plugin = plugins.get(NAME) if isinstance(plugins, dict) else None
    instances = plugin.get("Instances") if isinstance(plugin, dict) else None
    if not isinstance(instances, list):
        return Line("warn", "instances", "the process does not say which plugin instances it has")
    if not instances:
        return Line(
            "warn",
            "instances",
            "none yet: Kong starts one with the first request of a route that has the plugin",
            "`yeastarctl verify` makes such a request",
        )
    return Line("ok", "instances", f"{len(instances)} started")


def _missing(path: Path) -> Line | None:
    prefix = path.parent
    try:
        if stat.S_ISSOCK(path.stat().st_mode):
            return None
        return Line("fail", "socket", f"{path} is not a socket", "remove it and reload Kong")
    except PermissionError:
        return Line(
            "fail", "socket", f"{prefix} cannot be read", "run this as Kong's user, `kong`, or as root"
        )
    except (FileNotFoundError, NotADirectoryError):
        pass
    if not prefix.is_dir():
        return Line(
            "fail",
            "socket",
            f"there is no {prefix}",
            "give Kong's prefix: --prefix DIR, or the socket: --socket FILE",
        )
    trap = prefix / f"{NAME}.sock"
    if trap.exists():
        return Line(
            "fail",
            "socket",
            f"{trap} is there, and Kong looks for {path}",
            f"start the plugin's process without arguments, or set pluginserver_{_CONF_NAME}_socket",
        )
    return Line(
        "fail",
        "socket",
        f"there is no {path}",
        f"Kong must run with `pluginserver_names = {NAME}` and `plugins ="
        f" bundled,{READER},{NAME},{GUARD}`; its error log says"
        " whether the process could be started",
    )
