"""A refused configuration: Kong's tree of errors, and the two ways it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Where an error is: field names, and numbers (from 0) for the entries of a list.
Path = tuple[str | int, ...]

# How many errors the line for the command line spells out.
SHOWN = 5

_LUA_KEYWORDS = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "goto",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)


class ConfigurationError(Exception):
    """A configuration that is refused.

    `errors` is Kong's tree: nested objects, and lists for the entries of a collection (null for an entry without an
    error), with a text at every leaf. `str()` is one line for the command line; `source` is the file's name, and
    `line_of` tells on which line (from 1) of it a path stands.
    """

    def __init__(
        self,
        errors: dict[str, Any],
        source: str | None = None,
        *,
        line_of: Callable[[Path], int | None] | None = None,
        name_of: Callable[[Path], str | None] | None = None,
    ) -> None:
        self.errors = errors
        self.source = source
        self._line_of = line_of
        self._name_of = name_of
        super().__init__(errors, source)

    def __str__(self) -> str:
        found = list(leaves(self.errors))
        shown = "; ".join(self._describe(path, text) for path, text in found[:SHOWN])
        return shown if len(found) <= SHOWN else f"{shown}; and {len(found) - SHOWN} more"

    def _describe(self, path: Path, text: str) -> str:
        line = self._line_of(path) if self._line_of else None
        where = ":".join(part for part in (self.source, str(line) if line else None) if part)
        label = self._label(path)
        described = ": ".join(part for part in (where, label, text) if part)
        printable = "".join(character if character.isprintable() else " " for character in described)
        return " ".join(printable.split())

    def _label(self, path: Path) -> str:
        label = ""
        for depth, part in enumerate(path, start=1):
            if part in ("@entity", "error") and depth >= len(path) - 1:
                break
            if isinstance(part, int):
                name = self._name_of(path[:depth]) if self._name_of else None
                label += f"[{name or part + 1}]"
            else:
                label += f".{part}" if label else part
        return label


def leaves(tree: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text of an error tree with the path to it."""
    if isinstance(tree, dict):
        for key, subtree in tree.items():
            yield from leaves(subtree, (*path, key))
    elif isinstance(tree, list):
        for index, subtree in enumerate(tree):
            yield from leaves(subtree, (*path, index))
    elif tree is not None:
        yield path, str(tree)


def lua_literal(value: Any, step: str = "") -> str:
    """A value as Kong prints it inside a message: a Lua table with its keys in order.

    On one line without spaces, or, with a `step` to indent by, one member a line.
    """
    return _literal(value, step, "")


def _literal(value: Any, step: str, margin: str) -> str:
    if isinstance(value, (dict, list, tuple)):
        equals, end = (" = ", "\n") if step else ("=", "")
        inner = margin + step
        members = [
            inner + (key + equals if key else "") + _literal(member, step, inner)
            for key, member in _members(value)
        ]
        return "{" + end + ("," + end).join(members) + (end if members else "") + margin + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:.14g}"
    return "nil" if value is None else _lua_string(str(value))


def _members(table: dict[str, Any] | Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Keys, empty where a place in the list says enough, and values."""
    if isinstance(table, dict):
        for key in sorted(table):
            yield _lua_key(key), table[key]
        return
    in_sequence = True
    for position, value in enumerate(table, start=1):
        in_sequence = in_sequence and value is not None
        if value is not None:
            yield "" if in_sequence else f"[{position}]", value


def _lua_key(key: str) -> str:
    if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) and key not in _LUA_KEYWORDS:
        return key
    return f"[{_lua_string(key)}]"


def _lua_string(text: str) -> str:
    if "\n" in text and "\r" not in text:
        return f"[[{text}]]"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\\n").replace("\r", "\\r")
    return f'"{escaped}"'
