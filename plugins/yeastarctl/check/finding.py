"""What `config check` found: one thing at one place of one file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .node import Node

Severity = Literal["error", "warning", "hint"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "hint")


@dataclass(frozen=True)
class Edit:
    """A mechanical correction: on the finding's line, `old` becomes `new`; `old` "" adds `new` as a line below."""

    old: str
    new: str


@dataclass(frozen=True)
class Finding:
    """`rule` is the id of one of `rules.RULES`, `where` the path of the setting, `todo` what to do about it."""

    file: str
    line: int
    severity: Severity
    rule: str
    where: str
    problem: str
    todo: str = ""
    edit: Edit | None = None

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        found["fixable"] = found.pop("edit") is not None
        return found


def error(rule: str, node: Node, problem: str, todo: str = "", edit: Edit | None = None) -> Finding:
    """What Kong refuses, what serves nobody, what is open, or what can double an order."""
    return Finding(node.file, node.line, "error", rule, node.where, problem, todo, edit)


def warning(rule: str, node: Node, problem: str, todo: str = "", edit: Edit | None = None) -> Finding:
    """Something that works and should not be left so."""
    return Finding(node.file, node.line, "warning", rule, node.where, problem, todo, edit)


def hint(rule: str, node: Node, problem: str, todo: str = "", edit: Edit | None = None) -> Finding:
    """Something to know: what was not judged, what could be better."""
    return Finding(node.file, node.line, "hint", rule, node.where, problem, todo, edit)
