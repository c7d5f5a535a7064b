"""The messages between Lua and Python, as the manual describes them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LUA = (ROOT / "kong/plugins/yeastar-reader/handler.lua").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def _table(title: str) -> set[str]:
    """The names in the first column of the table below a title."""
    rows = re.search(rf"^`{re.escape(title)}`.*?\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert rows, title
    return {name for row in rows[1].splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def _block(start: str, end: str) -> str:
    return LUA.partition(start)[2].partition(end)[0]


def test_the_manual_has_the_fields_of_a_request() -> None:
    block = _block("kong.ctx.shared.yeastar_request = {", "\n  }")
    assert _table("kong.ctx.shared.yeastar_request") == set(re.findall(r"^    (\w+) =", block, re.MULTILINE))


def test_the_manual_has_the_arguments_of_a_decision() -> None:
    arguments = _block("local function forward(", ")")
    assert _table("kong.yeastar.forward") == set(re.findall(r"\w+", arguments))


def test_the_manual_has_the_fields_of_a_look_up() -> None:
    block = _block("local function load_consumer(username)", "\nend")
    assert _table("kong.yeastar.load_consumer") == set(re.findall(r"\b(error|consumer) = ", block))


def test_the_manual_has_the_fields_of_an_answer() -> None:
    block = _block("local function upstream_answer()", "return left")
    fields = re.findall(r"^    (\w+) =", block.partition("\n  }")[0], re.MULTILINE) + re.findall(
        r"left\.(\w+)", block
    )
    assert _table("kong.yeastar.upstream_answer") == set(fields)
