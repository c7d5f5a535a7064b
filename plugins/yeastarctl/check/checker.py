"""All checks over all files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from yeastar_adapter import settings as plugin_settings
from yeastar_adapter.schema import NAME, SCHEMA

from . import consumers, functions, keys, metrics, neighbours, orders, rates, references, routing, schema
from .declared import FIELDS, Declared, Plugin, Route
from .document import Node, Unreadable, read
from .finding import Finding, error, warning
from .vault import Environment

_VERSIONS = ("1.1", "2.1", "3.0")


def check_files(paths: Iterable[Path], variables: Mapping[str, str] | None) -> list[Finding]:
    """Every finding in files that go to one gateway together, in the order of files and lines.

    `variables`: the environment of Kong, for its `env` vault; None leaves vault references alone.
    Raises OSError for a file that cannot be read.
    """
    documents: list[Node] = []
    findings: list[Finding] = []
    order: dict[str, int] = {}
    for path in paths:
        order.setdefault(str(path), len(order))
        try:
            found, repeated = read(path)
        except Unreadable as unreadable:
            findings.append(
                Finding(str(path), unreadable.line, "error", "yaml", "", f"not YAML: {unreadable}")
            )
            continue
        findings += [
            warning("key-repeated", node, f"{node.where}: only the last one counts", "remove the others")
            for node in repeated
        ]
        documents += found
        findings += [finding for document in found for finding in _file(document)]
    declared = Declared.of(documents)
    findings += _gateway(declared, Environment(variables, declared.vaults))
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda finding: (order[finding.file], finding.line))


def _file(document: Node) -> Iterator[Finding]:
    """What Kong says of a declarative file before it looks at plugins."""
    if not isinstance(document.value, dict):
        yield error("not-kong", document, "not a declarative configuration: the top level is no mapping")
    elif not document.text("kind"):
        version = document.get("_format_version")
        if version is None or str(version.value) not in _VERSIONS:
            said = "missing" if version is None else repr(version.value)
            yield error("format-version", version or document, f'_format_version is {said}; Kong wants "3.0"')


def _gateway(declared: Declared, environment: Environment) -> Iterator[Finding]:
    yield from _entities(declared)
    adapters = [plugin for plugin in declared.plugins if plugin.name == NAME]
    for adapter in adapters:
        yield from _instance(declared, adapter, environment)
    served = [route for route in declared.routes if any(_serves(adapter, route) for adapter in adapters)]
    yield from routing.check(served, {functions.order_path_of(adapter) for adapter in adapters})


def _entities(declared: Declared) -> Iterator[Finding]:
    nodes = {
        "service": [service.node for service in declared.services],
        "route": [route.node for route in declared.routes],
        "plugin": [plugin.node for plugin in declared.plugins if not plugin.node.text("kind")],
    }
    for kind, entities in nodes.items():
        for entity in entities:
            for key, node in entity.pairs():
                if key not in FIELDS[kind] and not str(key).startswith("_"):
                    yield error("schema", node, f"{schema.UNKNOWN} (of a {kind})", "Kong refuses the file")


def _instance(declared: Declared, adapter: Plugin, environment: Environment) -> Iterator[Finding]:
    config = adapter.config
    broken = False
    for node, text in schema.faults(SCHEMA, config):
        broken = True
        yield error("schema", node, text, "Kong refuses the file")
    if broken:
        return
    found: list[Finding] = [
        *keys.check(config, environment),
        *references.check(config, environment),
        *orders.check(config, environment, adapter.consumer),
        *rates.check(config),
        *metrics.check(config),
    ]
    if not declared.kubernetes or declared.consumers:
        found += consumers.check(declared, adapter)
    yield from found
    if not any(finding.severity == "error" for finding in found):
        yield from _plugin_itself(config)
    routes = [route for route in declared.routes if _serves(adapter, route)]
    yield from functions.check(declared, adapter, routes)
    yield from neighbours.check(declared, adapter, routes)
    if not routes and not declared.kubernetes and adapter.consumer is None:
        yield warning("no-route", adapter.node, "no route leads to this instance", "put it on a route")


def _plugin_itself(config: Node) -> Iterator[Finding]:
    """What the plugin would say of the configuration, should the checks before this have missed it."""
    try:
        plugin_settings.Settings.parse(config.value or {})
    except plugin_settings.ConfigurationError as refusal:
        yield error("refused", config, str(refusal))


def _serves(adapter: Plugin, route: Route) -> bool:
    return adapter.enabled and adapter.covers(route)
