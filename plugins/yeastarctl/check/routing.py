"""The routes that lead to the adapter: both end points, the service behind them, bearable time limits."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from kong_declarative import route_regex
from yeastar_adapter.delivery_reports.address import PATH as REPORTS

from ..paths import SEND, VERIFY
from .declared import Declared, Route, Service
from .finding import Edit, Finding, error, hint, warning
from .node import Node
from .pieces import adapters, served_routes

_KONG_TIMEOUT = 60_000  # ms, for connecting, sending and receiving
_LONGEST = 30_000
_PATHS = VERIFY.removesuffix("verify") + "(verify|sendmessage)$"
_WAYS = (("GET", VERIFY, "a channel cannot be saved"), ("POST", SEND, "no message gets through"))
_REGEX_SIGNS = re.compile(r"[()|$^*+?\[\]\\]")
AUTHENTICATION = frozenset(
    {
        "basic-auth",
        "hmac-auth",
        "jwt",
        "key-auth",
        "key-auth-enc",
        "ldap-auth",
        "ldap-auth-advanced",
        "mtls-auth",
        "oauth2",
        "oauth2-introspection",
        "openid-connect",
        "session",
    }
)
# What a PBX sends, in lower case; a route that wants another header is not for it.
_HEADERS_OF_A_PBX = frozenset({"authorization", "content-type", "accept", "user-agent", "content-length"})


def check(declared: Declared) -> Iterator[Finding]:
    """Look at the routes that the adapter serves, and at their services."""
    yield from _reports(declared)
    served = served_routes(declared)
    live = [route for route in served if route.service is None or route.service.enabled]
    for method, path, consequence in _WAYS:
        if live and not any(leads(route.node, method, path) for route in live):
            yield _not_routed(live, method, path, consequence)
    shows_certificates = bool(declared.certificates) or any(
        plugin.name == "acme" and plugin.enabled for plugin in declared.plugins
    )
    for route in served:
        yield from _route(route, shows_certificates)
    for service in dict.fromkeys(route.service for route in served if route.service):
        yield from _service(service)


def takes(route: Node) -> list[str]:
    """Which of the two calls of a PBX a route takes, and whether it takes delivery reports."""
    ways = [(method, path) for method, path, _ in _WAYS]
    return [path for method, path in (*ways, ("POST", REPORTS + "reference")) if leads(route, method, path)]


def _reports(declared: Declared) -> Iterator[Finding]:
    """Reports that are asked for need a route without a key, which FutureSMS has not."""
    served = served_routes(declared)
    routes = [route for route in served if leads(route.node, "POST", REPORTS + "reference")]
    for _, adapter in [pair for route in served for pair in adapters(declared, route)]:
        reports = adapter.config.get("delivery_reports")
        if reports is None or not reports.is_true("enabled"):
            continue
        if not routes:
            yield warning(
                "reports-not-routed",
                reports,
                f"no route with the adapter takes POST {REPORTS}…: no delivery report arrives",
                f'a route of its own with reader, adapter and guard, paths: ["{REPORTS}"]',
            )
        for route in routes:
            for plugin in declared.running(route):
                if plugin.name in AUTHENTICATION and not plugin.config.get("anonymous"):
                    yield warning(
                        "reports-not-routed",
                        plugin.node,
                        f"{plugin.name} refuses every delivery report on route {route.title}: FutureSMS has no key",
                        "give delivery reports a route of their own, without it",
                    )


def leads(route: Node, method: str, path: str) -> bool:
    methods, protocols = route.texts("methods"), route.texts("protocols")
    if methods and method not in [name.upper() for name in methods]:
        return False
    if protocols and not {"http", "https"} & set(protocols):
        return False
    headers = route.get("headers")
    if headers is not None and any(str(name).lower() not in _HEADERS_OF_A_PBX for name, _ in headers.pairs()):
        return False
    paths = route.texts("paths")
    return not paths or any(_matches(pattern, path) for pattern in paths)


def _matches(pattern: str, path: str) -> bool:
    if not pattern.startswith("~"):
        return path.startswith(pattern)
    try:
        return route_regex.compile_pattern(pattern[1:]).match(path) is not None
    except route_regex.InvalidRegex:
        return True  # Kong refuses the route, which is said already


def _not_routed(routes: list[Route], method: str, path: str, consequence: str) -> Finding:
    node = routes[0].node
    for route in routes:
        for pattern in route.node.each("paths"):
            value = pattern.value
            if not isinstance(value, str) or value.startswith("~") or not _REGEX_SIGNS.search(value):
                continue
            if _matches("~" + value, path):
                return error(
                    "path-literal",
                    pattern,
                    f"{value} is matched literally, because it does not begin with ~: it never matches, and"
                    f" {consequence}",
                    f'write "~{value}"',
                    Edit(value, "~" + value),
                )
        methods = route.node.get("methods")
        if methods is not None and method not in route.node.texts("methods"):
            node = methods
        elif (headers := route.node.get("headers")) is not None:
            node = headers
        elif (paths := route.node.get("paths")) is not None:
            node = paths
    return error(
        "not-routed",
        node,
        f"no route with the adapter takes {method} {path}: {consequence}",
        f'paths: ["~{_PATHS}"], without methods and headers',
    )


def _route(route: Route, shows_certificates: bool) -> Iterator[Finding]:
    if not takes(route.node):
        return
    preserve = route.node.get("preserve_host")
    if preserve is not None and preserve.value is True:
        node = route.service.node if route.service else route.node
        encrypted = (node.text("url") or node.text("protocol") or "").startswith("https")
        yield error(
            "preserve-host",
            preserve,
            "preserve_host sends the name by which the PBX calls this gateway to FutureSMS as its Host"
            + (", and asks for its certificate" if encrypted else "")
            + ": FutureSMS knows no such host",
            "set `preserve_host: false`, Kong's default",
            Edit("preserve_host: true", "preserve_host: false"),
        )
    if route.service is None:
        yield error(
            "no-service",
            route.node,
            f"route {route.title} belongs to no service: there is nowhere to send an order",
            "put it under the service of FutureSMS, or write `service: NAME`",
        )
    protocols = route.node.texts("protocols")
    if protocols and "https" not in protocols:
        yield warning(
            "route-plain",
            route.node.get("protocols") or route.node,
            f"route {route.title} takes http only: a PBX's key crosses the network unencrypted, unless"
            f" something in front of"
            " Kong ends TLS",
            "protocols: [http, https], or [https]",
        )
    elif shows_certificates and (not protocols or "http" in protocols):
        yield warning(
            "route-plain",
            route.node.get("protocols") or route.node,
            f"route {route.title} takes plain http beside https: whoever sends a key to Kong's plain port sends it"
            " unencrypted",
            "protocols: [https]",
        )
    if route.node.is_false("request_buffering") or route.node.is_false("response_buffering"):
        yield warning(
            "buffering",
            route.node.get("request_buffering") or route.node.get("response_buffering") or route.node,
            "reader and adapter need the whole body: Kong buffers it anyway",
            "remove the line",
        )


def _service(service: Service) -> Iterator[Finding]:
    node = service.node
    if not service.enabled:
        yield error(
            "service-off",
            node.get("enabled") or node,
            f"service {service.title} is disabled: Kong answers 404 on its routes",
            "remove `enabled: false`",
            Edit("enabled: false", "enabled: true"),
        )
    yield from _timeouts(node)
    yield from _retries(node)
    url = node.text("url") or ""
    parts = urlsplit(url) if url else None
    protocol = (parts.scheme if parts else node.text("protocol")) or "http"
    try:
        host = (parts.hostname if parts else node.text("host")) or ""
    except ValueError:
        return  # Kong refuses it
    if protocol == "http" and is_public(host) and not re.search(r"[:/]", host):
        yield warning(
            "service-plain",
            node.get("url") or node.get("protocol") or node,
            f"orders and tokens go to {host} over http, unencrypted",
            "use https",
        )
    if protocol == "https" and node.is_false("tls_verify"):
        yield warning(
            "tls-unverified",
            node.get("tls_verify") or node,
            "the certificate of FutureSMS is not checked: anyone on the network path can read orders and tokens",
            "set `tls_verify: true`",
            Edit("tls_verify: false", "tls_verify: true"),
        )
    path = (parts.path if parts else node.text("path")) or ""
    if protocol in ("http", "https") and path.strip("/"):
        yield warning(
            "service-path",
            node.get("url") or node.get("path") or node,
            f"the path {path} of the service is not used: the adapter's order.path says where orders go",
            "remove it, or write the whole path into order.path",
        )


def _timeouts(service: Node) -> Iterator[Finding]:
    for name in ("connect_timeout", "read_timeout"):
        node = service.get(name)
        value = node.value if node else _KONG_TIMEOUT
        if isinstance(value, int) and value > _LONGEST:
            said = f"{value} ms" if node else f"Kong's default of {value} ms"
            yield warning(
                "timeout-long",
                node or service,
                f"{name} is {said}: while FutureSMS hangs, every message of every PBX waits",
                f"set {name} to 10000 or less",
            )


def _retries(service: Node) -> Iterator[Finding]:
    node = service.get("retries")
    value = node.value if node else 5
    if not isinstance(value, int) or isinstance(value, bool) or value == 0:
        return
    said = f"retries: {value}" if node else "no retries are set, and Kong's default is 5"
    yield hint(
        "retries",
        node or service,
        f"{said}: no order is sent twice (Kong repeats only a connection that was refused), but each attempt waits for"
        " connect_timeout while the PBX waits",
        "set `retries: 0`",
        Edit(f"retries: {value}", "retries: 0") if node else None,
    )


def is_public(host: str) -> bool:
    """Whether a host is reached through networks of other people, as far as its name tells."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return "." in name and not name.endswith(
            (".local", ".internal", ".svc", ".cluster.local", ".localhost", ".lan")
        )
