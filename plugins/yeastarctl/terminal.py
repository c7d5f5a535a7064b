"""What `yeastarctl` prints: text for people, or one JSON document for programs."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "skip": ("–", "dim")}


def json_option(command: Command) -> Command:
    """The option `--json`, which every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(
        command
    )


class Terminal:
    """Standard output and error of one command.

    Colour only where a terminal reads it (rich sees to that, and to NO_COLOR). Lines are never wrapped:
    a key or a `file:line` that is broken in two cannot be copied.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
        self.err = Console(markup=False, highlight=False, emoji=False, soft_wrap=True, stderr=True)

    def say(self, text: str = "", style: str = "") -> None:
        """One line for people; nothing with `--json`."""
        if not self.as_json:
            self.out.print(Text(text, style=style))

    def mark(self, state: str, text: str, rest: str = "") -> None:
        """A line with a mark in front: `state` is one of ok, warn, fail, skip."""
        if not self.as_json:
            sign, colour = MARKS[state]
            line = Text.assemble(
                (f"{sign} ", f"bold {colour}"), (text, "bold" if state == "fail" else ""), rest
            )
            self.out.print(line)

    def note(self, text: str) -> None:
        """One line on standard error, also with `--json`."""
        self.err.print(Text(text, style="yellow"))

    def document(self, value: Any) -> None:
        """The JSON document; nothing without `--json`."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def leave(status: int) -> None:
    """End the command with one of the statuses of `exits`."""
    click.get_current_context().exit(status)
