"""The form of log lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from yeastar_adapter.observability import logs
from yeastar_adapter.observability.logs import FIELDS, LONGEST, JsonFormatter, TextFormatter, configure


def record(message: str, *arguments: Any, level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("yeastar_adapter.requests", level, "", 0, message, arguments, None)
    made.__dict__[FIELDS] = fields
    made.created = 1774434612.3456
    return made


def test_a_line_for_people_is_message_and_facts() -> None:
    line = TextFormatter().format(record("refused: %s", "no key", code="10004", status=401))
    assert line == "INFO yeastar_adapter.requests: refused: no key code=10004 status=401"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("acme-manila", "acme-manila"),
        ("…4567", "…4567"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ("", '""'),
        ('say "hi"', r'"say \"hi\""'),
        ("a\nERROR forged", r'"a\nERROR forged"'),
        (True, "True"),
    ],
)
def test_a_fact_is_one_word_that_can_be_told_from_the_next(value: Any, word: str) -> None:
    assert TextFormatter().format(record("m", consumer=value)).endswith(f" m consumer={word}")


def test_a_line_for_machines_is_one_json_object_with_its_time() -> None:
    line = JsonFormatter().format(
        record("refused: %s", "no\nkey", level=logging.WARNING, code="10004", upstream_ms=12)
    )
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-03-25T10:30:12.345Z",
        "level": "warning",
        "logger": "yeastar_adapter.requests",
        "message": "refused: no\nkey",
        "code": "10004",
        "upstream_ms": 12,
    }


def test_a_traceback_is_part_of_the_object() -> None:
    try:
        raise ValueError("odd")
    except ValueError as odd:
        made = record("m")
        made.exc_info = (ValueError, odd, odd.__traceback__)
    assert json.loads(JsonFormatter().format(made))["traceback"].endswith("ValueError: odd")


@pytest.mark.parametrize("filler", ["x", "\n", "…", "\U0001f600"])
def test_a_line_is_no_longer_than_nginx_takes_and_keeps_its_ends(filler: str) -> None:
    text = "access handler failed\n" + filler * 5000 + "\nValueError: odd"
    line = JsonFormatter().format(record(text, consumer="acme-manila"))
    assert len(line.encode()) <= LONGEST
    shortened = json.loads(line)
    assert shortened["message"].startswith("access handler failed")
    assert shortened["message"].endswith("ValueError: odd")
    assert shortened["consumer"] == "acme-manila"


def test_several_long_facts_are_all_shortened() -> None:
    line = JsonFormatter().format(record("m" * 3000, consumer="c" * 3000, reason="r" * 3000))
    assert len(line) <= LONGEST
    assert json.loads(line)["time"]


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger as a process has it at its start; as it was, afterwards."""
    root = logging.getLogger()
    level, formatters = root.level, [handler.formatter for handler in root.handlers]
    monkeypatch.setattr(logs, "_started_at", None)
    root.setLevel(logging.INFO)
    yield root
    root.setLevel(level)
    for handler, formatter in zip(root.handlers, formatters, strict=True):
        handler.setFormatter(formatter)


def test_the_configuration_that_is_loaded_last_says_how_much_is_logged(root: logging.Logger) -> None:
    for level in ("debug", "warning", "info"):
        configure(level, "text")
        assert logging.getLevelName(root.level) == level.upper()


def test_a_process_that_was_started_verbose_stays_so(root: logging.Logger) -> None:
    root.setLevel(logging.DEBUG)
    for level in ("info", "error"):
        configure(level, "text")
        assert root.level == logging.DEBUG


@pytest.mark.parametrize(("style", "kind"), [("json", JsonFormatter), ("text", TextFormatter)])
def test_the_configuration_says_in_which_form(root: logging.Logger, style: str, kind: type) -> None:
    configure("info", style)
    assert root.handlers
    assert all(isinstance(handler.formatter, kind) for handler in root.handlers)
