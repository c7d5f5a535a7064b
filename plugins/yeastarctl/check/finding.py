"""What `config check` found: one thing at one place of one file."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .document import Node

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """`rule` is a short stable name, `where` the path of the setting, `todo` what to do about it."""

    file: str
    line: int
    severity: Severity
    rule: str
    where: str
    problem: str
    todo: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def error(rule: str, node: Node, problem: str, todo: str = "") -> Finding:
    """Something that Kong refuses, or that refuses messages."""
    return Finding(node.file, node.line, "error", rule, node.where, problem, todo)


def warning(rule: str, node: Node, problem: str, todo: str = "") -> Finding:
    """Something that works and should not be left so."""
    return Finding(node.file, node.line, "warning", rule, node.where, problem, todo)
