"""What Kong 3.9.1 answered to good and bad configuration of a plugin, and what the plugin then received."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kong_declarative import declarative
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.plugin_catalogue import PluginCatalogue, PluginDefinition

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "config-validation.jsonl").read_text().splitlines()
]

# The recorder's plugin, as its `-dump` printed it.
CONFIG = [
    {"url": {"type": "string", "required": True, "starts_with": "http"}},
    {"secret": {"type": "string", "referenceable": True, "encrypted": True}},
    {"timeout_ms": {"type": "integer", "default": 2000, "between": [1, 60000]}},
    {"policy": {"type": "string", "default": "local", "one_of": ["local", "redis"]}},
    {"e164": {"type": "string", "match": "^%+[1-9]%d+$"}},
    {"enabled": {"type": "boolean", "default": True, "required": True}},
    {
        "limits": {
            "type": "record",
            "fields": [{"second": {"type": "number", "gt": 0}}, {"minute": {"type": "number", "gt": 0}}],
        }
    },
    {
        "consumers": {
            "type": "array",
            "default": [],
            "elements": {
                "type": "record",
                "fields": [
                    {"username": {"type": "string", "required": True, "len_min": 1}},
                    {
                        "api_keys": {
                            "type": "array",
                            "required": True,
                            "len_min": 1,
                            "elements": {"type": "string", "referenceable": True},
                        }
                    },
                    {"enabled": {"type": "boolean", "default": True}},
                    {"senders": {"type": "map", "keys": {"type": "string"}, "values": {"type": "string"}}},
                ],
            },
        }
    },
    {"tags": {"type": "set", "elements": {"type": "string"}}},
]

DUMP = {
    "Protocol": "MsgPack:1",
    "Plugins": [
        {
            "Name": "yeastar-adapter",
            "Phases": ["access"],
            "Priority": 1000,
            "Version": "0.1.0",
            "Schema": {
                "name": "yeastar-adapter",
                "fields": [{"config": {"type": "record", "fields": CONFIG}}],
            },
        }
    ],
}


@pytest.fixture(scope="module")
def catalogue() -> PluginCatalogue:
    definition = PluginDefinition.from_dump(json.dumps(DUMP))
    return PluginCatalogue.of(["bundled", "yeastar-adapter"], [definition])


def declared(config: dict[str, Any]) -> str:
    plugin = {"name": "yeastar-adapter", "config": config}
    route = {"name": "r", "paths": ["/"], "plugins": [plugin]}
    service = {"name": "s", "url": "http://127.0.0.1:1", "routes": [route]}
    return json.dumps({"_format_version": "3.0", "services": [service]})


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["case"])
def test_a_configuration_is_taken_or_refused_as_by_kong(
    recorded: dict[str, Any], catalogue: PluginCatalogue
) -> None:
    errors, given = None, None
    try:
        configuration = declarative.load(
            declared(recorded["config"]), catalogue, environ={"ENVSECRET": "from-env"}
        )
    except ConfigurationError as refusal:
        errors = refusal.errors
    else:
        given = configuration.plugins[0].config

    assert errors == recorded["errors"]
    assert given == recorded["config_given_to_the_plugin"]
