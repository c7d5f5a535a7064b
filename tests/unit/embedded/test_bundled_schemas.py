"""Configuration of Kong's bundled plugins: what they get, and what Kong refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kong_declarative import declarative
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.plugin_catalogue import PluginCatalogue


def load(catalogue: PluginCatalogue, name: str, config: dict[str, Any]) -> dict[str, Any]:
    declared = {"_format_version": "3.0", "plugins": [{"name": name, "config": config}]}
    [plugin] = declarative.load(json.dumps(declared), catalogue, environ={}).plugins
    return dict(plugin.config)


def refused(catalogue: PluginCatalogue, name: str, config: dict[str, Any]) -> Any:
    with pytest.raises(ConfigurationError) as refusal:
        load(catalogue, name, config)
    return refusal.value.errors["plugins"][0]


def test_defaults_are_kongs(catalogue: PluginCatalogue) -> None:
    assert load(catalogue, "key-auth", {}) == {
        "key_names": ["apikey"],
        "hide_credentials": False,
        "key_in_header": True,
        "key_in_query": True,
        "key_in_body": False,
        "run_on_preflight": True,
    }
    assert load(catalogue, "request-size-limiting", {}) == {
        "allowed_payload_size": 128,
        "size_unit": "megabytes",
        "require_content_length": False,
    }
    assert load(catalogue, "post-function", {"access": ["return"]}) == {
        "certificate": [],
        "rewrite": [],
        "access": ["return"],
        "header_filter": [],
        "body_filter": [],
        "log": [],
    }


def test_the_old_spelling_of_redis_settings_still_works(catalogue: PluginCatalogue) -> None:
    config = load(
        catalogue, "rate-limiting", {"minute": 1, "policy": "redis", "redis_host": "r", "redis_port": 1}
    )

    assert config["redis"]["host"] == "r"
    assert config["redis"]["port"] == config["redis_port"] == 1


def test_one_spelling_must_not_contradict_the_other(catalogue: PluginCatalogue) -> None:
    config = {"minute": 1, "redis_port": 1, "redis": {"port": 2}}

    assert refused(catalogue, "rate-limiting", config) == {
        "config": {
            "redis_port": "both deprecated and new field are used but their values mismatch: "
            "redis_port = 1 vs redis.port = 2"
        }
    }


@pytest.mark.parametrize(
    ("name", "config", "error"),
    [
        ("rate-limiting", {"minute": 0}, {"config": {"minute": "value must be greater than 0"}}),
        (
            "rate-limiting",
            {"minute": 10, "hour": 5},
            {"config": "The limit for hour(5.0) cannot be lower than the limit for minute(10.0)"},
        ),
        (
            "rate-limiting",
            {"minute": 1, "sync_rate": 1},
            {"config": "sync_rate can only be used with the redis policy"},
        ),
        (
            "rate-limiting",
            {"minute": 1, "policy": "cluster"},
            {"config": {"policy": "expected one of: local, redis"}},
        ),
        (
            "acl",
            {"allow": ["a"], "deny": ["b"]},
            {"@entity": ["exactly one of these fields must be non-empty: 'config.allow', 'config.deny'"]},
        ),
        (
            "ip-restriction",
            {"deny": ["127.0.0.1", "10.0.0.0/33"]},
            {"config": {"deny": [None, "invalid ip or cidr range: '10.0.0.0/33'"]}},
        ),
        ("file-log", {"path": "a*b"}, {"config": {"path": "not a valid filename"}}),
        (
            "request-termination",
            {"message": "a", "body": "b"},
            {"config": "message cannot be used with content_type or body"},
        ),
        (
            "correlation-id",
            {"generator": "x"},
            {"config": {"generator": "expected one of: uuid, uuid#counter, tracker"}},
        ),
        ("key-auth", {"key_names": ["a b"]}, None),
        ("prometheus", {"per_consumer": "yes"}, {"config": {"per_consumer": "expected a boolean"}}),
    ],
)
def test_bad_configuration_is_refused_in_kongs_words(
    catalogue: PluginCatalogue, name: str, config: dict[str, Any], error: Any
) -> None:
    expected = error or {
        "config": {"key_names": ["bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"]}
    }

    assert refused(catalogue, name, config) == expected


def test_lua_that_does_not_parse_is_refused(catalogue: PluginCatalogue) -> None:
    errors = refused(catalogue, "post-function", {"access": ["return 1", "if then"]})

    assert errors["config"]["access"][0] is None
    assert errors["config"]["access"][1].startswith('error parsing post-function: [string "if then"]:1: ')


def test_a_guard_without_any_code_is_refused(catalogue: PluginCatalogue) -> None:
    assert (
        "at least one of these fields must be non-empty"
        in refused(catalogue, "post-function", {})["@entity"][0]
    )
