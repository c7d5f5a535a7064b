"""Which plugins there are, and which schemas of plugins Kong would refuse at start."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.plugin_catalogue import PluginCatalogue, PluginDefinition


def dump(fields: list[Any], **more: Any) -> str:
    schema = {"name": "pbx", "fields": [{"config": {"type": "record", "fields": fields}}]}
    plugin = {
        "Name": "pbx",
        "Priority": 1000,
        "Version": "1.0.0",
        "Phases": ["access"],
        "Schema": schema,
        **more,
    }
    return json.dumps({"Protocol": "MsgPack:1", "Plugins": [plugin, {"Name": "another"}]})


class TestDump:
    def test_the_first_plugin_is_the_one(self) -> None:
        definition = PluginDefinition.from_dump(dump([{"a": {"type": "string"}}]))

        assert (definition.name, definition.priority, definition.phases) == ("pbx", 1000, ("access",))
        assert definition.config_fields == [{"a": {"type": "string"}}]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("Traceback (most recent call last):", "failed decoding plugin info"),
            ("{}", "not a plugin info table"),
            ('{"Plugins": []}', "not a plugin info table"),
            ("5", "not a plugin info table"),
            (dump([], Version=None), "plugin info without a valid Version"),
            (dump([], Schema={"name": "pbx", "fields": []}), "it has no field 'config'"),
        ],
    )
    def test_what_is_no_dump_is_refused(self, text: str, reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            PluginDefinition.from_dump(text)

    @pytest.mark.parametrize(
        ("field", "reason"),
        [
            ({}, "config.f: missing type declaration"),
            ({"type": "text"}, "config.f: invalid type: text"),
            ({"type": "array"}, "config.f: field of type 'array' must declare 'elements'"),
            ({"type": "map", "keys": {"type": "string"}}, "must declare 'values'"),
            ({"type": "record"}, "must declare 'fields'"),
            ({"type": "string", "requierd": True}, "config.f.requierd: unknown field"),
            ({"type": "string", "required": "yes"}, "config.f.required: not a valid value"),
            ({"type": "string", "between": [1, 2]}, "field of type 'string' cannot have attribute 'between'"),
            ({"type": "integer", "between": [1, 2, 3]}, "config.f.between: not a valid value"),
            ({"type": "integer", "default": "5"}, "config.f.default: expected an integer"),
            ({"type": "string", "description": "short"}, "config.f.description: not a valid value"),
            ({"type": "array", "elements": {"type": "strng"}}, "config.f.elements: invalid type: strng"),
            (
                {"type": "record", "fields": [{"a": {"type": "string"}, "b": {"type": "string"}}]},
                "each entry in fields must be a table with one key",
            ),
        ],
    )
    def test_a_schema_that_kong_would_refuse_is_refused(self, field: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match="the schema of plugin 'pbx' is not one of Kong's") as refusal:
            PluginDefinition.from_dump(dump([{"f": field}]))

        assert reason in str(refusal.value)

    def test_the_bundled_schemas_are_all_good(self, catalogue: PluginCatalogue) -> None:
        for definition in catalogue.values():
            assert definition.config_fields
            assert definition.config_schema.fields


class TestEnabled:
    def test_bundled_stands_for_all_that_run_here(self) -> None:
        assert set(PluginCatalogue.of(["bundled"], [])) == {
            "acl",
            "correlation-id",
            "file-log",
            "ip-restriction",
            "key-auth",
            "post-function",
            "pre-function",
            "prometheus",
            "rate-limiting",
            "request-size-limiting",
            "request-termination",
        }

    def test_a_plugin_has_to_be_listed(self, catalogue: PluginCatalogue) -> None:
        pbx = catalogue["pbx"]

        assert set(PluginCatalogue.of(["pbx", "acl"], [pbx])) == {"pbx", "acl"}
        assert "pbx" not in PluginCatalogue.of(["bundled"], [pbx])

    def test_one_that_is_not_there_is_refused_by_name(self) -> None:
        with pytest.raises(ConfigurationError) as refusal:
            PluginCatalogue.of(["bundled", "pbx", "jwt"], [])

        assert refusal.value.errors == {
            "plugins": [
                "pbx plugin is enabled but not installed",
                "plugin 'jwt' is not supported by the embedded gateway",
            ]
        }
