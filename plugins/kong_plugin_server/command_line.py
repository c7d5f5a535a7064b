"""The command line that Kong uses, and where the socket is."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

from .process_tree import prefix_of_nginx

KONG_ENV = ".kong_env"
"""The file in its prefix in which Kong leaves the settings that it runs with."""


class NoPrefix(Exception):
    """Nobody says where Kong looks for the socket. A guess might be another Kong's."""

    def __str__(self) -> str:
        return (
            "no prefix: this process was not started by Kong's nginx, so give Kong's prefix with -p PREFIX or "
            "KONG_PREFIX"
        )


def parse(name: str, version: str, argv: list[str] | None) -> argparse.Namespace:
    """Read the options that kong-pdk's dedicated servers take, in kong-pdk's spellings."""
    parser = argparse.ArgumentParser(prog=name, description=f"Plugin server of the Kong plugin {name}.")
    parser.add_argument(
        "-p",
        "--kong-prefix",
        "-kong-prefix",
        dest="prefix",
        type=Path,
        help="Kong's prefix, where the socket is made (default: $KONG_PREFIX, or that of the Kong whose nginx "
        "has started this process)",
    )
    parser.add_argument(
        "--socket-name",
        dest="socket_name",
        help=f"the socket's name in the prefix (default: {name}.socket, where Kong looks for it)",
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="replace the server at the socket, even one that this Kong did not start",
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


def socket_path(
    name: str, options: argparse.Namespace, environment: Mapping[str, str], master: int | None
) -> str:
    """Where Kong will connect to, as far as anybody says so: option, environment, Kong's settings, Kong's
    default in the prefix of the nginx with this `master` process. Raises NoPrefix.

    Kong starts its plugin servers with an empty environment.
    """
    setting = f"pluginserver_{name.replace('-', '_')}_socket"
    if options.prefix is None and not options.socket_name:
        path = environment.get(f"KONG_{setting.upper()}")
        if path:
            return path
    prefix = options.prefix or _prefix(environment, master)
    if options.socket_name:
        return str(prefix / options.socket_name)
    if options.prefix is None:
        path = _kong_setting(prefix, setting)
        if path:
            return path
    return str(prefix / f"{name}.socket")


def _prefix(environment: Mapping[str, str], master: int | None) -> Path:
    if environment.get("KONG_PREFIX"):
        return Path(environment["KONG_PREFIX"])
    prefix = prefix_of_nginx(master) if master is not None else None
    if prefix is None:
        raise NoPrefix
    return prefix


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
