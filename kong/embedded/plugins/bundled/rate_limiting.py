"""rate-limiting with the policy `local`: fixed windows of the calendar, counted in this process."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kong.embedded.pdk import request, response
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange

# Seconds of a period, for RateLimit-Reset; a month and a year are Kong's.
_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "month": 2592000, "year": 31536000}
_SWEEP_AT = 10_000


class RateLimiting(BundledPlugin):
    name = "rate-limiting"
    priority = 910

    def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        config = instance.config
        now = int(time.time())
        counters: dict[tuple[Any, ...], int] = self.worker.shared.setdefault("rate_limiting_counters", {})
        identifier = _identifier(exchange, config)
        limits = {period: config[period] for period in _PERIODS if config.get(period) is not None}
        starts = {period: _start(period, now) for period in limits}
        keys = {
            period: (instance.route_id or "", instance.service_id or "", identifier, period, starts[period])
            for period in limits
        }
        remaining = {period: limit - counters.get(keys[period], 0) for period, limit in limits.items()}
        stopped = None
        for period in limits:
            if remaining[period] <= 0:
                stopped = period
        headers = (
            {} if config.get("hide_client_headers") else _headers(limits, remaining, starts, stopped, now)
        )
        if stopped is not None:
            if headers:
                headers["Retry-After"] = headers["RateLimit-Reset"]
            for name, value in headers.items():
                exchange.response.set(name, value)
            response.error(exchange, config.get("error_code", 429), config.get("error_message"))
        for name, value in headers.items():
            exchange.response.set(name, value)
        if len(counters) > _SWEEP_AT:
            for key in [key for key in counters if key[4] + _PERIODS[key[3]] < now]:
                del counters[key]
        for key in keys.values():
            counters[key] = counters.get(key, 0) + 1


def _identifier(exchange: Exchange, config: Mapping[str, Any]) -> str:
    consumer = exchange.consumer if isinstance(exchange.consumer, dict) else {}
    credential = exchange.credential if isinstance(exchange.credential, dict) else {}
    limit_by = config.get("limit_by", "consumer")
    found: Any = None
    if limit_by == "service":
        found = exchange.service.id if exchange.service is not None else None
    elif limit_by == "consumer":
        found = consumer.get("id") or credential.get("id")
    elif limit_by == "credential":
        found = credential.get("id")
    elif limit_by == "header":
        found = request.header(exchange, config.get("header_name") or "")
    elif limit_by == "path":
        path = request.get_path(exchange)
        found = path if path == config.get("path") else None
    return str(found or exchange.remote_addr)


def _start(period: str, now: int) -> int:
    """The beginning of the present period, Unix seconds (UTC)."""
    if period in ("month", "year"):
        date = time.gmtime(now)
        return calendar.timegm((date.tm_year, date.tm_mon if period == "month" else 1, 1, 0, 0, 0))
    return now - now % _PERIODS[period]


def _headers(
    limits: Mapping[str, int],
    remaining: Mapping[str, int],
    starts: Mapping[str, int],
    stopped: str | None,
    now: int,
) -> dict[str, str]:
    headers: dict[str, str] = {}
    tightest: tuple[int, int] | None = None
    for period, limit in limits.items():
        left = remaining[period]
        if stopped is None or stopped == period:
            left -= 1
        left = max(0, left)
        window = _PERIODS[period]
        if tightest is None or left < tightest[0] or (left == tightest[0] and window > tightest[1]):
            tightest = (left, window)
            headers["RateLimit-Limit"] = str(limit)
            headers["RateLimit-Remaining"] = str(left)
            headers["RateLimit-Reset"] = str(max(1, window - (now - starts[period])))
        headers[f"X-RateLimit-Limit-{period.capitalize()}"] = str(limit)
        headers[f"X-RateLimit-Remaining-{period.capitalize()}"] = str(left)
    return headers
