"""A gateway that runs already: how it reaches FutureSMS and Redis, and its configuration kept and put back."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from .kong_yml import PLUGIN


def found_addresses(admin_url: str) -> dict[str, Any]:
    """`upstream`: the address of the service that the plugin is on; `redis`: its `rate_limit.redis`;
    `ca_certificates`: whom the adapter believes at FutureSMS, where that is not the system's bundle.

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
        trusted = (plugin["config"].get("merchant") or {}).get("ca_certificates")
        if trusted:
            found["ca_certificates"] = trusted
        redis = (plugin["config"].get("rate_limit") or {}).get("redis")
        if redis:
            found["redis"] = {name: value for name, value in redis.items() if value is not None}
        return found
    return {}


@contextlib.contextmanager
def kept_configuration(admin_url: str, directory: Path | None = None) -> Iterator[None]:
    """Whatever is loaded inside, what the gateway has now is put back, also when the run is interrupted or ended.

    It lies in a file meanwhile, so that the next run puts back what one that was killed could not. `directory`:
    where; default: the system's for temporary files. Raises AssertionError where the gateway does not take it back.
    """
    admin = admin_url.rstrip("/")
    kept = (directory or Path(tempfile.gettempdir())) / f"e2e-{urlsplit(admin).netloc.replace(':', '-')}.yml"
    if not kept.exists():
        configuration = _get(admin, "/config")["config"]
        kept.touch(mode=0o600)
        kept.write_text(configuration, encoding="utf-8")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        back = requests.post(f"{admin}/config", json={"config": kept.read_text("utf-8")}, timeout=60)
        assert back.status_code == 201, (
            f"the gateway's configuration is not back: {back.text[:500]}; it lies in {kept}"
        )
        kept.unlink()


def _get(admin: str, path: str) -> Any:
    answer = requests.get(admin + path, timeout=30)
    answer.raise_for_status()
    return answer.json()
