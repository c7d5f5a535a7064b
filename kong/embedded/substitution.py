"""What the demo changes in a configuration, in memory: addresses of FutureSMS and Redis, missing keys and accounts."""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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

    def drop_unset_options(self, environ: Mapping[str, str]) -> None:
        """Take out what may be blank and refers to a variable that is not set: it is off, and needs no warning."""
        vault = EnvironmentVault(environ)
        for owner in (*(plugin.get("config") or {} for plugin in self.plugins), *self.consumers()):
            for section, name in OPTIONAL:
                fields = owner.get(section)
                if (
                    isinstance(fields, dict)
                    and is_reference(fields.get(name))
                    and not _value(vault, fields[name])
                ):
                    del fields[name]

    def set_variables(
        self, environ: dict[str, str], username: str, password: str
    ) -> tuple[list[Substitution], dict[str, str]]:
        """Set what vault references need and `environ` lacks: the stub's API user, and keys for the PBXs.

        The second part of what is returned has the keys that were made, by variable. Raises DemoError that names all
        other variables, each with its field.
        """
        found: list[Substitution] = []
        keys: dict[str, str] = {}
        unknown: list[str] = []
        vault = EnvironmentVault(environ)
        for where, reference in _references(self.document):
            fields = tuple(where.split(".")[-2:])
            if _value(vault, reference) or fields in OPTIONAL or "redis" in where.split("."):
                continue
            variable = _variable(reference)
            account = {"merchant.username": username, "merchant.password": password}.get(".".join(fields))
            if variable is None:
                unknown.append(f"{where} is {reference}, which the demo cannot resolve")
            elif account is not None:
                environ[variable] = account
                shown = "the stub's password" if account == password else account
                found.append(Substitution(variable, "not set", shown))
            elif fields[-1].startswith("api_keys["):
                keys[variable] = environ[variable] = f"ystr_demo_{secrets.token_urlsafe(24)}"
                found.append(Substitution(variable, "not set", keys[variable]))
            else:
                unknown.append(f"{variable} ({where} is {reference})")
        if unknown:
            raise DemoError(
                f"{self.name}: not set: {'; '.join(unknown)}. "
                "Set them, as in `VARIABLE=… make run`, or write the values into the file"
            )
        return found, keys

    def write_out(self, environ: Mapping[str, str], variables: Mapping[str, str]) -> None:
        """Replace references to variables that `environ` lacks by what `variables` says."""
        own, all_ = EnvironmentVault(environ), EnvironmentVault(variables)
        _replace_references(
            self.document, lambda text: text if _value(own, text) else _value(all_, text) or text
        )

    def credentials(self, environ: Mapping[str, str]) -> list[tuple[str, str]]:
        """User and password of every Merchant account in it, so that the stub can let them in."""
        vault = EnvironmentVault(environ)
        pairs = []
        for merchant in self._merchants():
            username, password = (
                _value(vault, str(value)) if is_reference(value) else value
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

    def key_auth_keys(self) -> list[str]:
        """The keys of Kong's key-auth that a PBX can send, without the `Bearer ` that they are stored with."""
        consumers = self.document.get("consumers") or []
        credentials = [
            entry.get("keyauth_credentials") or [] for entry in consumers if isinstance(entry, dict)
        ]
        keys = [str(one.get("key", "")) for some in credentials for one in some if isinstance(one, dict)]
        return [key.removeprefix("Bearer ") for key in keys if key.startswith("Bearer ")]

    def _merchants(self) -> list[dict[str, Any]]:
        owners = [*(plugin.get("config") or {} for plugin in self.plugins), *self.consumers()]
        return _distinct(owner["merchant"] for owner in owners if isinstance(owner.get("merchant"), dict))

    def _rate_limits(self) -> list[dict[str, Any]]:
        configs = [plugin.get("config") or {} for plugin in self.plugins]
        return _distinct(
            config["rate_limit"] for config in configs if isinstance(config.get("rate_limit"), dict)
        )


@dataclass
class StandIns:
    """Stub and Redis server of a demo, to be put into every configuration that it is given."""

    futuresms: str
    redis_port: int | None
    username: str
    password: str
    variables: dict[str, str] = field(default_factory=dict)
    """The environment, and what was made where it lacks something."""

    def use(self, declaration: Declaration) -> list[Substitution]:
        """Put the addresses in, and let the accounts in at the stub. Raises DemoError where variables are missing."""
        declaration.drop_unset_options(self.variables)
        used, _keys = declaration.set_variables(self.variables, self.username, self.password)
        for username, password in declaration.credentials(self.variables):
            merchant = json.dumps({"username": username, "password": password}).encode()
            request = urllib.request.Request(f"{self.futuresms}/__stub__/merchants", merchant, method="PUT")
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
                pass
        used += declaration.use_upstream(self.futuresms)
        if self.redis_port is not None:
            used += declaration.use_redis(self.redis_port)
        return used

    def use_in(self, document: Any, environ: Mapping[str, str]) -> None:
        """The same for what is posted to a gateway whose environment is `environ`; what is not for us stays."""
        if not isinstance(document, dict):
            return
        try:
            declaration = Declaration(document, "the posted configuration")
            self.use(declaration)
        except DemoError:
            return  # no adapter in it, or references that nobody can fill in: Kong says what is wrong with those
        declaration.write_out(environ, self.variables)


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


def _distinct(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each record once: the aliases of a YAML anchor are one record, and what is replaced in it is so for all."""
    return list({id(record): record for record in records}.values())


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


def _replace_references(node: Any, put: Callable[[str], str]) -> None:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for place, inner in list(entries):
        if is_reference(inner):
            node[place] = put(inner)
        else:
            _replace_references(inner, put)


def _value(vault: EnvironmentVault, reference: str) -> str:
    """What a reference stands for; blank where nothing does."""
    try:
        return vault.get(reference) or ""
    except UnresolvedReference:
        return ""


def _variable(reference: str) -> str | None:
    """The environment variable that a reference reads; None where it is not of the vault `env`, or has a key."""
    try:
        parsed = Reference.parse(reference)
    except UnresolvedReference:
        return None
    if parsed.name != "env":
        return None
    return (parsed.config.get("prefix", "") + parsed.resource).replace("-", "_").upper()
