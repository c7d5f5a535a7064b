"""The functions that stand beside the adapter on its route: the reader before it, the guard after it.

Kong proxies a request as it came when it cannot reach a plugin's process. So a route with the adapter and without
the guard hands unauthenticated requests to FutureSMS whenever that process is away. The reader answers requests
whose body breaks off or is too long, which the adapter never sees.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files

from .declared import Declared, Plugin, Route
from .document import Node
from .finding import Finding, error, warning

READER, GUARD = "pre-function", "post-function"
PHASES = ("access", "header_filter", "body_filter")
ORDER_PATH = "/api/v1/sms/sends"
_PASTE = "`yeastarctl config guard` prints it to paste"
_LACKING = {
    "access": "requests that the adapter has not accepted reach FutureSMS",
    "header_filter": "errors of Kong and other plugins reach the PBX in a form that it does not understand",
    "body_filter": "errors of Kong and other plugins reach the PBX in a form that it does not understand",
}


def check(declared: Declared, adapter: Plugin, routes: list[Route]) -> Iterator[Finding]:
    """Look for reader and guard on each of an adapter instance's routes."""
    found: list[Plugin] = []
    for route in routes:
        readers, guards = (_named(declared, route, name) for name in (READER, GUARD))
        if not guards:
            off = any(plugin.name == GUARD and plugin.covers(route) for plugin in declared.plugins)
            yield error(
                "unguarded",
                adapter.node,
                f"route {route.title} has no guard"
                + (f" (its {GUARD} is switched off)" if off else "")
                + ": while the adapter's process is away, Kong lets every request through to FutureSMS",
                _PASTE,
            )
        if not readers:
            yield warning(
                "no-reader",
                adapter.node,
                f"route {route.title} has no reader: a body that breaks off or is too long is answered by Kong, in"
                " a form that the PBX does not understand",
                _PASTE,
            )
        found += [*readers, *guards]
    if declared.kubernetes:  # whose annotations say what belongs to which route; they are not read
        found += [plugin for plugin in declared.plugins if plugin.name in (READER, GUARD)]
    for plugin in dict.fromkeys(found):
        yield from _guard(plugin, order_path_of(adapter)) if plugin.name == GUARD else _reader(plugin)


def shipped() -> dict[str, dict[str, str]]:
    """The Lua of kong.yml: plugin → phase → text."""
    folder = files(__package__) / "lua"
    return {
        name: {phase: (folder / f"{name}.{phase}.lua").read_text(encoding="utf-8") for phase in PHASES}
        for name in (READER, GUARD)
    }


def with_order_path(functions: Mapping[str, str], path: str) -> dict[str, str]:
    """The same functions for a gateway whose orders go to another path."""
    return {phase: lua.replace(f'"{ORDER_PATH}"', f'"{path}"') for phase, lua in functions.items()}


def order_path_of(adapter: Plugin) -> str:
    """Where an instance's orders go."""
    path = adapter.config.at("order", "path")
    return path.value if path and isinstance(path.value, str) else ORDER_PATH


def _named(declared: Declared, route: Route, name: str) -> list[Plugin]:
    return [plugin for plugin in declared.on(route) if plugin.name == name]


def _reader(plugin: Plugin) -> Iterator[Finding]:
    if not all(_holds(plugin, phase, ORDER_PATH) for phase in PHASES):
        yield warning(
            "reader-differs",
            plugin.node,
            f"the {READER} does not hold the reader of this version",
            f"if nobody changed it on purpose: {_PASTE}",
        )


def _guard(plugin: Plugin, order_path: str) -> Iterator[Finding]:
    for phase in PHASES:
        node = plugin.config.get(phase) or plugin.node
        if not plugin.config.each(phase):
            yield error(
                "guard-incomplete",
                node,
                f"the {GUARD} has nothing for {phase}: {_LACKING[phase]}",
                _PASTE,
            )
        elif not _holds(plugin, phase, order_path):
            yield _different(plugin, phase, order_path, node)


def _different(plugin: Plugin, phase: str, order_path: str, node: Node) -> Finding:
    if order_path != ORDER_PATH and _holds(plugin, phase, ORDER_PATH):
        return error(
            "guard-path",
            node,
            f"the guard lets {ORDER_PATH} through and the adapter orders at {order_path}: every message is"
            " refused with 10007",
            f'write "{order_path}" in the guard\'s {phase} function',
        )
    return warning(
        "guard-differs",
        node,
        f"the guard's {phase} function is not the one of this version",
        f"if nobody changed it on purpose: {_PASTE}",
    )


def _holds(plugin: Plugin, phase: str, order_path: str) -> bool:
    lua = {_bare(chunk.value) for chunk in plugin.config.each(phase) if isinstance(chunk.value, str)}
    return _expected(plugin.name, phase, order_path) in lua


@lru_cache
def _expected(name: str, phase: str, order_path: str) -> str:
    return _bare(with_order_path(shipped()[name], order_path)[phase])


def _bare(lua: str) -> str:
    """Lua without comments and without layout."""
    without_comments = re.sub(r"--[^\n]*", "", lua)
    return " ".join(without_comments.split())
