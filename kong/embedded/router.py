"""Which route a request belongs to, and under which path it goes upstream (Kong's `traditional` router)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kong.embedded.configuration import Configuration
from kong.embedded.entities import Route, Service


@dataclass(frozen=True)
class Match:
    """A request's route and what follows from it."""

    route: Route
    service: Service | None
    upstream_path: str  # without the query string; `ngx.var.upstream_uri` before any plugin
    upstream_host: str | None  # the `Host` to send with preserve_host; None: the service's own
    forwarded_prefix: str | None  # X-Forwarded-Prefix, when strip_path removed something
    captures: tuple[str, ...] = ()  # of a regex path, the unnamed and the named ones, by number from 1
    named_captures: Mapping[str, str] = field(default_factory=dict)


class Router:
    """Built once for a snapshot; `match` has no side effects."""

    def __init__(self, configuration: Configuration) -> None:
        raise NotImplementedError

    def match(
        self,
        method: str,
        raw_path: str,
        host: str | None = None,
        headers: Mapping[str, Sequence[str]] | None = None,
        scheme: str = "http",
    ) -> Match | None:
        """The route of a request.

        `raw_path` as it stands in the request line (a query string is ignored), `host` the value of `Host`, `headers`
        by lower-case name. None: Kong's 404 "no Route matched with those values". A route that asks for https only
        matches plain http too: see `Match.route.protocols` (Kong answers https_redirect_status_code).
        """
        raise NotImplementedError
