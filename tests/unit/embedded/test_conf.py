"""kong.conf and KONG_* variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from kong_declarative.configuration_error import ConfigurationError

from kong.embedded.conf import GatewaySettings, load_settings


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "kong.conf"


def test_without_a_file_everything_is_kongs_default() -> None:
    settings = load_settings(environ={})

    assert settings == GatewaySettings()
    assert settings.client_body_buffer_size == 8192
    assert settings.lua_socket_read_timeout == 60.0
    assert settings.log_line() is None


def test_sizes_times_lists_and_comments(conf: Path) -> None:
    conf.write_text(
        "# the gateway\n"
        "nginx_http_client_body_buffer_size = 64k  # in memory\n"
        "nginx_http_client_max_body_size=1m\n"
        "nginx_http_lua_socket_read_timeout = 1m30s\n"
        "nginx_http_lua_socket_send_timeout = 500ms\n"
        "plugins = bundled, pbx\n"
        "pluginserver_names = pbx\n"
        "pluginserver_pbx_socket = /run/pbx\\#1.socket\n"
        "headers = off\n"
        "upstream_keepalive_idle_timeout = 30\n"
        "proxy_listen = 127.0.0.1:8000 reuseport backlog=16384, 127.0.0.1:8443 http2 ssl\n"
    )
    settings = load_settings(conf, {})

    assert settings.client_body_buffer_size == 64 * 1024
    assert settings.client_max_body_size == 1024 * 1024
    assert settings.lua_socket_read_timeout == 90
    assert settings.lua_socket_send_timeout == 0.5
    assert settings.plugins == ("bundled", "pbx")
    assert [(server.name, server.socket) for server in settings.pluginservers] == [
        ("pbx", "/run/pbx#1.socket")
    ]
    assert settings.headers == frozenset()
    assert settings.upstream_keepalive_idle_timeout == 30.0
    assert settings.log_line() is None


def test_a_variable_wins_over_the_file(conf: Path) -> None:
    conf.write_text("log_level = info\nplugins = bundled\n")
    settings = load_settings(conf, {"KONG_LOG_LEVEL": "debug", "KONG_PLUGINSERVER_NAMES": "my-pbx"})

    assert settings.log_level == "debug"
    assert settings.plugins == ("bundled",)
    assert [server.name for server in settings.pluginservers] == ["my-pbx"]


def test_properties_without_effect_are_one_line_and_no_error(conf: Path) -> None:
    conf.write_text(
        "database = off\nanonymous_reports = off\nmem_cache_size = 64m\nstatus_listen = 0.0.0.0:8007\nx = 1\n"
        "trusted_ips = 10.0.0.0/8\n"
    )

    line = load_settings(conf, {"KONG_WHATEVER": "1"}).log_line()

    assert line == "without effect in the embedded gateway: mem_cache_size, status_listen, x, trusted_ips"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("log_level = loud", "'loud' is not one of: debug, info"),
        ("nginx_http_client_max_body_size = 1q", "'1q' is not a size such as 64k or 1m"),
        ("nginx_http_lua_socket_read_timeout = soon", "'soon' is not a time such as 5s or 500ms"),
        ("headers = nope", "'nope' is not one of: latency_tokens"),
        ("database = postgres", "'postgres' is not one of: off"),
        ("upstream_keepalive_idle_timeout = 1m", "'1m' is not a number of seconds"),
    ],
)
def test_a_value_of_the_wrong_form_is_one_line_with_file_and_line(conf: Path, line: str, text: str) -> None:
    conf.write_text(f"# a comment\n{line}\n")

    with pytest.raises(ConfigurationError) as refusal:
        load_settings(conf, {})

    assert str(refusal.value).startswith(f"{conf}:2: {line.split(' ')[0]}: {text}")


def test_a_bad_variable_is_named(conf: Path) -> None:
    conf.write_text("log_level = info\n")

    with pytest.raises(ConfigurationError) as refusal:
        load_settings(conf, {"KONG_LOG_LEVEL": "loud"})

    assert str(refusal.value).startswith("KONG_LOG_LEVEL: log_level: 'loud'")


def test_a_file_that_cannot_be_read_or_is_no_kong_conf(conf: Path) -> None:
    with pytest.raises(ConfigurationError, match="could not load config file"):
        load_settings(conf, {})
    conf.write_text("log_level: info\n")
    with pytest.raises(ConfigurationError, match="line 1 is not 'name = value': log_level: info"):
        load_settings(conf, {})


def test_the_projects_own_file_is_read() -> None:
    settings = load_settings(Path(__file__).parents[3] / "kong" / "kong.conf", {})

    assert "yeastar-adapter" in settings.plugins
    assert [server.name for server in settings.pluginservers] == ["yeastar-adapter"]
