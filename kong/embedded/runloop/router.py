"""Which route a request belongs to, and under which path it goes upstream.

This is Kong's default router (`router_flavor = traditional_compatible`): routes are tried in the order of a number that
Kong computes for each (`_priority`), the first that matches in everything it asks for is the request's.

What comes from a request and goes into one is a byte string, as in Lua: `str` with one character a byte (Latin-1).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kong_declarative import request_path, route_regex
from kong_declarative.configuration import Configuration
from kong_declarative.entities import Route, Service
from kong_declarative.request_path import octets

from kong.embedded.http.exchange import Match

# Kong's namespace for the parts of a route whose paths differ in kind or length.
_PARTS = uuid.UUID("7f145bf9-0dce-4f91-98eb-debbce4b9f6b")

_PLAIN_HOST_ONLY = 1 << 60
_REGEX_PATH = 1 << 51
_MOST_HEADERS = 255


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    host: str | None
    port: int | None
    headers: Mapping[str, Sequence[str]]


# A request → what of its path matched, or None.
_PathMatcher = Callable[[str], "_Matched | None"]


@dataclass(frozen=True)
class _Matched:
    text: str | None  # None: the route asks for no path
    captures: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)


class _Candidate:
    """A route, or the part of one with paths of a kind: all regular expressions, or all of a length."""

    def __init__(self, route: Route, service: Service | None, paths: Sequence[str] | None, id: str) -> None:
        self.route = route
        self.service = service
        self.id = id
        self.priority = _priority(route, paths)
        self._methods = frozenset(route.methods or ())
        self._hosts = [_host_matcher(host) for host in route.hosts or ()]
        self._paths = [_path_matcher(path) for path in paths or ()]
        self._headers = [
            (name.lower().replace("_", "-"), [_header_matcher(value) for value in values])
            for name, values in (route.headers or {}).items()
        ]

    def match(self, request: _Request) -> _Matched | None:
        if self._methods and request.method not in self._methods:
            return None
        if self._hosts and not any(matches(request) for matches in self._hosts):
            return None
        for name, matchers in self._headers:
            values = [value.lower() for value in request.headers.get(name, ())]
            if not any(matches(value) for matches in matchers for value in values):
                return None
        if not self._paths:
            return _Matched(None)
        return next((found for matches in self._paths if (found := matches(request.path)) is not None), None)


class Router:
    """Built once for a snapshot; `match` has no side effects."""

    def __init__(self, configuration: Configuration) -> None:
        candidates = [
            candidate
            for route in configuration.routes.values()
            for candidate in _candidates(route, configuration.service_of(route))
        ]
        self._candidates = sorted(candidates, key=lambda found: (found.priority, found.id), reverse=True)

    def match(
        self,
        method: str,
        raw_path: str,
        host: str | None = None,
        headers: Mapping[str, Sequence[str]] | None = None,
        scheme: str = "http",
        port: int | None = None,
    ) -> Match | None:
        """The route of a request.

        `raw_path` as it stands in the request line (a query string is ignored), `host` the value of `Host`,
        `headers` by lower-case name with `-`, `port` the gateway's own. None: Kong's 404 "no Route matched with those
        values". A route for https alone matches plain http too: see `Match.route.protocols` (Kong then answers with
        https_redirect_status_code).
        """
        path = request_path.normalise(request_path.without_query(raw_path))
        if not _is_text(path):
            return None  # Kong's router logs an error and gives up
        name, host_port = _split_port(host)
        request = _Request(method, path, name, host_port or port, headers or {})
        for candidate in self._candidates:
            matched = candidate.match(request)
            if matched is not None:
                return _result(candidate, matched, path, host)
        return None


def _candidates(route: Route, service: Service | None) -> Iterator[_Candidate]:
    """A route as Kong's router splits it; nothing for a service that is switched off."""
    if service is not None and not service.enabled:
        return
    groups: dict[int, list[str]] = {}
    for path in route.paths or ():
        groups.setdefault(0 if path.startswith("~") else len(path.encode()), []).append(path)
    if len(groups) <= 1:
        yield _Candidate(route, service, route.paths, route.id)
        return
    for number, paths in enumerate(groups.values(), start=1):
        yield _Candidate(route, service, paths, str(uuid.uuid5(_PARTS, f"{route.id}#{number}")))


def _priority(route: Route, paths: Sequence[str] | None) -> int:
    """Kong's 64-bit number: the greater, the sooner a route is tried.

    How many kinds of things a route asks for, and its regex_priority, are shifted as 32-bit numbers: Kong means the
    former to be the topmost bits, but they come out below those for plain hosts and for regular expressions. From four
    on the sign fills everything above.
    """
    headers = len(route.headers or ())
    asked_for = (route.methods, route.hosts, route.headers, paths)
    regex = bool(paths) and paths[0].startswith("~") if paths else False
    plain_hosts = route.hosts is not None and not any("*" in host for host in route.hosts)
    parts = (
        _shifted(sum(1 for things in asked_for if things), 61),
        _PLAIN_HOST_ONLY if plain_hosts else 0,
        _REGEX_PATH if regex else 0,
        _shifted(min(headers, _MOST_HEADERS), 52),
        _shifted(route.regex_priority if regex else 0, 19),
        0 if regex or not paths else len(paths[0].encode()) & 0x7FFFF,
    )
    priority = 0
    for part in parts:
        priority |= part % 2**64
    return priority


def _shifted(value: int, offset: int) -> int:
    """LuaJIT's `bit.lshift` of a plain number: 32 bits, with a sign."""
    shifted = (value << offset % 32) % 2**32
    return shifted - 2**32 if shifted >= 2**31 else shifted


def _split_port(host: str | None) -> tuple[str | None, int | None]:
    name, colon, port = (host or "").partition(":")
    return (name, int(port)) if colon and port.isdigit() else (host, None)


def _host_matcher(pattern: str) -> Callable[[_Request], bool]:
    name, port = _split_port(pattern)
    assert name is not None

    def matches(request: _Request) -> bool:
        host = request.host or ""
        if name.startswith("*"):
            found = host.endswith(name[1:])
        elif name.endswith("*"):
            found = host.startswith(name[:-1])
        else:
            found = host == name
        return found and port in (None, request.port)

    return matches


def _header_matcher(wanted: str) -> Callable[[str], bool]:
    wanted = octets(wanted.lower())
    if wanted.startswith("~*"):
        pattern = route_regex.compile_pattern(wanted[2:])
        return lambda value: pattern.search(value) is not None
    return lambda value: value == wanted


def _path_matcher(path: str) -> _PathMatcher:
    if not path.startswith("~"):
        prefix = octets(path)
        return lambda requested: _Matched(prefix) if requested.startswith(prefix) else None
    pattern = route_regex.compile_pattern(path[1:])

    def matches(requested: str) -> _Matched | None:
        found: re.Match[str] | None = pattern.match(request_path.text(requested))
        if found is None:
            return None
        named = {name: octets(value) for name, value in found.groupdict("").items()}
        return _Matched(octets(found[0]), tuple(map(octets, found.groups(""))), named)

    return matches


def _result(candidate: _Candidate, matched: _Matched, path: str, host: str | None) -> Match:
    route, service = candidate.route, candidate.service
    prefix = matched.text if route.strip_path else None
    rest = _without_leading_dots(path[len(prefix or "/") :])
    upstream_path = _upstream_path(route, rest, path, (service.path if service else None) or "/")
    return Match(
        route=route,
        service=service,
        upstream_path=request_path.escape(upstream_path),
        upstream_host=host if route.preserve_host else None,
        forwarded_prefix=prefix if prefix != "/" else None,
        captures=matched.captures,
        named_captures=matched.named,
    )


def _without_leading_dots(rest: str) -> str:
    if rest in (".", ".."):
        return ""
    return rest.removeprefix("./") if rest.startswith("./") else rest.removeprefix("../")


def _upstream_path(route: Route, rest: str, path: str, base: str) -> str:
    """The service's path and the request's, with one slash between them (path_handling v0)."""
    if not route.strip_path:
        if base.endswith("/"):
            return base + path[1:]
        return base if path == "/" else base + path
    if rest:
        return base.removesuffix("/") + rest if rest.startswith("/") else base.removesuffix("/") + "/" + rest
    if base == "/":
        return "/"
    if base.endswith("/"):
        return base if path.endswith("/") else base[:-1]
    return base + "/" if len(path) > 1 and path.endswith("/") else base


def _is_text(path: str) -> bool:
    try:
        request_path.text(path)
    except UnicodeDecodeError:
        return False
    return True
