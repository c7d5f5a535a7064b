"""The command line that Kong uses, and where the socket is."""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from .family import PROC, nginx_master, title_of

DEFAULT_PREFIX = Path("/usr/local/kong")
KONG_ENV = ".kong_env"
"""The file in its prefix in which Kong leaves the settings that it runs with."""


def parse(name: str, version: str, argv: list[str] | None) -> argparse.Namespace:
    """Read the options that kong-pdk's dedicated servers take, in kong-pdk's spellings."""
    parser = argparse.ArgumentParser(prog=name, description=f"Plugin server of the Kong plugin {name}.")
    parser.add_argument(
        "-p",
        "--kong-prefix",
        "-kong-prefix",
        dest="prefix",
        type=Path,
        help="Kong's prefix, where the socket is made (default: $KONG_PREFIX, or the working directory "
        f"if it is a prefix, or {DEFAULT_PREFIX})",
    )
    parser.add_argument(
        "--socket-name",
        dest="socket_name",
        help=f"the socket's name in the prefix (default: {name}.socket, where Kong looks for it)",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="log more: what goes on in the server, but no contents",
    )
    parser.add_argument("--version", "-version", action="version", version=f"{name} {version}")
    parser.add_argument(
        "--dump",
        "-dump",
        action="store_true",
        help="print what Kong wants to know of the plugin, as JSON, and end",
    )
    return parser.parse_args(argv)


def log_level(verbose: int) -> int:
    return logging.DEBUG if verbose else logging.INFO


def socket_path(name: str, options: argparse.Namespace, environment: Mapping[str, str]) -> str:
    """Where Kong will connect to, as far as anybody says so: option, environment, Kong's settings, Kong's
    default.

    Kong starts its plugin servers with an empty environment, in its prefix.
    """
    setting = f"pluginserver_{name.replace('-', '_')}_socket"
    prefix = options.prefix or _prefix(environment)
    if options.socket_name:
        return str(prefix / options.socket_name)
    if options.prefix is None:
        said = environment.get(f"KONG_{setting.upper()}") or _kong_setting(prefix, setting)
        if said:
            return said
    return str(prefix / f"{name}.socket")


def _prefix(environment: Mapping[str, str]) -> Path:
    if environment.get("KONG_PREFIX"):
        return Path(environment["KONG_PREFIX"])
    of_nginx = prefix_of_nginx(os.getppid())
    if of_nginx is not None:
        return of_nginx
    here = Path.cwd()
    if any((here / mark).exists() for mark in (KONG_ENV, "nginx-kong.conf", "nginx.conf", "pids")):
        return here
    return DEFAULT_PREFIX if DEFAULT_PREFIX.is_dir() else here


def prefix_of_nginx(pid: int, proc: Path = PROC) -> Path | None:
    """The prefix that Kong's nginx was started with, of which `pid` is a worker; None for any other process.

    The working directory tells it only where Kong was started there. A container's entry point starts nginx in
    `/`, with the prefix as its option `-p`, which the master keeps in its title.
    """
    master = nginx_master(pid, proc)
    if master is None:
        return None
    option = re.search(r" -p (/\S+)", title_of(master, proc))
    return Path(option[1]) if option else None


def _kong_setting(prefix: Path, setting: str) -> str | None:
    try:
        lines = (prefix / KONG_ENV).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        name, separator, value = line.partition(" = ")
        if separator and name == setting:
            return value.replace("\\#", "#")
    return None
