"""kong.conf and KONG_* environment variables → the settings that this gateway understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GatewaySettings:
    """Sizes in bytes, times in seconds. Defaults are Kong's."""

    prefix: str = "/usr/local/kong/"
    plugins: tuple[str, ...] = ("bundled",)
    pluginserver_names: tuple[str, ...] = ()
    pluginserver_start_cmd: Mapping[str, str] | None = None  # by server name
    pluginserver_query_cmd: Mapping[str, str] | None = None
    pluginserver_socket: Mapping[str, str] | None = None
    declarative_config: str | None = None
    proxy_listen: tuple[str, ...] = ("0.0.0.0:8000", "0.0.0.0:8443 ssl")
    admin_listen: tuple[str, ...] = ("127.0.0.1:8001", "127.0.0.1:8444 ssl")
    log_level: str = "notice"
    client_body_buffer_size: int = 8 * 1024  # a larger body is a file: get_raw_body() is nil
    client_max_body_size: int = 0  # 0: no limit
    lua_socket_connect_timeout: float = 60.0
    lua_socket_send_timeout: float = 60.0
    lua_socket_read_timeout: float = 60.0
    headers: frozenset[str] = frozenset({"server_tokens", "latency_tokens", "x-kong-request-id"})
    headers_upstream: frozenset[str] = frozenset({"x-kong-request-id"})
    trusted_ips: tuple[str, ...] = ()
    real_ip_header: str = "X-Real-IP"
    real_ip_recursive: bool = False
    upstream_keepalive_pool_size: int = 512
    upstream_keepalive_max_requests: int = 10_000
    upstream_keepalive_idle_timeout: float = 60.0
    error_default_type: str = "text/plain"
    unsupported: tuple[str, ...] = ()  # names of properties that were set and have no effect here

    def log_line(self) -> str | None:
        """One line that names the properties without effect, or None."""
        raise NotImplementedError


def load_settings(
    path: Path | str | None = None, environ: Mapping[str, str] | None = None
) -> GatewaySettings:
    """Kong's order: defaults, then the file, then KONG_* variables (default: os.environ).

    Raises ConfigurationError for a file that cannot be read or a value of the wrong form.
    """
    raise NotImplementedError
