"""Whether a plugin's schema is one that Kong accepts: what its metaschema asks of fields and their attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kong_declarative import lua_value
from kong_declarative.schema import Field

_TYPES = (
    "array",
    "set",
    "string",
    "number",
    "boolean",
    "integer",
    "foreign",
    "map",
    "record",
    "function",
    "json",
)
_NEEDED = {
    "array": ("elements",),
    "set": ("elements",),
    "map": ("keys", "values"),
    "record": ("fields",),
    "json": ("json_schema",),
}
# Attributes that only some types have.
_ONLY_FOR = {
    "between": ("integer", "number"),
    "len_eq": ("array", "set", "string", "map"),
    "match": ("string",),
    "one_of": ("string", "number", "integer"),
    "contains": ("array", "set"),
    "is_regex": ("string",),
    "timestamp": ("number", "integer"),
    "uuid": ("string",),
    "unique": ("string", "number", "integer", "foreign"),
    "unique_across_ws": ("string", "number", "integer", "foreign"),
    "abstract": ("string", "number", "integer", "record", "array", "set", "map"),
    "json_schema": ("json",),
    "transient": ("string", "number", "integer", "array", "set", "boolean"),
}


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(member, str) for member in value)


def _anything(value: Any) -> bool:
    return True


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


# Every attribute of a field, and what may stand in it.
_ATTRIBUTES: dict[str, Callable[[Any], bool]] = {
    "type": _string,
    "required": _boolean,
    "reference": _string,
    "description": lambda value: isinstance(value, str) and 10 <= lua_value.length(value) <= 500,
    "examples": _list,
    "auto": _boolean,
    "unique": _boolean,
    "unique_across_ws": _boolean,
    "on_delete": lambda value: value in ("restrict", "cascade", "null"),
    "default": _anything,
    "abstract": _boolean,
    "generate_admin_api": _boolean,
    "immutable": _boolean,
    "err": _string,
    "encrypted": _boolean,
    "referenceable": _boolean,
    "json_schema": _object,
    "transient": _boolean,
    "deprecation": _object,
    "between": lambda value: (
        isinstance(value, list) and len(value) == 2 and all(map(lua_value.is_number, value))
    ),
    "eq": _anything,
    "ne": _anything,
    "gt": lua_value.is_number,
    "len_eq": lua_value.is_integer,
    "len_min": lua_value.is_integer,
    "len_max": lua_value.is_integer,
    "match": _string,
    "not_match": _string,
    "match_all": _list,
    "match_none": _list,
    "match_any": _object,
    "starts_with": _string,
    "one_of": _list,
    "not_one_of": _list,
    "contains": _anything,
    "is_regex": _boolean,
    "timestamp": _boolean,
    "uuid": _boolean,
    "mutually_exclusive_subsets": lambda value: isinstance(value, list) and all(map(_strings, value)),
    "elements": _object,
    "keys": _object,
    "values": _object,
    "fields": _list,
    "entity_checks": _list,
    "shorthand_fields": _list,
}


def faults(schema: Mapping[str, Any]) -> list[str]:
    """What Kong would refuse in a plugin's schema: one text per fault, with the path of the field."""
    fields = schema.get("fields")
    if not isinstance(schema.get("name"), str) or not isinstance(fields, list):
        return ["it needs a name and fields"]
    if not any(isinstance(entry, dict) and "config" in entry for entry in fields):
        return ["it has no field 'config'"]
    return list(_fields(fields, ""))


def _fields(fields: Sequence[Any], path: str) -> Iterator[str]:
    for entry in fields:
        if not isinstance(entry, dict) or len(entry) != 1:
            yield f"{path or 'fields'}: each entry in fields must be a table with one key"
            continue
        for name, definition in entry.items():
            yield from _field(definition, f"{path}.{name}" if path else name)


def _field(definition: Any, path: str) -> Iterator[str]:
    if not isinstance(definition, dict):
        yield f"{path}: must be a table"
        return
    kind = definition.get("type")
    if kind not in _TYPES:
        yield f"{path}: missing type declaration" if kind is None else f"{path}: invalid type: {kind}"
        return
    before = 0
    for fault in (*_attributes(definition, kind, path), *_nested(definition, path)):
        before += 1
        yield fault
    if not before and definition.get("default") is not None:
        found = Field(definition).validate(definition["default"])
        if found is not None:
            yield f"{path}.default: {found}"


def _attributes(definition: Mapping[str, Any], kind: str, path: str) -> Iterator[str]:
    for needed in _NEEDED.get(kind, ()):
        if needed not in definition and not definition.get("abstract"):
            yield f"{path}: field of type '{kind}' must declare '{needed}'"
    for name, value in definition.items():
        fits = _ATTRIBUTES.get(name)
        if fits is None:
            yield f"{path}.{name}: unknown field"
        elif kind not in _ONLY_FOR.get(name, _TYPES):
            yield f"{path}: field of type '{kind}' cannot have attribute '{name}'"
        elif value is not None and not fits(value):
            yield f"{path}.{name}: not a valid value"


def _nested(definition: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in ("elements", "keys", "values"):
        if isinstance(definition.get(name), dict):
            yield from _field(definition[name], f"{path}.{name}")
    if isinstance(definition.get("fields"), list):
        yield from _fields(definition["fields"], path)
