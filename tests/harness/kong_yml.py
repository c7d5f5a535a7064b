"""The project's kong.yml, for a gateway of the suite: other addresses, other consumers, other settings."""

from __future__ import annotations

import copy
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from .stub import PASSWORD, USERNAME

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "yeastar-adapter"
REPORTS = "/api/v1/integration/yeastar/sms/reports/"
REPORTS_SECRET = "9f1c2e3d4b5a69788796a5b4c3d2e1f0"

VARIABLES = {"FUTURESMS_USERNAME": USERNAME, "FUTURESMS_PASSWORD": PASSWORD}
"""What the vault references of kong.yml stand for in tests, unless the environment says otherwise."""

_REFERENCE = re.compile(r"\{vault://env/([A-Za-z0-9_-]+)\}")


class KongYml(dict[str, Any]):
    """A declarative configuration, ready for `gateway.load`; change it as any dict, or through what is below."""

    @classmethod
    def read(cls, path: Path = ROOT / "kong.yml") -> KongYml:
        return cls(YAML(typ="safe").load(path.read_text(encoding="utf-8")))

    def copy(self) -> KongYml:
        return copy.deepcopy(self)

    @property
    def service(self) -> dict[str, Any]:
        """The service that has the plugin on it or on one of its routes."""
        for service in self["services"]:
            if any(_has_plugin(owner) for owner in [service, *service.get("routes", [])]):
                found: dict[str, Any] = service
                return found
        raise LookupError(f"no service with {PLUGIN}")

    @property
    def plugin(self) -> dict[str, Any]:
        """The plugin's entry on the service or its route: `name`, `enabled`, `config` …"""
        for owner in [self.service, *self.service.get("routes", [])]:
            for plugin in owner.get("plugins", []):
                if plugin["name"] == PLUGIN:
                    found: dict[str, Any] = plugin
                    return found
        raise LookupError(PLUGIN)

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.plugin["config"]
        return config

    def entry(self, username: str) -> dict[str, Any]:
        """A consumer's entry in the plugin's configuration."""
        for entry in self.config["consumers"]:
            if entry["username"] == username:
                found: dict[str, Any] = entry
                return found
        raise LookupError(username)

    def consumer(self, username: str) -> dict[str, Any]:
        """The Kong consumer of that name."""
        for consumer in self["consumers"]:
            if consumer["username"] == username:
                found: dict[str, Any] = consumer
                return found
        raise LookupError(username)

    def add_pbx(self, username: str, key: str, **entry: Any) -> dict[str, Any]:
        """A Kong consumer, and its entry with one key. Returns the entry."""
        self.setdefault("consumers", []).append({"username": username})
        made = {"username": username, "api_keys": [key], **entry}
        self.config["consumers"].append(made)
        return made

    def use_upstream(self, url: str) -> None:
        """Let the service stand at another address."""
        for name in ("protocol", "host", "port", "path"):
            self.service.pop(name, None)
        self.service["url"] = url

    def take_reports(self, public_url: str) -> None:
        """Ask for delivery reports, to be sent to `public_url`, and take them on a route beside that of PBXs."""
        self.config["delivery_reports"] = {
            "enabled": True,
            "public_url": public_url,
            "secret": REPORTS_SECRET,
        }
        route = copy.deepcopy(self.service["routes"][0])
        route |= {"name": "yeastar-reports", "paths": [f"~{REPORTS}"]}
        route.pop("id", None)
        self.service["routes"].append(route)

    def use_redis(self, settings: Mapping[str, Any]) -> None:
        """`settings` as `RedisServer.settings()` gives them."""
        self.config.setdefault("rate_limit", {}).setdefault("redis", {}).update(settings)

    def limit(self, **rates: int | None) -> None:
        """The rates of every consumer: `second=5`; what is not named is without limit."""
        for owner in [self.config, *self.config["consumers"]]:
            limits = owner.get("rate_limit") or {}
            for window in ("second", "minute", "hour", "day"):
                limits.pop(window, None)
            if owner is self.config:
                limits |= rates
            if limits or owner is self.config:
                owner["rate_limit"] = limits
            else:
                owner.pop("rate_limit", None)

    def resolve_vaults(self, variables: Mapping[str, str] | None = None) -> None:
        """Write the value of each `{vault://env/name}` in its place; one without a value stays as it is."""
        values = {**VARIABLES, **os.environ, **(variables or {})}

        def resolved(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: resolved(inner) for name, inner in value.items()}
            if isinstance(value, list):
                return [resolved(inner) for inner in value]
            reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if reference is None:
                return value
            return values.get(reference[1].upper().replace("-", "_"), value)

        self.update(resolved(dict(self)))

    def as_json(self) -> str:
        """One text for equal configurations."""
        return json.dumps(self, sort_keys=True)

    def text(self) -> str:
        """As YAML."""
        stream = io.StringIO()
        YAML(typ="safe").dump(dict(self), stream)
        return stream.getvalue()


def _has_plugin(owner: Mapping[str, Any]) -> bool:
    return any(plugin["name"] == PLUGIN for plugin in owner.get("plugins", []))
