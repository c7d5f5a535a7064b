"""The guard: the post-function that refuses what the adapter has not accepted.

Kong proxies a request as it came when it cannot reach a plugin's process. So a route with the adapter and without
the guard hands unauthenticated requests to FutureSMS whenever that process is away.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

from .declared import Declared, Plugin, Route
from .document import Node
from .finding import Finding, error, warning

PHASES = ("access", "header_filter", "body_filter")
ORDER_PATH = "/api/v1/sms/sends"
_PASTE = "`yeastarctl config guard` prints the guard to paste"


def check(declared: Declared, adapter: Plugin, routes: list[Route]) -> Iterator[Finding]:
    """Look for the guard on each of an adapter instance's routes."""
    order_path = order_path_of(adapter)
    seen: set[Plugin] = set()
    for route in routes:
        candidates = [plugin for plugin in declared.on(route) if plugin.name == "post-function"]
        if not candidates:
            off = any(p.name == "post-function" and p.covers(route) for p in declared.plugins)
            yield error(
                "unguarded",
                adapter.node,
                f"route {route.title} has no guard"
                + (" (a post-function is there, switched off)" if off else "")
                + ": while the adapter's process is away, Kong lets every request through to FutureSMS",
                _PASTE,
            )
        for plugin in candidates:
            if plugin not in seen:
                seen.add(plugin)
                yield from _compare(plugin, order_path)


def order_path_of(adapter: Plugin) -> str:
    """Where an instance's orders go."""
    path = adapter.config.at("order", "path")
    return path.value if path and isinstance(path.value, str) else ORDER_PATH


def shipped() -> dict[str, str]:
    """The guard's Lua for each phase, as kong.yml has it."""
    folder = files(__package__) / "guard"
    return {phase: (folder / f"{phase}.lua").read_text(encoding="utf-8") for phase in PHASES}


def _compare(plugin: Plugin, order_path: str) -> Iterator[Finding]:
    for phase in PHASES:
        chunks = plugin.config.each(phase)
        node = plugin.config.get(phase)
        if not chunks:
            yield error(
                "guard-incomplete",
                plugin.node,
                f"the post-function has nothing for {phase}: "
                + (
                    "requests that the adapter has not accepted reach FutureSMS"
                    if phase == "access"
                    else "errors of Kong and other plugins reach the PBX in a form that it does not understand"
                ),
                _PASTE,
            )
            continue
        lua = [_bare(chunk.value) for chunk in chunks if isinstance(chunk.value, str)]
        if _expected(phase, order_path) in lua:
            continue
        yield from _different(phase, order_path, lua, node or plugin.node)


def _different(phase: str, order_path: str, lua: list[str], node: Node) -> Iterator[Finding]:
    if phase == "access" and order_path != ORDER_PATH and _expected(phase, ORDER_PATH) in lua:
        yield error(
            "guard-path",
            node,
            f"the guard lets {ORDER_PATH} through and the adapter orders at {order_path}: every message is"
            " refused with 10007",
            f'write "{order_path}" in the guard\'s access function',
        )
        return
    yield warning(
        "guard-differs",
        node,
        f"the guard's {phase} function is not the one of this version",
        f"if nobody changed it on purpose: {_PASTE}",
    )


@lru_cache
def _expected(phase: str, order_path: str) -> str:
    return _bare(shipped()[phase].replace(f'"{ORDER_PATH}"', f'"{order_path}"'))


def _bare(lua: str) -> str:
    """Lua without comments and without layout."""
    without_comments = re.sub(r"--[^\n]*", "", lua)
    return " ".join(without_comments.split())
