"""What the demo changes in a kong.yml, in memory: the addresses of FutureSMS and Redis, and missing credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kong_declarative.vault import EnvironmentVault, Reference, UnresolvedReference, is_reference
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from yeastar_adapter.schema import OPTIONAL

PLUGIN = "yeastar-adapter"


class DemoError(Exception):
    """Why the demo cannot start: one line that says what to do."""


@dataclass(frozen=True)
class Substitution:
    """One value that is used instead of another; the texts are for people and hold no secret."""

    where: str
    before: str
    after: str


class Declaration:
    """A kong.yml, read and ready to be changed. `name` is the file as the user called it."""

    def __init__(self, document: dict[str, Any], name: str) -> None:
        self.document = document
        self.name = name
        self.plugins = list(_plugins(document))
        if not self.plugins:
            raise DemoError(
                f"{name}: no plugin {PLUGIN} in it; the project's kong.yml shows how it is declared"
            )

    @classmethod
    def read(cls, path: Path) -> Declaration:
        """Raises DemoError for a file that cannot be read, or is not YAML."""
        try:
            document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        except MarkedYAMLError as problem:
            line = f":{problem.problem_mark.line + 1}" if problem.problem_mark else ""
            raise DemoError(f"{path}{line}: not YAML: {problem.problem or problem.context}") from None
        except YAMLError as problem:
            raise DemoError(f"{path}: not YAML: {' '.join(str(problem).split())}") from None
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "is not UTF-8 text"
            raise DemoError(f"{path}: {reason}; make run KONG_YML=… names another file") from None
        if not isinstance(document, dict):
            raise DemoError(
                f"{path}: a mapping with services, consumers … is needed; see the project's kong.yml"
            )
        return cls(document, str(path))

    def use_upstream(self, url: str) -> list[Substitution]:
        """Let every service with the plugin, and the Merchant sessions, stand at `url`: no real SMS from a demo."""
        found = []
        for service in _services_of(self.document, self.plugins):
            before = service.get("url") or f"{service.get('protocol', 'http')}://{service.get('host')}"
            for part in ("protocol", "host", "port", "path", "tls_verify", "ca_certificates"):
                service.pop(part, None)
            service["url"] = url
            found.append(Substitution(f"service {service.get('name', '')}: url", before, url))
        for merchant in self._merchants():
            if merchant.get("base_url"):
                found.append(Substitution("merchant.base_url", str(merchant["base_url"]), url))
                merchant["base_url"] = url
        return found

    @property
    def uses_redis(self) -> bool:
        return any(config.get("policy") == "redis" for config in self._rate_limits())

    def use_redis(self, port: int) -> list[Substitution]:
        """Let the counters live in the Redis server at `port` of 127.0.0.1."""
        found = []
        for limits in self._rate_limits():
            if limits.get("policy") != "redis":
                continue
            given = limits.get("redis") or {}
            before = f"{given.get('host') or 'redis'}:{given.get('port') or 6379}"
            limits["redis"] = {
                **{k: v for k, v in given.items() if k in ("database", "timeout_ms")},
                "host": "127.0.0.1",
                "port": port,
            }
            found.append(Substitution("rate_limit.redis: host, port", before, f"127.0.0.1:{port}"))
        return found

    def set_variables(self, environ: dict[str, str], username: str, password: str) -> list[Substitution]:
        """Set what vault references need and `environ` lacks: the stub's API user, where it is the user's.

        Raises DemoError that names the variable and the field of any other.
        """
        found = []
        vault = EnvironmentVault(environ)
        for where, reference in _references(self.document):
            try:
                value = vault.get(reference)
            except UnresolvedReference:
                value = ""
            if value or tuple(where.split(".")[-2:]) in OPTIONAL:
                continue
            variable = _variable(reference)
            demo = {"merchant.username": username, "merchant.password": password}.get(
                ".".join(where.split(".")[-2:])
            )
            if demo is None or variable is None:
                raise DemoError(
                    f"{self.name}: {where} is {reference}, and the variable {variable or '?'} is not set: "
                    f"set it, as in `{variable or 'VARIABLE'}=… make run`, or take the reference out"
                )
            environ[variable] = demo
            shown = "the stub's password" if demo == password else demo
            found.append(Substitution(variable, "not set", shown))
        return found

    def credentials(self, environ: Mapping[str, str]) -> list[tuple[str, str]]:
        """User and password of every Merchant account in it, so that the stub can let them in."""
        vault = EnvironmentVault(environ)
        pairs = []
        for merchant in self._merchants():
            username, password = (
                vault(str(value)) if is_reference(value) else value
                for value in (merchant.get("username"), merchant.get("password"))
            )
            if username and password and (username, password) not in pairs:
                pairs.append((str(username), str(password)))
        return pairs

    def consumers(self) -> list[dict[str, Any]]:
        """The entries of `config.consumers`."""
        return [
            entry
            for plugin in self.plugins
            for entry in (plugin.get("config") or {}).get("consumers") or []
            if isinstance(entry, dict)
        ]

    def _merchants(self) -> list[dict[str, Any]]:
        owners = [*(plugin.get("config") or {} for plugin in self.plugins), *self.consumers()]
        return [owner["merchant"] for owner in owners if isinstance(owner.get("merchant"), dict)]

    def _rate_limits(self) -> list[dict[str, Any]]:
        configs = [plugin.get("config") or {} for plugin in self.plugins]
        return [config["rate_limit"] for config in configs if isinstance(config.get("rate_limit"), dict)]


def _plugins(node: Any) -> Iterator[dict[str, Any]]:
    """Every entry of the plugin, wherever it hangs: service, route, consumer, or on its own."""
    if isinstance(node, dict):
        for entry in node.get("plugins") or []:
            if isinstance(entry, dict) and entry.get("name") == PLUGIN:
                yield entry
        for name, inner in node.items():
            if name != "plugins":
                yield from _plugins(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _plugins(inner)


def _services_of(document: dict[str, Any], plugins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The services that have the plugin; all of them where it stands elsewhere than in a service."""
    services = [service for service in document.get("services") or [] if isinstance(service, dict)]
    inside = [(service, list(_plugins(service))) for service in services]
    if sum(len(found) for _, found in inside) < len(plugins):
        return services
    return [service for service, found in inside if found]


def _references(node: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every vault reference with its place, such as `services[futuresms].plugins[…].config.merchant.username`."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from _references(inner, f"{where}.{name}" if where else str(name))
    elif isinstance(node, list):
        for number, inner in enumerate(node, 1):
            label = (inner.get("name") or inner.get("username")) if isinstance(inner, dict) else None
            yield from _references(inner, f"{where}[{label or number}]")
    elif is_reference(node):
        yield where, node


def _variable(reference: str) -> str | None:
    """The environment variable that a reference reads; None where it is not of the vault `env`, or has a key."""
    try:
        parsed = Reference.parse(reference)
    except UnresolvedReference:
        return None
    if parsed.name != "env":
        return None
    return (parsed.config.get("prefix", "") + parsed.resource).replace("-", "_").upper()
