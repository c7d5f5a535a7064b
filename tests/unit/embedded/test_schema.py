"""Values against schemas: completed, checked, and as a plugin gets them."""

from __future__ import annotations

from typing import Any

import pytest
from kong_declarative.schema import Schema


def errors(fields: list[dict[str, Any]], value: dict[str, Any], **more: Any) -> dict[str, Any]:
    schema = Schema({"fields": fields, **more}, records_required=True)
    return schema.validate(schema.complete(value))


def given(fields: list[dict[str, Any]], value: dict[str, Any], **secrets: str) -> dict[str, Any]:
    """The configuration that a plugin receives."""
    schema = Schema({"fields": fields}, records_required=True)
    return schema.resolve(
        schema.complete(value),
        lambda reference: secrets.get(reference.removeprefix("{vault://env/").removesuffix("}"), ""),
    )


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ({"type": "array", "elements": {"type": "string"}}, {"a": 1}, "expected an array"),
        ({"type": "set", "elements": {"type": "string"}}, "a", "expected a set"),
        ({"type": "map", "keys": {"type": "string"}, "values": {"type": "string"}}, "a", "expected a map"),
        ({"type": "number"}, True, "expected a number"),
        ({"type": "number"}, "1", "expected a number"),
        ({"type": "integer"}, float("inf"), "expected an integer"),
        ({"type": "boolean"}, 1, "expected a boolean"),
        ({"type": "string"}, "", "length must be at least 1"),
        ({"type": "string", "len_max": 3}, "ééx", "length must be at most 3"),
        ({"type": "string", "len_eq": 3}, "abcd", "length must be 3"),
        ({"type": "number", "gt": 0.5}, 0.5, "value must be greater than 0.5"),
        ({"type": "integer", "between": [1, 9]}, 10, "value should be between 1 and 9"),
        ({"type": "string", "eq": "a"}, "b", "value must be a"),
        ({"type": "string", "ne": "b"}, "b", "value must not be b"),
        ({"type": "string", "not_one_of": ["a", "b"]}, "b", "must not be one of: a, b"),
        ({"type": "integer", "one_of": [1, 2]}, 3, "expected one of: 1, 2"),
        ({"type": "string", "not_match": "%s"}, "a b", "invalid value: a b"),
        ({"type": "string", "match_none": [{"pattern": "//", "err": "no //"}]}, "a//b", "no //"),
        ({"type": "string", "match_all": [{"pattern": "^a", "err": "starts with a"}]}, "b", "starts with a"),
        ({"type": "string", "match_any": {"patterns": ["^a", "^b"], "err": "a or b"}}, "c", "a or b"),
        ({"type": "string", "match": "^x", "err": "not an x"}, "y", "not an x"),
        ({"type": "string", "uuid": True}, "1", "expected a valid UUID"),
        ({"type": "integer", "timestamp": True}, 0, "expected a valid timestamp"),
        ({"type": "string", "is_regex": True}, "(", "not a valid regex: ("),
        ({"type": "array", "elements": {"type": "string"}, "contains": "a"}, ["b"], "expected to contain: a"),
        ({"type": "array", "elements": {"type": "integer"}}, [1, "2"], [None, "expected an integer"]),
        ({"type": "array", "elements": {"type": "integer"}}, [1, None], [None, "required field missing"]),
        (
            {"type": "map", "keys": {"type": "string"}, "values": {"type": "integer"}},
            {"a": "b"},
            "expected an integer",
        ),
    ],
)
def test_a_value_that_does_not_fit_gets_kongs_text(field: dict[str, Any], value: Any, error: Any) -> None:
    assert errors([{"f": field}], {"f": value}) == {"f": error}


def test_a_value_that_fits_is_taken() -> None:
    fields = [
        {"key": {"type": "string", "match": "^%+[1-9]%d+$", "len_min": 2}},
        {"whole": {"type": "integer", "between": [1, 5]}},
        {"names": {"type": "set", "elements": {"type": "string"}, "len_max": 1}},
    ]

    assert errors(fields, {"key": "+63", "whole": 5.0, "names": ["a", "a"]}) == {}


def test_an_explicit_null_keeps_a_default_away() -> None:
    assert given([{"f": {"type": "integer", "default": 5}}], {"f": None}) == {}
    assert given([{"f": {"type": "integer", "default": 5}}], {}) == {"f": 5}


def test_a_null_for_a_required_field_is_missing_even_with_a_default() -> None:
    fields = [{"f": {"type": "integer", "default": 5, "required": True}}]

    assert errors(fields, {"f": None}) == {"f": "required field missing"}


def test_records_are_completed_with_their_defaults_unless_they_stand_in_an_array() -> None:
    inner = {"type": "record", "fields": [{"n": {"type": "integer", "default": 1}}]}
    outer = {
        "type": "array",
        "elements": {"type": "record", "fields": [{"inner": inner}, {"b": {"type": "boolean"}}]},
    }

    assert given([{"inner": inner}], {}) == {"inner": {"n": 1}}
    assert given([{"outer": outer}], {"outer": [{}]}) == {"outer": [{}]}
    assert given([{"outer": outer}], {"outer": [{"inner": {}}]}) == {"outer": [{"inner": {"n": 1}}]}


def test_a_number_without_a_fraction_reaches_the_plugin_as_an_integer() -> None:
    found = given([{"i": {"type": "integer"}}, {"n": {"type": "number"}}], {"i": 5.0, "n": 2.0})

    assert (repr(found["i"]), repr(found["n"])) == ("5", "2")


def test_an_empty_object_does_for_an_array_and_an_empty_array_for_a_map() -> None:
    fields: list[dict[str, Any]] = [
        {"a": {"type": "array", "elements": {"type": "string"}}},
        {"m": {"type": "map", "keys": {"type": "string"}, "values": {"type": "string"}}},
        {"r": {"type": "record", "fields": []}},
    ]

    assert errors(fields, {"a": {}, "m": [], "r": []}) == {}
    assert given(fields, {"a": {}, "m": [], "r": []}) == {"a": [], "m": {}, "r": {}}


def test_completing_leaves_the_given_value_as_it_was() -> None:
    value = {"a": ["x", "x"], "r": {}}
    fields: list[dict[str, Any]] = [
        {"a": {"type": "set", "elements": {"type": "string"}}},
        {"r": {"type": "record", "fields": [{"n": {"type": "integer", "default": 1}}]}},
    ]

    Schema({"fields": fields}).complete(value)

    assert value == {"a": ["x", "x"], "r": {}}


class TestReferences:
    def test_they_are_resolved_in_strings_arrays_and_maps_and_listed(self) -> None:
        secret = {"type": "string", "referenceable": True}
        fields: list[dict[str, Any]] = [
            {"s": secret},
            {"a": {"type": "array", "elements": secret}},
            {"m": {"type": "map", "keys": {"type": "string"}, "values": secret}},
            {"r": {"type": "record", "fields": [{"s": secret}]}},
        ]
        x, y = "{vault://env/x}", "{vault://env/y}"

        found = given(
            fields, {"s": x, "a": ["plain", x], "m": {"k": y, "l": "m"}, "r": {"s": y}}, x="1", y="2"
        )

        assert found == {
            "s": "1",
            "a": ["plain", "1"],
            "m": {"k": "2", "l": "m"},
            "r": {"s": "2", "$refs": {"s": y}},
            "$refs": {"s": x, "a": [None, x], "m": {"k": y}},
        }

    def test_they_stay_as_they_are_where_the_schema_allows_none(self) -> None:
        assert given([{"s": {"type": "string"}}], {"s": "{vault://env/x}"}, x="1") == {"s": "{vault://env/x}"}

    def test_they_are_not_held_against_the_checks_of_the_field(self) -> None:
        fields = [{"s": {"type": "string", "referenceable": True, "len_max": 3}}]

        assert errors(fields, {"s": "{vault://env/x}"}) == {}

    def test_one_that_cannot_be_resolved_is_empty(self) -> None:
        fields = [{"s": {"type": "string", "referenceable": True}}]

        assert given(fields, {"s": "{vault://env/x}"}) == {"s": "", "$refs": {"s": "{vault://env/x}"}}


class TestEntityChecks:
    FIELDS: list[dict[str, Any]] = [  # noqa: RUF012
        {"a": {"type": "string"}},
        {"b": {"type": "string"}},
        {"c": {"type": "record", "fields": [{"d": {"type": "string"}}]}},
    ]

    @pytest.mark.parametrize(
        ("check", "value", "error"),
        [
            (
                {"at_least_one_of": ["a", "c.d"]},
                {"b": "x"},
                "at least one of these fields must be non-empty: 'a', 'c.d'",
            ),
            (
                {"only_one_of": ["a", "b"]},
                {"a": "x", "b": "x"},
                "exactly one of these fields must be non-empty: 'a', 'b'",
            ),
            (
                {"distinct": ["a", "b"]},
                {"a": "x", "b": "x"},
                "values of these fields must be distinct: 'a', 'b'",
            ),
            (
                {"mutually_required": ["a", "b"]},
                {"a": "x"},
                "all or none of these fields must be set: 'a', 'b'",
            ),
            (
                {"mutually_exclusive": ["a", "b"]},
                {"a": "x", "b": "x"},
                "only one or none of these fields must be set: 'a', 'b'",
            ),
            (
                {"mutually_exclusive_sets": {"set1": ["a"], "set2": ["b", "c.d"]}},
                {"a": "x", "c": {"d": "y"}},
                "these sets are mutually exclusive: ('a'), ('c.d')",
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_what_fails_is_an_error_of_the_entity(
        self, check: dict[str, Any], value: dict[str, Any], error: str
    ) -> None:
        assert errors(self.FIELDS, value, entity_checks=[check]) == {"@entity": [error]}
        assert errors(self.FIELDS, {"a": "1", "b": "2"}, entity_checks=[{"distinct": ["a", "b"]}]) == {}

    def test_a_condition_makes_another_field_required(self) -> None:
        check = {
            "conditional": {
                "if_field": "a",
                "if_match": {"eq": "redis"},
                "then_field": "c.d",
                "then_match": {"required": True},
            }
        }

        assert errors(self.FIELDS, {"a": "local"}, entity_checks=[check]) == {}
        assert errors(self.FIELDS, {"a": "redis", "c": {"d": "x"}}, entity_checks=[check]) == {}
        assert errors(self.FIELDS, {"a": "redis"}, entity_checks=[check]) == {
            "c": {"d": "required field missing"},
            "@entity": ["failed conditional validation given value of field 'a'"],
        }
