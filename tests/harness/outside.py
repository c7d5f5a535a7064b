"""How a gateway that runs already reaches FutureSMS and Redis, read from its Admin API."""

from __future__ import annotations

from typing import Any

import requests

from .kong_yml import PLUGIN


def found_addresses(admin_url: str) -> dict[str, Any]:
    """`upstream`: the address of the service that the plugin is on; `redis`: its `rate_limit.redis`.

    Empty where the gateway has no such plugin yet. Inside a compose network the names differ from those outside,
    and only the gateway's own configuration has them.
    """
    admin = admin_url.rstrip("/")
    for plugin in _get(admin, "/plugins")["data"]:
        if plugin["name"] != PLUGIN:
            continue
        service = plugin.get("service")
        if service is None and plugin.get("route"):
            service = _get(admin, f"/routes/{plugin['route']['id']}")["service"]
        if service is None:
            continue
        at = _get(admin, f"/services/{service['id']}")
        found: dict[str, Any] = {
            "upstream": f"{at['protocol']}://{at['host']}:{at['port']}{(at.get('path') or '').rstrip('/')}"
        }
        redis = (plugin["config"].get("rate_limit") or {}).get("redis")
        if redis:
            found["redis"] = {name: value for name, value in redis.items() if value is not None}
        return found
    return {}


def _get(admin: str, path: str) -> Any:
    answer = requests.get(admin + path, timeout=30)
    answer.raise_for_status()
    return answer.json()
