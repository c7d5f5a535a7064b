"""A Dockerfile as data: stages of instructions, as far as the project's own files need it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Instruction:
    """`RUN apt-get update`: name `RUN`, text `apt-get update`, with continuation lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments: of the JSON form, or split as a shell does."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)


@dataclass
class Stage:
    """What lies between one FROM and the next."""

    base: str
    name: str | None
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]

    def last(self, name: str) -> Instruction:
        return self.all(name)[-1]

    def copies(self) -> list[tuple[str | None, list[str], str]]:
        """COPY as (stage, sources, destination); stage None: from the build's context."""
        found = []
        for instruction in self.all("COPY"):
            stage = None
            words = instruction.words
            if words[0].startswith("--from="):
                stage = words.pop(0).partition("=")[2]
            found.append((stage, words[:-1], words[-1]))
        return found


def read(path: Path) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if not re.match(r"\s*(#|$)", line)]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "ARG" and not stages:
            argument, _, value = rest.partition("=")
            arguments[argument] = _expand(value, arguments)
        elif name == "FROM":
            base, _, alias = rest.partition(" AS ")
            stages.append(Stage(_expand(base, arguments), alias or None))
        else:
            stages[-1].instructions.append(Instruction(name, rest.strip()))
    return stages


def _expand(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], text)
