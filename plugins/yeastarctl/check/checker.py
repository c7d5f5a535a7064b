"""All checks over all files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from yeastar_adapter import settings

from . import (
    consumers,
    files_named,
    keys,
    kong,
    metrics,
    neighbours,
    orders,
    pieces,
    rate_limits,
    references,
    routing,
    sources,
)
from .declared import Declared, Plugin
from .environment import Environment
from .finding import Finding, error, hint
from .known import ADAPTER
from .sources import Sources

# Findings of files that are not what they were meant to be: nothing more is said of what is missing in them.
_UNREAD = frozenset({"yaml", "empty", "not-kong", "plugin-unknown", "unknown-field"})


def check_files(paths: Iterable[Path], variables: Mapping[str, str] | None) -> list[Finding]:
    """`check_texts` for files. Raises OSError for one that cannot be read."""
    return check_texts([(str(path), path.read_bytes()) for path in paths], variables)


def check_texts(texts: Sequence[tuple[str, bytes]], variables: Mapping[str, str] | None) -> list[Finding]:
    """Every finding in (name, content) pairs that go to one gateway together, in the order of files and lines.

    `variables`: the environment of Kong, for its `env` vault; None: this is not Kong's machine, so neither
    variables nor files are looked up.
    """
    return check_sources(sources.read(texts), variables)


def check_sources(read: Sources, variables: Mapping[str, str] | None) -> list[Finding]:
    """`check_texts` for files that have been read already."""
    findings = list(read.findings)
    refused = list(kong.check(read.root, read.deck)) if read.root.value else []
    findings += refused
    declared = Declared.of(read.root)
    environment = Environment(variables, declared.vaults)
    findings += _gateway(read, declared, environment, {finding.rule for finding in findings})
    if not any(finding.severity == "error" for finding in findings):
        findings += _plugin_itself(declared)
    order = {name: place for place, name in enumerate(dict.fromkeys(read.files))}
    return sorted(dict.fromkeys(findings), key=lambda finding: (order.get(finding.file, 0), finding.line))


def _gateway(
    read: Sources, declared: Declared, environment: Environment, found: set[str]
) -> Iterator[Finding]:
    adapters = [plugin for plugin in declared.plugins if plugin.name == ADAPTER]
    if not adapters and not found & _UNREAD:
        yield from _no_adapter(read, declared)
    # Of a Kubernetes gateway the files may show a part; decK's may, too, when it selects by tags.
    routes_known = bool(declared.routes) or not read.kubernetes
    consumers_known = not read.deck and (bool(declared.consumers) or not read.kubernetes)
    if "plugin-unknown" not in found:
        yield from pieces.check(declared, complete=routes_known)
    yield from routing.check(declared)
    yield from neighbours.check(declared)
    for adapter in adapters:
        if adapter.judged and adapter.enabled:
            yield from _instance(declared, adapter, environment, consumers_known)
    yield from files_named.certificates(read.root)


def _instance(
    declared: Declared, adapter: Plugin, environment: Environment, consumers_known: bool
) -> Iterator[Finding]:
    config = adapter.config
    yield from keys.check(config, environment)
    yield from references.check(config, environment)
    yield from orders.check(config, environment, adapter.consumer.node if adapter.consumer else None)
    yield from rate_limits.check(config, environment)
    yield from metrics.check(config, environment)
    yield from files_named.check(config, here=environment.known)
    if consumers_known or declared.consumers:
        yield from consumers.check(declared, adapter, consumers_known)


def _no_adapter(read: Sources, declared: Declared) -> Iterator[Finding]:
    if read.declarative or (declared.routes and declared.plugins):
        yield error(
            "no-adapter",
            read.root,
            "there is no yeastar-adapter in these files: no PBX is served",
            "add reader, adapter and guard to the PBX's route (see the shipped kong.yml), or give"
            " the file that has them",
        )
    elif not read.values:
        yield hint(
            "not-judged",
            read.root,
            "there is no yeastar-adapter in these manifests: nothing to check",
            "give all manifests of the gateway together",
        )


def _plugin_itself(declared: Declared) -> Iterator[Finding]:
    """What the plugin would say of a configuration, should the checks before this have missed it."""
    for adapter in declared.plugins:
        if adapter.name == ADAPTER and adapter.enabled and adapter.judged:
            try:
                settings.Settings.parse(adapter.config.plain or {})
            except settings.ConfigurationError as refusal:
                yield error("refused", adapter.config, str(refusal))
