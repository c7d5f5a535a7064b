"""Manifests of Kong's Ingress Controller as the configuration that it makes of them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from .finding import Finding, error, hint, warning
from .node import Node

_PLUGIN_KINDS = ("KongPlugin", "KongClusterPlugin")
_KINDS = (
    *_PLUGIN_KINDS,
    "KongConsumer",
    "KongConsumerGroup",
    "KongIngress",
    "KongVault",
    "Ingress",
    "HTTPRoute",
)
_ANNOTATION = "konghq.com/"
_SERVICE_NUMBERS = {
    "connect-timeout": "connect_timeout",
    "read-timeout": "read_timeout",
    "write-timeout": "write_timeout",
    "retries": "retries",
}

Collections = dict[str, list[Node]]
_Reference = tuple[str, str]  # namespace, name


def translate(manifests: list[Node]) -> tuple[Collections, list[Finding]]:
    """Services, routes, consumers and plugins, and what is wrong with the manifests as such."""
    translation = _Translation([m for m in manifests if isinstance(m.value, dict)])
    translation.run()
    return translation.collections, translation.findings


class _Translation:
    def __init__(self, manifests: list[Node]) -> None:
        self._manifests = manifests
        self.collections: Collections = {}
        self.findings: list[Finding] = []
        # Which routes, services and consumers name a plugin in their annotation.
        self._relations: dict[_Reference, dict[str, list[Node]]] = {}
        self._services: dict[tuple[str, str], Node] = {}

    def run(self) -> None:
        for manifest in self._manifests:
            kind = manifest.text("kind") or ""
            if kind.startswith("Kong") and kind not in _KINDS:
                self.findings.append(
                    hint(
                        "not-judged",
                        manifest,
                        f"the kind {kind} is not checked",
                        f"known are {', '.join(_KINDS)}",
                    )
                )
            elif kind == "Ingress":
                self._ingress(manifest)
            elif kind == "HTTPRoute":
                self._http_route(manifest)
            elif kind == "KongConsumer":
                self._consumer(manifest)
            elif kind == "KongVault":
                self._put("vaults", manifest, prefix=manifest.at("spec", "prefix"), name=manifest.at("spec", "backend"),
                          config=manifest.at("spec", "config"))  # fmt: skip
        plugins = [m for m in self._manifests if m.text("kind") in _PLUGIN_KINDS]
        for manifest in plugins:
            self._plugin(manifest)
        named = {_identity(m)[1] for m in plugins}
        for (_, name), relation in self._relations.items():
            if plugins and name not in named:
                node = next(nodes[0] for nodes in relation.values() if nodes).value["_at"]
                self.findings.append(
                    warning(
                        "plugin-lost",
                        node,
                        f"konghq.com/plugins names {name}, and no KongPlugin in these files has this name",
                        "give the file that has it too, or correct the name",
                    )
                )

    def _put(self, kind: str, node: Node, **fields: Any) -> Node:
        found = node.put({name: value for name, value in fields.items() if value is not None})
        self.collections.setdefault(kind, []).append(found)
        return found

    def _of_kind(self, kind: str) -> Iterator[Node]:
        return (m for m in self._manifests if m.text("kind") == kind)

    def _relate(self, manifest: Node, scope: str, entity: Node) -> None:
        node = _annotation(manifest, "plugins")
        for name in re.split(r"[,\s]+", node.value) if node and isinstance(node.value, str) else ():
            if name and node:
                self._relate_to(manifest, name, scope, entity, node)

    def _relate_to(self, manifest: Node, plugin: str, scope: str, entity: Node, at: Node) -> None:
        relation = self._relations.setdefault((_identity(manifest)[0], plugin), {})
        relation.setdefault(scope, []).append(entity.put({**entity.value, "_at": at}))

    def _service(self, manifest: Node, backend: Node | None, name: str | None, port: Any) -> str | None:
        """The name of Kong's service for a backend of a route."""
        if backend is None or name is None:
            return None
        namespace = _identity(manifest)[0]
        if (namespace, name) not in self._services:
            found = next((m for m in self._of_kind("Service") if _identity(m) == (namespace, name)), None)
            at = found or backend
            protocol = _annotation(at, "protocol") if found else None
            numbers = {
                field: _whole(_annotation(at, annotation))
                for annotation, field in _SERVICE_NUMBERS.items()
                if found
            }
            host = found.text("spec", "externalName") if found else None
            entity = self._put(
                "services",
                at,
                name=f"{namespace}.{name}",
                protocol=protocol or "http",
                host=host or f"{name}.{namespace}.svc",
                port=port if isinstance(port, int) else 80,
                retries=numbers.pop("retries", None) or 5,
                **numbers,
                _host_header=_annotation(at, "host-header") if found else None,
            )
            self._services[namespace, name] = entity
            if found:
                self._relate(found, "service", entity)
        return f"{namespace}.{name}"

    def _route(self, manifest: Node, number: int, service: str | None, **fields: Any) -> Node:
        namespace, name = _identity(manifest)
        strip, preserve = _annotation(manifest, "strip-path"), _annotation(manifest, "preserve-host")
        protocols, methods = _annotation(manifest, "protocols"), _annotation(manifest, "methods")
        route = self._put(
            "routes",
            manifest,
            name=f"{namespace}.{name}.{number:02}",
            service=service,
            strip_path=strip.put(strip.value == "true") if strip else False,
            preserve_host=preserve.put(preserve.value == "true") if preserve else True,
            protocols=_listed(protocols) or None,
            **{"methods": _listed(methods) or None, **fields},
        )
        self._relate(manifest, "route", route)
        return route

    def _ingress(self, manifest: Node) -> None:
        for number, rule in enumerate(manifest.each("spec", "rules")):
            backends: dict[str, tuple[Node, list[Node], Any]] = {}
            for path in rule.each("http", "paths"):
                name = path.text("backend", "service", "name")
                backend = path.at("backend", "service")
                if name and backend:
                    entry = backends.setdefault(
                        name, (backend, [], path.number("backend", "service", "port", "number"))
                    )
                    entry[1].extend(_ingress_paths(path))
            host = rule.get("host")
            for name, (backend, paths, port) in backends.items():
                service = self._service(manifest, backend, name, port)
                self._route(manifest, number, service, paths=paths or None, hosts=[host] if host else None)

    def _http_route(self, manifest: Node) -> None:
        for number, rule in enumerate(manifest.each("spec", "rules")):
            backend = next(iter(rule.each("backendRefs")), None)
            service = self._service(
                manifest,
                backend,
                backend.text("name") if backend else None,
                backend.number("port") if backend else None,
            )
            paths = [path for match in rule.each("matches") for path in _gateway_paths(match.get("path"))]
            methods = [match.get("method") for match in rule.each("matches")]
            route = self._route(
                manifest,
                number,
                service,
                paths=paths or None,
                methods=methods if methods and all(methods) else None,
                hosts=manifest.each("spec", "hostnames") or None,
            )
            for item in rule.each("filters"):
                if item.text("extensionRef", "kind") == "KongPlugin":
                    self._relate_to(manifest, item.text("extensionRef", "name") or "", "route", route, item)

    def _consumer(self, manifest: Node) -> None:
        namespace, _ = _identity(manifest)
        credentials = []
        for entry in manifest.each("credentials"):
            secrets = [s for s in self._of_kind("Secret") if _identity(s) == (namespace, entry.value)]
            keys = [key for secret in secrets if (key := _credential(secret)) is not None]
            credentials += [manifest.put({"key": key}) for key in keys]
        consumer = self._put(
            "consumers",
            manifest,
            username=manifest.get("username"),
            custom_id=manifest.get("custom_id"),
            keyauth_credentials=credentials or None,
        )
        self._relate(manifest, "consumer", consumer)

    def _plugin(self, manifest: Node) -> None:
        namespace, name = _identity(manifest)
        plugin = manifest.get("plugin")
        if plugin is None:
            self.findings.append(
                error(
                    "required",
                    manifest,
                    f"the KongPlugin {name} does not say which plugin it is",
                    "add `plugin: NAME`",
                )
            )
            return
        fields: dict[str, Any] = {
            "name": plugin,
            "config": manifest.get("config"),
            "instance_name": manifest.get("instance_name"),
            "protocols": manifest.get("protocols"),
            "tags": None,
        }
        disabled = manifest.get("disabled")
        if disabled is not None:
            fields["enabled"] = (
                disabled.put(not disabled.value) if isinstance(disabled.value, bool) else disabled
            )
        if manifest.get("configFrom") or manifest.get("configPatches"):
            fields["_unjudged"] = True
            at = manifest.get("configFrom") or manifest.get("configPatches") or manifest
            self.findings.append(
                hint("not-judged", at, f"the configuration of {name} is in a Secret, which is not read here")
            )
        cluster = manifest.text("kind") == "KongClusterPlugin"
        relation = {
            scope: nodes
            for (space, named), found in self._relations.items()
            if named == name and (cluster or space == namespace)
            for scope, nodes in found.items()
        }
        for scope in _combinations(relation) if relation else ():
            self._put("plugins", manifest, **fields, **scope)
        if not relation:
            labels = manifest.at("metadata", "labels")
            is_global = cluster and labels is not None and labels.text("global") == "true"
            self._put("plugins", manifest, **fields, _unbound=None if is_global else True)


def _combinations(relation: dict[str, list[Node]]) -> Iterator[dict[str, Any]]:
    """The scopes of a plugin's instances: each consumer on each route and service that name it."""
    consumers: list[Any] = [node.text("username") for node in relation.get("consumer", ())] or [None]
    for consumer in dict.fromkeys(consumers):
        routes = [{"route": node.text("name")} for node in relation.get("route", ())]
        services = [{"service": node.text("name")} for node in relation.get("service", ())]
        seen: list[dict[str, Any]] = []
        for scope in [*routes, *services] or [{}]:
            if scope not in seen:
                seen.append(scope)
                yield {**scope, **({"consumer": consumer} if consumer else {})}


def _identity(manifest: Node) -> _Reference:
    return manifest.text("metadata", "namespace") or "default", manifest.text("metadata", "name") or ""


def _annotation(manifest: Node, name: str) -> Node | None:
    return manifest.at("metadata", "annotations", _ANNOTATION + name)


def _listed(node: Node | None) -> list[Node]:
    if node is None or not isinstance(node.value, str):
        return []
    return [node.put(part.strip()) for part in node.value.split(",") if part.strip()]


def _whole(node: Node | None) -> Node | None:
    if node is None:
        return None
    return node.put(int(node.value)) if isinstance(node.value, str) and node.value.isdigit() else node


def _ingress_paths(path: Node) -> list[Node]:
    node = path.get("path")
    if node is None or not isinstance(node.value, str):
        return [path.put("/")]
    kind = path.text("pathType")
    if node.value.startswith("/~"):
        return [node.put("~" + node.value[2:])]
    if kind == "Exact":
        return [node.put("~" + re.escape(node.value) + "$")]
    return [node]


def _gateway_paths(path: Node | None) -> list[Node]:
    node = path.get("value") if path else None
    if path is None or node is None or not isinstance(node.value, str):
        return []
    kind = path.text("type") or "PathPrefix"
    if kind == "RegularExpression":
        return [node.put("~" + node.value)]
    return [node.put("~" + re.escape(node.value) + "$")] if kind == "Exact" else [node]


def _credential(secret: Node) -> Node | None:
    labels = secret.at("metadata", "labels")
    if labels is None or labels.text("konghq.com/credential") != "key-auth":
        return None
    plain = secret.at("stringData", "key")
    if plain is not None:
        return plain
    coded = secret.at("data", "key")
    if coded is None or not isinstance(coded.value, str):
        return None
    try:
        return coded.put(base64.b64decode(coded.value, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return None
