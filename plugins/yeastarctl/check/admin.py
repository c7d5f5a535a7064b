"""What a running Kong says of a configuration: its own validation, entity by entity. Nothing is changed there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import requests

from ..pbx import reason
from .finding import Finding, error
from .node import Node

_TIMEOUT = 10
# Written inside another entity, and validated as one of its own.
_NESTED = (
    "routes",
    "plugins",
    "keyauth_credentials",
    "acls",
    "jwt_secrets",
    "basicauth_credentials",
    "hmacauth_credentials",
    "oauth2_credentials",
    "targets",
    "snis",
)
_FOREIGN = ("service", "route", "consumer", "upstream", "certificate", "client_certificate")
# What an entity belongs to that may be written inside another.
_OWNERS = {
    "acls": "consumer",
    "basicauth_credentials": "consumer",
    "hmacauth_credentials": "consumer",
    "jwt_secrets": "consumer",
    "keyauth_credentials": "consumer",
    "oauth2_credentials": "consumer",
    "snis": "certificate",
    "targets": "upstream",
}
# What stands for an entity that is declared in the same files, and has no id yet.
_SOME_ID = "00000000-0000-4000-8000-000000000000"
# Kong's own findings are these rules; the others are about what Kong takes.
_KONG_RULES = frozenset(
    {"unknown-field", "type", "required", "value", "url", "scope", "lua-syntax", "plugin-unknown"}
)


class UnreachableError(Exception):
    """No Admin API answered; the text says why."""


def compare(url: str, root: Node, findings: list[Finding]) -> list[Finding]:
    """The findings with what the Kong at `url` says as well, and where the two differ. Raises UnreachableError."""
    with requests.Session() as session:
        session.trust_env = False
        extra = []
        refused_lines: set[tuple[str, int]] = set()
        accepted: list[tuple[str, Node]] = []
        for kind, node in _entities(root):
            said = _ask(session, url.rstrip("/"), kind, node)
            if said is None:
                accepted.append((kind, node))
                continue
            refused_lines |= {(inner.file, inner.line) for _, inner in node.walk()}
            if not any(
                f.rule in _KONG_RULES and f.severity == "error" and _inside(f, node) for f in findings
            ):
                extra.append(
                    error("kong-refuses", node, f"the Kong at {url} refuses this {kind.removesuffix('s')}: {said}",
                          "its version, its plugins or its schemas differ from what is checked here: Kong 3.9")
                )  # fmt: skip
        judged = [finding for finding in findings if not _is_judged(finding, accepted)]
        changed = [_milder(finding, accepted, url) for finding in judged]
    return changed + extra


def _is_judged(finding: Finding, accepted: list[tuple[str, Node]]) -> bool:
    """Whether it is about a plugin that is not checked here, and that the running Kong has judged."""
    plugins = [node for kind, node in accepted if kind == "plugins"]
    return finding.rule == "not-judged" and any(_inside(finding, node) for node in plugins)


def _milder(finding: Finding, accepted: list[tuple[str, Node]], url: str) -> Finding:
    """A finding in Kong's name that the running Kong does not share is no error of this Kong."""
    if finding.severity != "error" or finding.rule not in _KONG_RULES:
        return finding
    if not any(_inside(finding, node) for _, node in accepted):
        return finding
    return replace(
        finding,
        severity="warning",
        problem=f"{finding.problem} (but the Kong at {url} accepts it)",
        edit=None,
    )


def _inside(finding: Finding, node: Node) -> bool:
    own = _without_nested(node)
    return finding.file == node.file and any(
        finding.line == inner.line and finding.where == inner.where for _, inner in own.walk()
    )


def _entities(root: Node) -> Iterator[tuple[str, Node]]:
    for kind, node in root.pairs():
        if isinstance(node.value, list) and not str(kind).startswith("_"):
            yield from _of_kind(kind, node)


def _of_kind(kind: str, nodes: Node) -> Iterator[tuple[str, Node]]:
    for node in nodes.entries():
        if isinstance(node.value, dict):
            yield kind, node
            for nested in _NESTED:
                inner = node.get(nested)
                if inner is not None:
                    yield from _of_kind(nested, inner)


def _without_nested(node: Node) -> Node:
    kept = {
        key: value for key, value in node.value.items() if key not in _NESTED and not str(key).startswith("_")
    }
    return replace(node, value=kept)


def _ask(session: requests.Session, url: str, kind: str, node: Node) -> str | None:
    """What Kong has against an entity, or None."""
    body: dict[str, Any] = _without_nested(node).plain
    for field in _FOREIGN:
        if isinstance(body.get(field), (str, dict)):
            body[field] = {"id": _SOME_ID}
    if kind in _OWNERS:
        body.setdefault(_OWNERS[kind], {"id": _SOME_ID})
    try:
        answer = session.post(f"{url}/schemas/{kind}/validate", json=body, timeout=_TIMEOUT)
    except requests.RequestException as problem:
        raise UnreachableError(f"{url} does not answer: {reason(problem)}") from problem
    if answer.status_code == 200:
        return None
    try:
        document = answer.json()
    except ValueError:
        document = {}
    if answer.status_code == 400 and isinstance(document, dict) and "message" in document:
        return str(document["message"])
    if answer.status_code == 404:
        return (
            f"it knows no {kind}"
            if "No entity" in str(document.get("message", ""))
            else _not_an_admin_api(url)
        )
    return _not_an_admin_api(url)


def _not_an_admin_api(url: str) -> str:
    raise UnreachableError(f"{url} is not Kong's Admin API")
