"""YAML files with the line of every value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean


class Unreadable(Exception):
    """A file that is no YAML; `line` says where reading ended (1-based)."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True)
class Node:
    """A value, the file and line (1-based) where it stands, and its path such as `services[0].name`."""

    value: Any
    file: str
    line: int
    where: str = ""

    def get(self, key: str) -> Node | None:
        """The value of a mapping's key, or None; YAML's null counts as absent."""
        if not isinstance(self.value, dict) or self.value.get(key) is None:
            return None
        return self._child(key)

    def at(self, *keys: str) -> Node | None:
        """`get` several times over."""
        node: Node | None = self
        for key in keys:
            node = node.get(key) if node else None
        return node

    def text(self, key: str) -> str | None:
        """The string of a mapping's key, or None for anything else."""
        node = self.get(key)
        return node.value if node and isinstance(node.value, str) else None

    def entries(self) -> list[Node]:
        """The entries of a list; none for anything else."""
        if not isinstance(self.value, list):
            return []
        return [
            Node(plain(value), self.file, self._item_line(index), f"{self.where}[{index}]")
            for index, value in enumerate(self.value)
        ]

    def each(self, key: str) -> list[Node]:
        """The entries of the list at a mapping's key."""
        node = self.get(key)
        return node.entries() if node else []

    def pairs(self) -> list[tuple[Any, Node]]:
        """Keys and values of a mapping, null ones too; none for anything else."""
        if not isinstance(self.value, dict):
            return []
        return [(key, self._child(key)) for key in self.value]

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for _, child in self.pairs():
            yield from child.walk()
        for child in self.entries():
            yield from child.walk()

    def _child(self, key: Any) -> Node:
        where = f"{self.where}.{key}" if self.where else str(key)
        return Node(plain(self.value[key]), self.file, self._key_line(key), where)

    def _key_line(self, key: Any) -> int:
        # A key that a merge (`<<: *anchor`) brought in has no place of its own.
        position = self.value.lc.data.get(key) if isinstance(self.value, CommentedBase) else None
        return position[0] + 1 if position else self.line

    def _item_line(self, index: int) -> int:
        position = self.value.lc.data.get(index) if isinstance(self.value, CommentedBase) else None
        return position[0] + 1 if position else self.line


def plain(value: Any) -> Any:
    """A value without ruamel's wrapping of anchored booleans."""
    return bool(value) if isinstance(value, ScalarBoolean) else value


def read(path: Path) -> tuple[list[Node], list[Node]]:
    """The YAML documents of a file, and the keys that occur twice in one mapping, of which YAML keeps the last.

    Raises Unreadable, and OSError.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    repeated: list[Node] = []
    try:
        documents = list(_yaml(allow_duplicates=False).load_all(text))
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        repeated.append(Node(None, str(path), line, _first_line(error.problem)))
        documents = _lenient(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 1, _first_line(error.problem)) from error
    except (YAMLError, ValueError) as error:
        raise Unreadable(1, _first_line(str(error))) from error
    return [
        Node(document, str(path), _first(document)) for document in documents if document is not None
    ], repeated


def _first(document: Any) -> int:
    """The line on which a document of a file begins."""
    return document.lc.line + 1 if isinstance(document, CommentedBase) else 1


def _lenient(text: str) -> list[Any]:
    try:
        return list(_yaml(allow_duplicates=True).load_all(text))
    except (YAMLError, ValueError) as error:
        raise Unreadable(1, _first_line(str(error))) from error


def _yaml(allow_duplicates: bool) -> YAML:
    yaml = YAML(typ="rt")
    # Kong reads YAML 1.1: there `yes` is a boolean and +632 a number.
    yaml.version = (1, 1)
    yaml.allow_duplicate_keys = allow_duplicates
    return yaml


def _first_line(text: str | None) -> str:
    return (text or "not YAML").strip().split("\n")[0]
