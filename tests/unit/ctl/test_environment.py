"""Vault references are looked up as Kong looks them up."""

from __future__ import annotations

import pytest
from yeastarctl.check.environment import Environment, read_env_file
from yeastarctl.check.node import Node

VARIABLES = {"A_KEY": "value", "JSON": '{"part": "inside", "number": 3}', "MY_KEY": "prefixed"}
PLACE = Node(None, "kong.yml", 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{vault://env/a-key}", "value"),
        ("{vault://env/A_KEY}", "value"),
        ("{vault://env/json/part}", "inside"),
        ("{vault://env/json/number}", ""),
        ("{vault://env/json/none}", ""),
        ("{vault://env/key?prefix=my-}", "prefixed"),
        ("{vault://env/none}", ""),
        ("plain text", "plain text"),
    ],
)
def test_references_resolve_as_kong_resolves_them(text: str, value: str) -> None:
    assert Environment(VARIABLES).resolve(text) == value


def test_a_vault_of_another_kind_is_unknown_here() -> None:
    assert Environment(VARIABLES).resolve("{vault://hcv/pbx/key}") is None


def test_without_an_environment_nothing_is_looked_up() -> None:
    assert Environment(None).resolve("{vault://env/a-key}") is None


def test_a_vault_entity_of_type_env_may_put_a_prefix_in_front() -> None:
    vault = PLACE.put({"name": "env", "prefix": "mine", "config": {"prefix": "my-"}})
    environment = Environment(VARIABLES, [vault])
    assert environment.resolve("{vault://mine/key}") == "prefixed"
    assert environment.variable("{vault://mine/key}") == "MY_KEY"


def test_env_files_may_have_quotes_exports_and_comments() -> None:
    text = "# secrets\nexport A='x y'\nB=z # of the account\nC=\"q\"\nnot a variable\n"
    assert read_env_file(text) == {"A": "x y", "B": "z", "C": "q"}
