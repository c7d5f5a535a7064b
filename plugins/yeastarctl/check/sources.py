"""Files as one configuration of Kong, whatever they are written for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kong_declarative import yaml_document
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.entity_schemas import FORMAT_VERSIONS

from . import kubernetes
from .finding import Edit, Finding, error, hint, warning
from .node import Node

# What decK writes beside Kong's own format.
_DECK_KEYS = ("_info", "_konnect", "_workspace", "_plugin_configs")
_CHART_KEYS = {"ingressController", "deployment", "gateway", "controller", "proxy", "image", "env"}


@dataclass
class Sources:
    """`root`: everything in Kong's declarative format. `findings`: what is wrong with the files as such.

    `declarative`: at least one is in Kong's or decK's format; `kubernetes`: some are manifests; `deck`: decK loads
    them, and other entities may be in the gateway already.
    """

    root: Node
    findings: list[Finding] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    declarative: bool = False
    kubernetes: bool = False
    deck: bool = False
    values: bool = False
    """Values of a Helm chart, in which there is nothing of Kong's configuration."""


def read(texts: Sequence[tuple[str, bytes]]) -> Sources:
    """Read (name, content) pairs; what is no YAML is a finding."""
    sources = Sources(Node({}, texts[0][0] if texts else "-", 1))
    manifests: list[Node] = []
    collections: dict[str, list[Node]] = {}
    heads: dict[str, Node] = {}
    singles: dict[str, Node] = {}
    for name, content in texts:
        sources.files.append(name)
        for document in _documents(name, content, sources):
            if not isinstance(document.value, dict):
                sources.findings.append(_not_kong(document))
            elif "kind" in document.value and (
                "apiVersion" in document.value or "metadata" in document.value
            ):
                sources.kubernetes = True
                manifests += document.each("items") if document.text("kind") == "List" else [document]
            elif _is_values(document):
                sources.values = True
                sources.findings.append(
                    hint(
                        "not-judged",
                        document,
                        "values of Kong's Helm chart: they configure the installation, not the routes",
                        "give the manifests (KongPlugin, Ingress, KongConsumer) too",
                    )
                )
            elif (other := _other_file(document)) is not None:
                sources.findings.append(error("not-kong", document, f"not a configuration of Kong: {other}"))
            else:
                sources.declarative = True
                sources.findings += _version(document)
                _add(document, sources, collections, heads, singles)
    if manifests:
        translated, found = kubernetes.translate(manifests)
        sources.findings += found
        for kind, nodes in translated.items():
            collections.setdefault(kind, []).extend(nodes)
    lists = {
        kind: Node(nodes, head.file, head.line, kind)
        for kind, nodes in collections.items()
        for head in [heads.get(kind) or next(iter(nodes), sources.root)]
    }
    value = {"_format_version": sources.root.put("3.0"), **singles, **lists}
    sources.root = Node(value, sources.root.file, 1)
    return sources


def _documents(name: str, content: bytes, sources: Sources) -> Iterator[Node]:
    try:
        documents = yaml_document.parse_all(content, name)
    except ConfigurationError as refusal:
        text = str(refusal.errors["error"]).removeprefix("failed parsing declarative configuration: ")
        line = (
            int(str(refusal).removeprefix(name + ":").partition(":")[0] or 1)
            if _numbered(refusal, name)
            else 1
        )
        sources.findings.append(
            Finding(name, line, "error", "yaml", "", f"not YAML: {text}", _yaml_cure(content, line, text))
        )
        sources.declarative = True
        return
    documents = [document for document in documents if document.value is not None]
    if not documents:
        sources.findings.append(
            Finding(name, 1, "error", "empty", "", "the file is empty: Kong refuses it, or serves nothing",
                    "see kong.yml of this project for a complete one")
        )  # fmt: skip
        sources.declarative = True
    for document in documents:
        node = Node.of(document, name)
        for path in document.repeated:
            line = document.line_of(path) or 1
            sources.findings.append(
                Finding(name, line, "warning", "key-repeated", ".".join(map(str, path)),
                        f"{path[-1]} appears twice here: only the last one counts", "merge the two")
            )  # fmt: skip
        yield node


def _numbered(refusal: ConfigurationError, name: str) -> bool:
    return str(refusal).removeprefix(name + ":").partition(":")[0].isdigit()


def _yaml_cure(content: bytes, line: int, text: str) -> str:
    lines = content.decode("utf-8", "replace").splitlines()
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    near = "\n".join(lines[max(0, line - 2) : line])
    if "{{" in near or "{%" in near:
        return "this is a template: check what it renders (helm template … | yeastarctl config check -)"
    if "\t" in shown:
        return "YAML is indented with spaces, never with tabs"
    if "UTF-8" in text:
        return "save the file as UTF-8"
    if "{vault" in near:
        return "put the vault reference in quotes"
    return ""


def _version(document: Node) -> Iterator[Finding]:
    deck = any(key in document.value for key in _DECK_KEYS)
    version = document.value.get("_format_version")
    if version is None or version.value is None:
        yield error(
            "format-version",
            document,
            "_format_version is missing: Kong refuses the file",
            'write `_format_version: "3.0"` as its first line',
            Edit("", '_format_version: "3.0"'),
        )
    elif not isinstance(version.value, str):
        yield error(
            "format-version",
            version,
            f"_format_version is the number {version.value}; Kong wants a string",
            'quote it: `_format_version: "3.0"`',
            Edit(f"_format_version: {version.value}", '_format_version: "3.0"'),
        )
    elif version.value not in FORMAT_VERSIONS:
        yield error(
            "format-version",
            version,
            f"_format_version is {version.value!r}; Kong knows {', '.join(FORMAT_VERSIONS)}",
            'write `_format_version: "3.0"`',
        )
    elif version.value != "3.0":
        yield error(
            "format-version",
            version,
            f"_format_version {version.value} is the format of an older Kong, in which `~` marks no regular expression:"
            " a path that is written for 3.0 matches nothing",
            'write `_format_version: "3.0"`',
            Edit(version.value, "3.0"),
        )
    if deck:
        key = next(document.value[key] for key in _DECK_KEYS if key in document.value)
        yield hint(
            "deck-file",
            key,
            f"{key.where}: decK's format; Kong itself refuses this field (declarative_config, POST /config)",
            "load the file with `deck gateway sync`",
        )


def _add(
    document: Node,
    sources: Sources,
    collections: dict[str, list[Node]],
    heads: dict[str, Node],
    singles: dict[str, Node],
) -> None:
    for key, node in document.pairs():
        if key in _DECK_KEYS:
            sources.deck = True
        elif key == "_format_version":
            continue
        elif isinstance(node.value, list) and not str(key).startswith("_"):
            heads.setdefault(key, node)
            collections.setdefault(key, []).extend(node.value)
        elif node.value is None and not str(key).startswith("_"):
            collections.setdefault(key, [])
            sources.findings.append(
                warning("value", node, f"{key}: is empty", "remove it, or put something under it")
            )
        else:
            singles[key] = node


def _is_values(document: Node) -> bool:
    """Values of the charts `kong/kong` and `kong/ingress`."""
    keys = set(document.value)
    return not any(str(key).startswith("_format") for key in keys) and (
        len(keys & _CHART_KEYS) >= 2
        or any(isinstance(document.value[key].value, dict) for key in keys & {"gateway", "controller"})
    )


def _other_file(document: Node) -> str | None:
    keys = set(document.value)
    services = document.get("services")
    named = [member for _, member in services.pairs()] if services and "_format_version" not in keys else []
    if any(member.get("image") or member.get("build") for member in named):
        return "it looks like a file for docker compose"
    if {"flattened_errors"} & keys or {"message", "code"} <= keys:
        return "it looks like an answer of the Admin API"
    return None


def _not_kong(document: Node) -> Finding:
    kind = "a list" if isinstance(document.value, list) else "a single value"
    return error("not-kong", document, f"not a configuration of Kong: the top level is {kind}, not a mapping")


def similar(name: str, known: Sequence[str], alike: float = 0.7) -> str | None:
    """The known name that was probably meant; `alike`: from which likeness on, 1 is the same."""
    found = difflib.get_close_matches(
        name.lower().replace("_", "-"), [k.replace("_", "-") for k in known], 1, alike
    )
    if not found:
        return None
    return next(k for k in known if k.replace("_", "-") == found[0])
