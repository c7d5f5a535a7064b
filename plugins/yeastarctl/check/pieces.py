"""The three plugins of this project for every request of a PBX: reader, adapter and guard, present and enabled."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .declared import Consumer, Declared, Plugin, Route
from .finding import Edit, Finding, error
from .known import ADAPTER, GUARD, READER
from .node import Node

FUNCTIONS = {"pre-function": READER, "post-function": GUARD}
_PHASES = ("certificate", "rewrite", "access", "header_filter", "body_filter", "log")
# What stands in the Lua that release 0.1 had users paste, and in no other.
_RELEASE_0_1 = re.compile(
    r"yeastar_request|X-Yeastar-Adapter|kong\.ctx\.plugin\.reading|ngx\.var\.upstream_uri\s*~=\s*ORDER_PATH"
    r"|yeastar.{0,40}(reader|guard)",
    re.IGNORECASE,
)
_LACKING = {
    READER: "the adapter works only on what the reader has left, so every message is refused with 500/10007",
    GUARD: "nothing carries the adapter's decision out: no message is sent, and errors reach the PBX in Kong's form",
}
_PASTE = "add `- name: {}` beside yeastar-adapter; it needs no config"


def served_routes(declared: Declared) -> list[Route]:
    """The routes on which some request meets an enabled adapter."""
    return [route for route in declared.routes if any(adapters(declared, route))]


def adapters(declared: Declared, route: Route) -> Iterator[tuple[Consumer | None, Plugin]]:
    """The adapter's instances on a route by who meets them; None: everybody without one of their own."""
    for consumer in (None, *declared.scoped_consumers((ADAPTER,), route)):
        plugin = declared.effective(ADAPTER, route, consumer)
        if plugin is not None:
            yield consumer, plugin


def check(declared: Declared, complete: bool) -> Iterator[Finding]:
    """Judge what runs on each route. `complete`: all routes of the gateway are in these files."""
    served = served_routes(declared)
    for route in declared.routes:
        if route in served:
            yield from _served(declared, route)
        else:
            yield from _not_served(declared, route)
    yield from _release_0_1(declared)
    yield from _everywhere(declared, served)
    if complete and not served:
        yield from _serves_nobody(declared)


def _served(declared: Declared, route: Route) -> Iterator[Finding]:
    (_, adapter), *_ = adapters(declared, route)
    old = {
        FUNCTIONS[plugin.name]
        for plugin in declared.plugins
        if is_release_0_1(plugin) and declared.covers(plugin, route)
    }
    for name in (READER, GUARD):
        if declared.effective(name, route) is not None or name in old:
            continue
        off = declared.disabled(name, route)
        rule = "no-reader" if name == READER else "unguarded"
        if off is not None:
            node = off.node.get("enabled") or off.node
            yield error(
                rule,
                node,
                f"{name} is disabled on route {route.title}: {_LACKING[name]}",
                "remove `enabled: false`: to disable a PBX, set it in the adapter",
                Edit("enabled: false", "enabled: true"),
            )
        else:
            yield error(
                rule,
                adapter.node,
                f"route {route.title} has no {name}: {_LACKING[name]}",
                _PASTE.format(name),
            )


def _not_served(declared: Declared, route: Route) -> Iterator[Finding]:
    """A route without the adapter: the other two make nothing of its requests but 500."""
    present = [plugin for name in (READER, GUARD) if (plugin := declared.effective(name, route)) is not None]
    off = declared.disabled(ADAPTER, route)
    if off is not None:
        yield error(
            "adapter-off",
            off.node.get("enabled") or off.node,
            f"yeastar-adapter is disabled on route {route.title}: every message there is refused",
            "remove `enabled: false`: to disable one PBX, set it in that consumer's entry",
            Edit("enabled: false", "enabled: true"),
        )
        return
    for plugin in present:
        if plugin.name == GUARD or declared.effective(GUARD, route) is None:
            yield error(
                "no-adapter",
                plugin.node,
                f"{plugin.name} runs on route {route.title}, where yeastar-adapter does not: every request there is"
                " refused with 500",
                "put reader, adapter and guard on the same routes, and on no others",
            )


def _everywhere(declared: Declared, served: list[Route]) -> Iterator[Finding]:
    """An adapter on routes that are not a PBX's."""
    from .routing import takes  # both look at routes

    for plugin in declared.plugins:
        if plugin.name != ADAPTER or not plugin.enabled or plugin.route is not None or not plugin.bound:
            continue
        strangers = [
            route for route in served if declared.covers(plugin, route) and not any(takes(route.node))
        ]
        ours = [route for route in served if any(takes(route.node))]
        if strangers and ours:
            yield error(
                "adapter-everywhere",
                plugin.node,
                f"yeastar-adapter runs on route {strangers[0].title} too, which takes no call of a"
                f" PBX: it refuses every"
                " request there",
                "put it on the PBX's route: `route: NAME`, or under the route's `plugins:`",
            )


def _serves_nobody(declared: Declared) -> Iterator[Finding]:
    found = [plugin for plugin in declared.plugins if plugin.name == ADAPTER]
    if not found:
        return  # said by the checker, which knows whether files are missing
    for plugin in found:
        if plugin.enabled and not plugin.bound:
            continue  # what it refers to is said to be missing
        if plugin.enabled and not declared.routes:
            yield error(
                "no-route",
                plugin.node,
                "there is no route at all: no request reaches yeastar-adapter",
                "add a service with the route of the shipped kong.yml",
            )
        elif plugin.enabled:
            yield error(
                "no-route",
                plugin.node,
                "no route leads to this instance of yeastar-adapter",
                "put it on the route of the PBXs",
            )
        elif not any(declared.covers(plugin, route) for route in declared.routes):
            yield error(
                "adapter-off",
                plugin.node.get("enabled") or plugin.node,
                "yeastar-adapter is disabled: nobody is served",
                "remove `enabled: false`: to disable one PBX, set it in that consumer's entry",
                Edit("enabled: false", "enabled: true"),
            )


def _release_0_1(declared: Declared) -> Iterator[Finding]:
    for plugin in declared.plugins:
        chunks = list(_chunks_0_1(plugin))
        if not chunks:
            continue
        others = [chunk for phase in _PHASES for chunk in plugin.config.each(phase) if chunk not in chunks]
        name = FUNCTIONS[plugin.name]
        rest = "; leave your own functions there" if others else ""
        yield error(
            "old-functions",
            plugin.node if not others else chunks[0],
            f"this {plugin.name} is the {name.partition('-')[2]} that release 0.1 had pasted here; it"
            f" does not work with"
            f" yeastar-adapter of this release: every message is refused",
            f"put `- name: {name}` in its place, which needs no config{rest}",
        )


def is_release_0_1(plugin: Plugin) -> bool:
    """Whether a pre- or post-function holds the Lua of release 0.1."""
    return plugin.enabled and any(_chunks_0_1(plugin))


def _chunks_0_1(plugin: Plugin) -> Iterator[Node]:
    if plugin.name in FUNCTIONS:
        for phase in _PHASES:
            for chunk in plugin.config.each(phase):
                if isinstance(chunk.value, str) and _RELEASE_0_1.search(chunk.value):
                    yield chunk
