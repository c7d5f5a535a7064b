"""A value of a file with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kong_declarative.configuration_error import Path
from kong_declarative.yaml_document import Document


@dataclass(frozen=True, eq=False)
class Node:
    """A value, the file and line (1-based) where it stands, and its path such as `services[0].name`.

    `value` is a scalar, a dict of nodes by key, or a list of nodes. Nodes are compared by identity.
    """

    value: Any
    file: str
    line: int
    where: str = ""

    @classmethod
    def of(cls, document: Document, file: str) -> Node:
        """The tree of a document."""

        def build(value: Any, path: Path, where: str) -> Node:
            if isinstance(value, dict):
                value = {
                    key: build(member, (*path, key), f"{where}.{key}" if where else str(key))
                    for key, member in value.items()
                }
            elif isinstance(value, list):
                value = [
                    build(member, (*path, index), f"{where}[{index}]") for index, member in enumerate(value)
                ]
            return cls(value, file, document.line_of(path) or document.first_line, where)

        return build(document.value, (), "")

    def put(self, value: Any) -> Node:
        """Another value at this place: nodes stay as they are, plain containers become nodes."""
        if isinstance(value, Node):
            return value
        if isinstance(value, Mapping):
            value = {key: self.put(member) for key, member in value.items() if member is not None}
        elif isinstance(value, Sequence) and not isinstance(value, str):
            value = [self.put(member) for member in value]
        return Node(value, self.file, self.line, self.where)

    @property
    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: member.plain for key, member in self.value.items()}
        return [member.plain for member in self.value] if isinstance(self.value, list) else self.value

    def get(self, key: str) -> Node | None:
        """The value of a mapping's key, or None; null counts as absent."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return found if found is not None and found.value is not None else None

    def at(self, *keys: str) -> Node | None:
        """`get` several times over."""
        node: Node | None = self
        for key in keys:
            node = node.get(key) if node else None
        return node

    def text(self, *keys: str) -> str | None:
        """The string at some keys, or None for anything else."""
        node = self.at(*keys)
        return node.value if node and isinstance(node.value, str) else None

    def number(self, *keys: str) -> float | None:
        """The number at some keys, or None for anything else."""
        node = self.at(*keys)
        value = node.value if node else None
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def is_false(self, key: str) -> bool:
        node = self.get(key)
        return node is not None and node.value is False

    def is_true(self, key: str) -> bool:
        node = self.get(key)
        return node is not None and node.value is True

    def entries(self) -> list[Node]:
        """The entries of a list; none for anything else."""
        return self.value if isinstance(self.value, list) else []

    def each(self, *keys: str) -> list[Node]:
        """The entries of the list at some keys."""
        node = self.at(*keys)
        return node.entries() if node else []

    def texts(self, *keys: str) -> list[str]:
        """The strings of the list at some keys."""
        return [entry.value for entry in self.each(*keys) if isinstance(entry.value, str)]

    def pairs(self) -> list[tuple[Any, Node]]:
        """Keys and values of a mapping, null ones too; none for anything else."""
        return list(self.value.items()) if isinstance(self.value, dict) else []

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """This node and all below it, each with its path from here."""
        yield path, self
        for key, child in self.pairs():
            yield from child.walk((*path, key))
        for index, child in enumerate(self.entries()):
            yield from child.walk((*path, index))

    def nearest(self, path: Path) -> tuple[Node, Path]:
        """The node at a path, or the last one on the way there, and what of the path is left."""
        node = self
        for depth, part in enumerate(path):
            value = node.value
            if isinstance(value, list):
                found = value[part] if isinstance(part, int) and part < len(value) else None
            else:
                found = value.get(part) if isinstance(value, dict) else None
            if found is None:
                return node, path[depth:]
            node = found
        return node, ()
