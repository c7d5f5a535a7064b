"""The manual names every metric and every field of a line, and none besides."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import SimpleNamespace

from kong_plugin_server.counters import ServerCounters
from yeastar_adapter.limits import RateLimitSettings, RedisSettings, open_limiter
from yeastar_adapter.observability import requests as outcomes
from yeastar_adapter.observability.metrics import registry_of

MANUAL = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
ROW = re.compile(r"^\| `(?P<name>[a-z_0-9]+)` \| (?P<labels>[^|]*)\|", re.MULTILINE)


def section(title: str) -> str:
    """A section of the manual with what is below it."""
    level = re.search(rf"^(#+) {re.escape(title)}$", MANUAL, re.MULTILINE)
    assert level is not None, title
    rest = MANUAL[level.end() :]
    following = re.search(rf"^#{{1,{len(level[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def test_the_metrics_of_the_manual_are_those_that_are_exported() -> None:
    limiter = open_limiter(RateLimitSettings(policy="redis", redis=RedisSettings(host="redis.invalid")))
    server = SimpleNamespace(counters=ServerCounters(), events=[], instances=[], connections=[])
    exported = {
        metric.name.removeprefix("yeastar_adapter_") + ("_total" if metric.type == "counter" else "")
        for metric in registry_of(server).collect()  # type: ignore[arg-type]
        if metric.name.startswith("yeastar_adapter_")
    }
    assert limiter.counters.redis_away is False
    assert {row["name"] for row in ROW.finditer(section("Metrics of the adapter"))} == exported


def test_the_fields_of_the_manual_are_those_of_a_line() -> None:
    written = set(re.findall(r'"([a-z_]+)":', inspect.getsource(outcomes)))
    written |= set(re.findall(r'fields\["([a-z_]+)"\]', inspect.getsource(outcomes)))
    described = {
        name
        for cell in re.findall(r"^\| (`[^|]+) \|", section("The log line of a request"), re.MULTILINE)
        for name in re.findall(r"`([a-z_]+)`", cell)
    }
    assert described == written
