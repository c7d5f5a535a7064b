"""The check against the plugin's schema says what the embedded gateway says, which is what Kong says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from kong_declarative.schema import Schema
from yeastar_adapter.schema import SCHEMA
from yeastarctl.check.document import Node
from yeastarctl.check.schema import faults, field_at
from yeastarctl.check.vault import Environment, Reference

KONG = Schema(
    {"fields": [{"config": {"type": "record", "required": True, "fields": SCHEMA}}]}, records_required=True
)
VARIABLES = {"A_KEY": "value", "JSON": '{"part": "inside", "number": 3}', "MY_KEY": "prefixed"}


def by_kong(config: Any) -> dict[str, str]:
    """Path → text of what the embedded gateway refuses."""
    return dict(_leaves(KONG.validate(KONG.complete({"config": config})), ""))


def by_check(config: Any) -> dict[str, str]:
    found = faults(SCHEMA, Node(config, "kong.yml", 1, "config"))
    # Kong names the map, the check the key in it.
    return {re.sub(r"(senders)\..*", r"\1", node.where): text for node, text in found}


def _leaves(errors: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(errors, dict):
        for key, value in errors.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(errors, list):
        for index, value in enumerate(errors):
            yield from _leaves(value, f"{path}[{index}]")
    elif errors is not None:
        yield path, errors


CASES: list[Any] = [
    {},
    {"nope": 1},
    {"authentication": "basic"},
    {"authentication": 3},
    {"consumers": {}},
    {"consumers": "acme"},
    {"consumers": [{}]},
    {"consumers": [{"username": ""}]},
    {"consumers": [{"username": None}]},
    {"consumers": [{"username": "a", "api_keys": [""]}]},
    {"consumers": [{"username": "a", "api_keys": ["k", 7]}]},
    {"consumers": [{"username": "a", "api_keys": "k"}]},
    {"consumers": [{"username": "a", "api_keys": ["{vault://env/a-key}"]}]},
    {"consumers": [{"username": "a", "enabled": "yes"}]},
    {"consumers": [{"username": "a", "senders": {"+63": 1}}]},
    {"consumers": [{"username": "a", "senders": {"+63": ""}}]},
    {"consumers": [{"username": "a", "rate_limit": {"second": 1, "minutes": 2}}]},
    {"consumers": [{"username": "a"}, {"username": "b", "merchant": {"timeout_ms": 0}}]},
    {"order": "x"},
    {"order": {"path": "api"}},
    {"order": {"path": ""}},
    {"order": {"text_field": ""}},
    {"order": {"dlr_address": "https://" + "x" * 255}},
    {"order": {"dlr_address": "é" * 128}},
    {"merchant": {"base_url": "ftp://x"}},
    {"merchant": {"timeout_ms": 60001}},
    {"merchant": {"timeout_ms": 1.5}},
    {"merchant": {"timeout_ms": True}},
    {"merchant": {"timeout_ms": "3"}},
    {"rate_limit": {"second": 0}},
    {"rate_limit": {"second": -1, "day": 2.5}},
    {"rate_limit": {"policy": "cluster"}},
    {"rate_limit": {"redis": {"port": 65536, "database": -1, "ssl": 1}}},
    {"rate_limit": {"redis": []}},
    {"recipient_check": None},
    {"consumer_cache_seconds": 86401},
    {"consumer_cache_seconds": 0.5},
    {"consumer_cache_seconds": "60"},
    {"log": {"level": "loud"}},
    {"metrics": {"listen": 9542}},
]


@pytest.mark.parametrize("config", CASES, ids=repr)
def test_faults_and_their_texts_are_kong_s(config: Any) -> None:
    assert by_check(config) == by_kong(config)


def test_every_constraint_of_the_schema_is_known() -> None:
    known = {"type", "required", "default", "referenceable", "encrypted", "description"}
    known |= {
        "fields",
        "elements",
        "keys",
        "values",
        "one_of",
        "between",
        "gt",
        "len_min",
        "len_max",
        "starts_with",
    }

    def attributes(definition: dict[str, Any]) -> Iterator[str]:
        yield from definition
        for nested in ("elements", "keys", "values"):
            if nested in definition:
                yield from attributes(definition[nested])
        for field in definition.get("fields", ()):
            for inner in field.values():
                yield from attributes(inner)

    assert set(attributes({"fields": SCHEMA})) <= known


def test_fields_are_found_by_their_path() -> None:
    assert (field_at(SCHEMA, "merchant", "password") or {})["encrypted"]
    assert (field_at(SCHEMA, "consumers", "*", "api_keys", "*") or {})["referenceable"]
    assert (field_at(SCHEMA, "consumers", "*", "senders", "*") or {})["type"] == "string"
    assert field_at(SCHEMA, "order", "nothing", "below") is None


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
    from kong_declarative.vault import EnvironmentVault

    assert Environment(VARIABLES, {}).resolve(text) == value
    if Reference.parse(text):
        assert EnvironmentVault(VARIABLES)(text) == value


def test_a_vault_of_another_kind_is_unknown_here() -> None:
    assert Environment(VARIABLES, {}).resolve("{vault://hcv/pbx/key}") is None


def test_a_vault_entity_of_type_env_may_put_a_prefix_in_front() -> None:
    vault = Node({"name": "env", "prefix": "mine", "config": {"prefix": "my-"}}, "kong.yml", 1)
    assert Environment(VARIABLES, {"mine": vault}).resolve("{vault://mine/key}") == "prefixed"
