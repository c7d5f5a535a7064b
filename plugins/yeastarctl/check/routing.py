"""The routes that lead to the adapter: both end points, no way past the guard, bearable time limits."""

import re
from collections.abc import Iterator

from ..pbx import SEND, VERIFY
from .declared import Route, Service
from .document import Node
from .finding import Finding, error, warning

_KONG_TIMEOUT = 60_000  # ms, for connecting, sending and receiving
_LONGEST = 30_000
_BOTH = VERIFY.removesuffix("verify") + "(verify|sendmessage)$"
_WAYS = (("GET", VERIFY), ("POST", SEND))


def check(routes: list[Route], order_paths: set[str]) -> Iterator[Finding]:
    """Look at the routes that the adapter serves; `order_paths` is where its orders go."""
    for method, path in _WAYS:
        if routes and not any(_leads(route.node, method, path) for route in routes):
            yield warning(
                "not-routed",
                routes[0].node,
                f"no route with the adapter takes {method} {path}",
                "see the route of the shipped kong.yml",
            )
    for route in routes:
        yield from _past_the_guard(route, order_paths)
    services: dict[Service, Route] = {route.service: route for route in routes if route.service}
    for service in services:
        yield from _timeouts(service.node)


def _past_the_guard(route: Route, order_paths: set[str]) -> Iterator[Finding]:
    """The guard knows an accepted request by its path, so no request may come in with that path."""
    strip = route.node.get("strip_path")
    if strip is None or strip.value is not False:
        yield error(
            "strip-path",
            strip or route.node,
            f"route {route.title} strips its path (Kong's default): what is left can look like an"
            " accepted order"
            " to the guard",
            "set `strip_path: false`",
        )
    for path in sorted(order_paths):
        if _leads(route.node, "POST", path):
            yield error(
                "guard-bypass",
                route.node.get("paths") or route.node,
                f"route {route.title} also takes POST {path}: while the adapter's process is away, the guard"
                " takes such a request for an accepted order",
                f'paths: ["~{_BOTH}"]',
            )


def _leads(route: Node, method: str, path: str) -> bool:
    methods = route.get("methods")
    if methods and method not in methods.value:
        return False
    paths = [entry.value for entry in route.each("paths") if isinstance(entry.value, str)]
    return not paths or any(_matches(pattern, path) for pattern in paths)


def _matches(pattern: str, path: str) -> bool:
    if not pattern.startswith("~"):
        return path.startswith(pattern)
    try:
        return re.match(pattern[1:], path) is not None
    except re.error:
        return True  # PCRE knows more than this; no opinion


def _timeouts(service: Node) -> Iterator[Finding]:
    for name in ("connect_timeout", "read_timeout"):
        node = service.get(name)
        value = node.value if node else _KONG_TIMEOUT
        if isinstance(value, int) and value > _LONGEST:
            said = f"{value} ms" if node else f"Kong's default of {value} ms"
            yield warning(
                "timeout-long",
                node or service,
                f"{name} is {said}: while FutureSMS hangs, so does every message of every PBX",
                f"set {name} to 10000 or less",
            )
    url = service.text("url") or service.text("protocol") or ""
    host = service.text("host") or url.partition("//")[2]
    if url.startswith("http") and not url.startswith("https") and _public(host):
        yield warning(
            "service-plain",
            service.get("url") or service,
            "orders and tokens go to FutureSMS over http, in clear",
            "use https",
        )


def _public(host: str) -> bool:
    name = host.partition("/")[0].partition(":")[0]
    return "." in name and not name.startswith(("127.", "10.", "192.168."))
