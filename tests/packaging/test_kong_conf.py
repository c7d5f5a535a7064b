"""kong/kong.conf: what it changes, and why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from yeastar_adapter.schema import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "kong/kong.conf").read_text()
SETTINGS = dict(re.findall(r"^(\w+) = (.+)$", TEXT, re.MULTILINE))
SUGGESTED = dict(re.findall(r"^#(\w+) = (.+)$", TEXT, re.MULTILINE))

# Property → its default, as `kong.conf.default` and the template of defaults of Kong 3.9.1 say. Of nginx_* properties,
# the part after nginx_http_ or nginx_proxy_ is a directive, and the default is nginx' or the Lua module's.
VERIFIED = {
    "admin_gui_listen": "0.0.0.0:8002, 0.0.0.0:8445 ssl",
    "anonymous_reports": "on",
    "database": "postgres",
    "db_update_frequency": "5",
    "dns_not_found_ttl": "30",
    "dns_order": "LAST,SRV,A,CNAME",
    "dns_stale_ttl": "3600",
    "dns_valid_ttl": "",
    "headers": "server_tokens, latency_tokens, X-Kong-Request-Id",
    "log_level": "notice",
    "lua_package_path": "./?.lua;./?/init.lua;",
    "nginx_http_client_body_buffer_size": "8k",
    "nginx_http_client_max_body_size": "0",
    "nginx_http_lua_socket_read_timeout": "60s",
    "nginx_http_lua_socket_send_timeout": "60s",
    "nginx_proxy_proxy_ssl_trusted_certificate": "",
    "nginx_proxy_proxy_ssl_verify": "off",
    "nginx_proxy_proxy_ssl_verify_depth": "1",
    "plugins": "bundled",
    "pluginserver_names": "",
    "real_ip_header": "X-Real-IP",
    "real_ip_recursive": "off",
    "status_listen": "127.0.0.1:8007 reuseport backlog=16384",
    "trusted_ips": "",
    "upstream_keepalive_idle_timeout": "60",
    "worker_state_update_frequency": "5",
}


def test_every_property_is_one_of_kong_3_9() -> None:
    assert SETTINGS.keys() | SUGGESTED.keys() == VERIFIED.keys()


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_nothing_is_said_that_is_so_anyway(name: str) -> None:
    assert SETTINGS[name] != VERIFIED[name]


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_line_has_its_reason_above_it(name: str) -> None:
    before = TEXT.partition(f"\n{name} = ")[0]
    block = re.split(r"\n\n", before)[-1]
    assert re.search(r"^# \w", block, re.MULTILINE), f"no comment above {name}"


def test_nothing_else_stands_in_it() -> None:
    for line in TEXT.splitlines():
        assert re.fullmatch(r"(# .*|#?\w+ = \S.*|)", line), line


def test_kong_loads_the_plugin_and_starts_its_server() -> None:
    assert SETTINGS["plugins"].split(",") == ["bundled", "yeastar-reader", "yeastar-adapter", "yeastar-guard"]
    assert SETTINGS["pluginserver_names"] == "yeastar-adapter"


def test_the_longest_legal_message_stays_in_memory_and_within_the_limit() -> None:
    longest = len('{"from": "+123456789012345", "to": "+123456789012345", "text": ""}') + 2000 * len(
        "\\ud83d\\ude00"
    )
    in_memory, limit = (
        _bytes(SETTINGS[f"nginx_http_client_{name}"]) for name in ("body_buffer_size", "max_body_size")
    )
    assert longest < in_memory <= limit


def test_kong_waits_longer_for_the_plugin_server_than_the_plugin_server_for_anybody() -> None:
    """The longest silence: Redis, and then a token, each as late as can be."""
    merchant, redis = _default("merchant", "timeout_ms"), _default("rate_limit", "redis", "timeout_ms")
    longest = (merchant + redis) / 1000
    for what in ("read", "send"):
        assert longest < float(SETTINGS[f"nginx_http_lua_socket_{what}_timeout"].removesuffix("s"))


def _default(*names: str) -> int:
    fields = SCHEMA
    for name in names:
        field = next(field[name] for field in fields if name in field)
        fields = field.get("fields", [])
    default: int = field["default"]
    return default


def _bytes(size: str) -> int:
    return int(size[:-1]) * {"k": 1024, "m": 1024**2}[size[-1]]
