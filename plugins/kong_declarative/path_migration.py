"""Route paths of files in the format of Kong 1 and 2, in which a regular expression had no `~` before it."""

from __future__ import annotations

import re
from typing import Any

from kong_declarative.request_path import normalise, octets

_PLAIN = re.compile(r"[a-zA-Z0-9.\-_~/%]*")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_RESERVED = frozenset("!#$%&'()*+,/:;=?@[]")
_META = frozenset(r".^-{}\|")


def migrate(declared: dict[str, Any]) -> None:
    """Bring the paths of a file with `_format_version` 1.1 or 2.1 into the form of 3.0."""
    if declared.get("_format_version") not in ("1.1", "2.1"):
        return
    services = declared.get("services")
    holders = [declared, *(services if isinstance(services, list) else ())]
    for holder in holders:
        routes = holder.get("routes") if isinstance(holder, dict) else None
        for route in routes if isinstance(routes, list) else ():
            paths = route.get("paths") if isinstance(route, dict) else None
            if isinstance(paths, list):
                route["paths"] = [migrated(path) if isinstance(path, str) else path for path in paths]
    declared["_format_version"] = "3.0"


def migrated(path: str) -> str:
    """A path of the old form in the new one."""
    return _normal(path) if _PLAIN.fullmatch(path) else "~" + _ENCODED.sub(_decoded, path)


def _normal(path: str) -> str:
    return normalise(octets(path)).encode("latin-1").decode("utf-8", "replace")


def _decoded(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    if character in _RESERVED:
        return found[0].upper()
    return "\\" + character if character in _META else character
