"""kong.conf and KONG_* environment variables → the settings that this gateway understands."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kong_declarative.configuration_error import ConfigurationError

LOG_LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")

_HEADERS = frozenset(
    [
        *("server_tokens", "latency_tokens", "via", "server", "x-kong-upstream-status", "x-kong-request-id"),
        *(f"x-kong-{of}-latency" for of in ("proxy", "response", "admin", "upstream")),
    ]
)
_SIZE = re.compile(r"(\d+)([kKmMgG]?)")
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_TIME = re.compile(r"(\d+)(ms|[smhdwMy]?)")
_TIME_UNITS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME_UNITS |= {"M": 2592000, "y": 31536000}


@dataclass(frozen=True)
class PluginServer:
    """A process that Kong starts for plugins in other languages; None: Kong's default for a server of this name."""

    name: str
    socket: str | None = None
    start_cmd: str | None = None
    query_cmd: str | None = None


@dataclass(frozen=True)
class GatewaySettings:
    """Sizes in bytes, times in seconds, names of headers in lower case. Defaults are Kong's."""

    prefix: str = "/usr/local/kong/"
    plugins: tuple[str, ...] = ("bundled",)
    pluginservers: tuple[PluginServer, ...] = ()
    declarative_config: str | None = None
    database: str = "off"
    log_level: str = "notice"
    lua_package_path: str = "./?.lua;./?/init.lua;;"  # `;;`: Kong's own, here the repository's
    client_body_buffer_size: int = 8 * 1024  # a larger body is a file: get_raw_body() is nil
    client_max_body_size: int = 0  # 0: no limit
    lua_socket_connect_timeout: float = 60.0
    lua_socket_send_timeout: float = 60.0
    lua_socket_read_timeout: float = 60.0
    headers: frozenset[str] = frozenset({"server_tokens", "latency_tokens", "x-kong-request-id"})
    headers_upstream: frozenset[str] = frozenset({"x-kong-request-id"})
    proxy_ssl_verify: bool = False
    proxy_ssl_trusted_certificate: str | None = None
    upstream_keepalive_idle_timeout: float = 60.0
    error_default_type: str = "text/plain"
    ssl_cert: tuple[str, ...] = ()  # files; the first is the default certificate of `--proxy-ssl-listen`
    ssl_cert_key: tuple[str, ...] = ()
    main_env: tuple[str, ...] = ()  # NAME or NAME=value: all that a plugin server sees of the environment
    unsupported: tuple[str, ...] = field(default=())  # properties of the file without effect here

    def log_line(self) -> str | None:
        """One line that names the properties without effect, or None."""
        if not self.unsupported:
            return None
        return f"without effect in the embedded gateway: {', '.join(self.unsupported)}"


def load_settings(
    path: Path | str | None = None, environ: Mapping[str, str] | None = None
) -> GatewaySettings:
    """Kong's order: defaults, then the file, then KONG_* variables (default: os.environ).

    Raises ConfigurationError for a file that cannot be read, or a value of the wrong form.
    """
    environ = os.environ if environ is None else environ
    written = dict(_read(path)) if path is not None else {}
    given = _from_environment(environ)
    lines = {name: line for name, (_, line) in written.items() if name not in given}
    values = {**{name: value for name, (value, _) in written.items()}, **given}
    settings: dict[str, Any] = {}
    used: set[str] = set()
    for name, (properties, convert) in _PROPERTIES.items():
        for spelled in properties:
            if values.get(spelled):
                try:
                    settings[name] = convert(values[spelled])
                except ValueError as error:
                    raise _fault(spelled, str(error), path, lines) from None
                used.add(spelled)
    try:
        settings["pluginservers"], properties_used = _plugin_servers(values)
    except ValueError as error:
        raise _fault("pluginserver_names", str(error), path, lines) from None
    used |= properties_used
    unsupported = [name for name in written if name not in used and not _is_satisfied(name, values[name])]
    return GatewaySettings(**settings, unsupported=tuple(unsupported))


def _is_satisfied(name: str, value: str) -> bool:
    return not value or (name in _SATISFIED and (not _SATISFIED[name] or value in _SATISFIED[name]))


def _fault(name: str, text: str, path: Path | str | None, lines: Mapping[str, int]) -> ConfigurationError:
    line = lines.get(name)
    where = str(path) if line else f"KONG_{name.upper()}"
    return ConfigurationError({name: text}, where, line_of=lambda _: line)


def _read(path: Path | str) -> Iterator[tuple[str, tuple[str, int]]]:
    """Properties of a file with value and line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError({"error": f"could not load config file: {reason}"}, str(path)) from None
    for number, line in enumerate(text.splitlines(), start=1):
        plain = re.sub(r"\s*(?<!\\)#.*$", "", line).replace("\\#", "#").strip()
        name, equals, value = plain.partition("=")
        if equals:
            yield name.strip(), (value.strip(), number)
        elif plain:
            raise ConfigurationError({"error": f"line {number} is not 'name = value': {plain}"}, str(path))


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("KONG_").lower(): value.strip()
        for name, value in environ.items()
        if name.startswith("KONG_")
    }


def _plugin_servers(values: Mapping[str, str]) -> tuple[tuple[PluginServer, ...], set[str]]:
    found: list[PluginServer] = []
    used = {"pluginserver_names"}
    for name in _several(values.get("pluginserver_names", "")):
        given: dict[str, str | None] = {}
        for attribute in ("socket", "start_cmd", "query_cmd"):
            spelled = f"pluginserver_{name.lower().replace('-', '_')}_{attribute}"
            given[attribute] = values.get(spelled) or None
            used.add(spelled)
        found.append(PluginServer(name.lower(), **given))
    return tuple(found), used


def _several(value: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in value.split(",")) if part)


def _enabled(value: str) -> tuple[str, ...]:
    return () if value == "off" else _several(value)


def _size(value: str) -> int:
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError(f"'{value}' is not a size such as 64k or 1m")
    return int(found[1]) * _SIZE_UNITS[found[2].lower()]


def _time(value: str) -> float:
    parts = list(_TIME.finditer(value.replace(" ", "")))
    if not parts or "".join(part[0] for part in parts) != value.replace(" ", ""):
        raise ValueError(f"'{value}' is not a time such as 5s or 500ms")
    return sum(int(part[1]) * _TIME_UNITS[part[2]] for part in parts)


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"'{value}' is not a number of seconds") from None


def _switch(value: str) -> bool:
    return value in ("on", "true")


def _one_of(*options: str) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if value not in options:
            raise ValueError(f"'{value}' is not one of: {', '.join(options)}")
        return value

    return convert


def _header_names(value: str) -> frozenset[str]:
    names = frozenset(name.lower() for name in _enabled(value))
    unknown = sorted(names - _HEADERS)
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not one of: {', '.join(sorted(_HEADERS))}")
    return names


# A setting: the properties that set it (a later one wins), and how the text is read.
_PROPERTIES: dict[str, tuple[tuple[str, ...], Callable[[str], Any]]] = {
    "prefix": (("prefix",), str),
    "plugins": (("plugins",), _enabled),
    "declarative_config": (("declarative_config",), str),
    "database": (("database",), _one_of("off")),
    "lua_package_path": (("lua_package_path",), str),
    "log_level": (("log_level",), _one_of(*LOG_LEVELS)),
    "client_body_buffer_size": (
        (
            "client_body_buffer_size",
            "nginx_http_client_body_buffer_size",
            "nginx_proxy_client_body_buffer_size",
        ),
        _size,
    ),
    "client_max_body_size": (
        ("client_max_body_size", "nginx_http_client_max_body_size", "nginx_proxy_client_max_body_size"),
        _size,
    ),
    "lua_socket_connect_timeout": (
        ("nginx_http_lua_socket_connect_timeout", "nginx_proxy_lua_socket_connect_timeout"),
        _time,
    ),
    "lua_socket_send_timeout": (
        ("nginx_http_lua_socket_send_timeout", "nginx_proxy_lua_socket_send_timeout"),
        _time,
    ),
    "lua_socket_read_timeout": (
        ("nginx_http_lua_socket_read_timeout", "nginx_proxy_lua_socket_read_timeout"),
        _time,
    ),
    "headers": (("headers",), _header_names),
    "headers_upstream": (("headers_upstream",), _header_names),
    "proxy_ssl_verify": (("nginx_http_proxy_ssl_verify", "nginx_proxy_proxy_ssl_verify"), _switch),
    "proxy_ssl_trusted_certificate": (
        ("nginx_http_proxy_ssl_trusted_certificate", "nginx_proxy_proxy_ssl_trusted_certificate"),
        str,
    ),
    "upstream_keepalive_idle_timeout": (("upstream_keepalive_idle_timeout",), _seconds),
    "error_default_type": (
        ("error_default_type",),
        _one_of("application/json", "application/xml", "text/html", "text/plain"),
    ),
    "ssl_cert": (("ssl_cert",), _several),
    "ssl_cert_key": (("ssl_cert_key",), _several),
    "main_env": (("nginx_main_env",), lambda value: (value.rstrip(";"),)),
}

# Values that ask for what this gateway does anyway; none: it does so whatever the value.
_SATISFIED: dict[str, tuple[str, ...]] = {
    "admin_gui_listen": ("off",),
    "admin_listen": (),  # --admin-listen says it
    "allow_debug_header": ("off",),
    "anonymous_reports": ("off",),
    "db_update_frequency": (),
    "proxy_listen": (),  # --proxy-listen and --proxy-ssl-listen say it
    "role": ("traditional",),
    "router_flavor": ("traditional_compatible",),
    "status_listen": ("off",),
    "stream_listen": ("off",),
    "vaults": ("bundled", "env"),
    "wasm": ("off",),
    "worker_state_update_frequency": (),
}

assert set(_PROPERTIES) <= {setting.name for setting in dataclasses.fields(GatewaySettings)}
