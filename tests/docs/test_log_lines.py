"""Every line that the adapter can log stands in docs/operations.md, where an operator looks for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
SERVED = ("yeastar_adapter", "kong_plugin_server")
"""The packages whose lines are in Kong's log."""
MANUAL = " ".join((ROOT / "docs/operations.md").read_text().split())
LEVELS = {"info", "warning", "error", "exception", "critical"}

# Said by a caller, who is in the manual with what he says.
ONLY_PLACEHOLDERS = re.compile(r"[\s%(){}:.sdg]*")


def literals(node: ast.expr) -> str:
    """The text of a literal, an f-string or a conditional of both, with `…` for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%[-.\d]*[sdgrf]", "…", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(literals(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return "…"


def said() -> Iterator[tuple[str, str]]:
    """(file and line, text) of every log call at `info` or above, and of every reason of a refusal."""
    for path in sorted(path for package in SERVED for path in (PLUGINS / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            where = f"{path.relative_to(PLUGINS)}:{node.lineno}"
            function = node.func
            if isinstance(function, ast.Attribute) and function.attr in LEVELS:
                if isinstance(function.value, ast.Name) and function.value.id == "log":
                    yield where, literals(node.args[0])
            elif isinstance(function, ast.Attribute) and function.attr == "_warn":
                yield where, literals(node.args[-1])
            yield from ((where, literals(word.value)) for word in node.keywords if word.arg == "reason")


LINES = [(where, text) for where, text in said() if max(map(len, text.split("…"))) > 6]


def test_there_are_lines_to_look_for() -> None:
    assert len(LINES) > 25


@pytest.mark.parametrize(("where", "text"), LINES, ids=[where for where, _ in LINES])
def test_a_line_stands_in_the_manual(where: str, text: str) -> None:
    pieces = [piece.strip(" :;,.\n'") for piece in text.split("\n")[0].split("…")]
    longest = max(pieces, key=len)
    assert longest in MANUAL, f"{where} logs “{text}”"
