"""Texts as values: YAML as Kong reads it, and where a text breaks off."""

from __future__ import annotations

from typing import Any

import pytest
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.yaml_document import parse


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("'yes'", "yes"),
        ("!!str 5", "5"),
        ("0755", 0o755),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("-5", -5),
        ("1.5e3", 1500.0),
        ("1:30", 90),
        ("2024-01-31", "2024-01-31"),
        ("3.0.1", "3.0.1"),
        ("+639171234567", 639171234567),
        ("08", 8),
        ("y", "y"),
        (".inf", float("inf")),
    ],
)
def test_unquoted_scalars_mean_what_they_mean_to_kong(scalar: str, value: Any) -> None:
    assert parse(f"a: {scalar}\n").value == {"a": value}


def test_anchors_merges_and_repeated_keys() -> None:
    document = parse("a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, l: 3}\nd: 1\nd: 2\n")

    assert document.value == {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 1, "l": 3}, "d": 2}


def test_the_line_of_a_path_is_that_of_its_key_or_of_what_is_around_it() -> None:
    document = parse("services:\n- name: s\n  routes:\n  - name: r\n    paths: [/]\n")

    assert document.line_of(("services", 0, "routes", 0, "paths", 0)) == 5
    assert document.line_of(("services", 0, "routes", 0, "methods")) == 4
    assert document.name_of(("services", 0, "routes", 0)) == "r"


def test_json_is_read_whatever_the_file_is_called() -> None:
    assert parse('{"a": [1, null]}').value == {"a": [1, None]}
    assert parse('{"a": 1}', "kong.json").value == {"a": 1}
    assert parse('{"a": 1}', "kong.yml").value == {"a": 1}


@pytest.mark.parametrize(
    ("text", "source", "line"),
    [
        ("a: [1, 2\nb: 3\n", "kong.yml", "kong.yml:2: failed parsing declarative configuration: 2:2: "),
        ("a: 1\n\tb: 2\n", "kong.yml", "kong.yml:2: "),
        (
            "a: 1\nb: *nowhere\n",
            "kong.yml",
            "kong.yml:2: failed parsing declarative configuration: 2:4: invalid reference",
        ),
        ('{"a": 1,\n"b"}', "kong.json", "kong.json:2: failed parsing declarative configuration: 2:4: "),
        ("", "kong.yml", "kong.yml: failed parsing declarative configuration: expected an object"),
        ("text", None, "failed parsing declarative configuration: expected an object"),
        ("a: 1\nb: \x00", "kong.yml", "kong.yml:2: "),
        (
            b"a: 1\nb: \xff\n",
            "kong.yml",
            "kong.yml:2: failed parsing declarative configuration: 2: not UTF-8",
        ),
        ("a: &a [*a]\n", "kong.yml", "kong.yml:1: "),
        ("[" * 100_000, None, "failed parsing declarative configuration: too deep"),
        ("- " * 500, "kong.yml", "kong.yml:1: failed parsing declarative configuration: 1:"),
    ],
    ids=[
        "flow",
        "tab",
        "alias",
        "json",
        "empty",
        "scalar",
        "nul",
        "utf-8",
        "cycle",
        "deep-json",
        "deep-yaml",
    ],
)
def test_a_broken_text_is_one_line_with_file_and_line(
    text: str | bytes, source: str | None, line: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse(text, source)

    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)


def test_a_key_that_overrides_a_merged_one_is_not_repeated() -> None:
    document = parse("base: &base {a: 1}\nmerged: {<<: *base, a: 2}\ntwice: {a: 1, a: 2}\n")
    assert document.value["merged"] == {"a": 2}
    assert document.repeated == (("twice", "a"),)
