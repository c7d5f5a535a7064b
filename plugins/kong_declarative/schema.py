"""Kong's schemas: data that says which fields an entity or a plugin's configuration has, and what may stand in them.

A field is `{name: {"type": …, "required": …, "default": …, …}}`, the form in which a plugin server's `-dump` prints
it. Values are JSON's; a missing field and an explicit null are different things: a default fills the first, never the
second. Texts and order of checks are those of Kong 3.9's kong/db/schema/init.lua.
"""

from __future__ import annotations

import copy
import math
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kong_declarative import entity_checks, field_validators, lua_value, references, shorthand
from kong_declarative.references import Secrets
from kong_declarative.vault import is_reference

REQUIRED = "required field missing"
UNKNOWN = "unknown field"

_TYPE_ERRORS = {
    "array": "expected an array",
    "set": "expected a set",
    "map": "expected a map",
    "record": "expected a record",
    "string": "expected a string",
    "number": "expected a number",
    "boolean": "expected a boolean",
    "integer": "expected an integer",
}


class Missing:
    """The value of a field that is not there."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()

Definition = Mapping[str, Any]
# What a validation finds: nothing, a text, or a tree of texts.
Errors = str | dict[str, Any] | list[Any] | None


class Field:
    """One field, ready to complete and check values. `definition` stays as it was given."""

    def __init__(
        self, definition: Definition, *, required: bool | None = None, records_required: bool = False
    ) -> None:
        self.definition = definition
        self.type: str = definition.get("type", "any")
        # Kong makes the records of an entity required, so that its whole structure appears; not those in arrays.
        default_required = records_required and self.type == "record"
        given = definition.get("required")
        self.required: bool = (
            required if required is not None else default_required if given is None else given
        )
        self.default = definition.get("default", MISSING)
        self.auto: bool = bool(definition.get("auto"))
        self.abstract: bool = bool(definition.get("abstract"))
        self.unique: bool = bool(definition.get("unique"))
        self.referenceable: bool = bool(definition.get("referenceable"))
        self.error: str | None = definition.get("err")
        self.len_min = definition.get("len_min", 1)
        self.elements = _subfield(definition, "elements", self.type in ("array", "set"))
        self.keys = _subfield(definition, "keys", self.type == "map")
        self.values = _subfield(definition, "values", self.type == "map")
        self.record: Schema | None = None
        if self.type == "record" and "fields" in definition:
            self.record = Schema(definition, records_required=records_required)
        self._checks = field_validators.compile_checks(definition)

    def narrowed(self, definition: Definition) -> Field:
        """This field with some of its attributes replaced."""
        return Field({**self.definition, **definition})

    # Completing

    def complete(self, value: Any, context: str = "insert") -> Any:
        """`value` with defaults filled in and duplicates taken out of sets; a value of a wrong type as it is."""
        if self.abstract:
            return self.missing() if value is MISSING and context != "update" else value
        if self.type == "record":
            if value is None or (value is MISSING and (context == "update" or not self.required)):
                return self.missing() if value is MISSING and context != "update" else value
            if value is MISSING:
                value = self.missing()
            if self.record is not None and (isinstance(value, dict) or value == []):
                return self.record.complete(value or {}, context)
            return value
        if value is MISSING:
            return value if context == "update" else self.missing()
        if isinstance(value, (dict, list)):
            return self._complete_members(value, context)
        return value

    def _complete_members(self, value: dict[Any, Any] | list[Any], context: str) -> Any:
        if self.elements is not None and lua_value.is_sequence(value):
            found = [self.elements.complete(member, context) for member in value]
            return _without_duplicates(found) if self.type == "set" else found
        if self.values is not None and (isinstance(value, dict) or not value):
            return {key: self.values.complete(value[key], context) for key in value}
        return copy.deepcopy(value)

    def missing(self) -> Any:
        """What stands in for a missing field: its default, null, a completed record, or still nothing."""
        if self.default is not MISSING:
            value = copy.deepcopy(self.default)
            return [] if value == {} and self.type in ("array", "set") else value
        if not self.required:
            return None
        if self.type == "record" and not self.abstract and self.record is not None:
            return self.record.complete({})
        return MISSING

    # Checking

    def validate(self, value: Any) -> Errors:
        """What is wrong with a completed value (not MISSING)."""
        if value is None:
            return self._validate_null()
        if "eq" in self.definition and self.definition["eq"] is None:
            return self.error or "value must be null"
        found = self._validate_type(value)
        if found is not None:
            return found
        if self.type == "string" and self.referenceable and is_reference(value):
            return None
        for check in self._checks:
            text = check(value)
            if text is not None:
                return self.error or text
        return None

    def _validate_null(self) -> Errors:
        definition = self.definition
        if "ne" in definition and definition["ne"] is None:
            return self.error or "value must not be null"
        if definition.get("eq") is not None:
            return f"value must be {lua_value.text(definition['eq'])}"
        return REQUIRED if self.required else None

    def _validate_type(self, value: Any) -> Errors:
        kind = self.type
        if kind == "any":
            return None
        if kind in ("array", "set"):
            return self._validate_elements(value)
        if kind == "map":
            return self._validate_map(value)
        if kind == "record":
            return self._validate_record(value)
        if kind == "foreign":
            return self._validate_foreign(value)
        fits = {
            "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "number": lua_value.is_number(value),
            "integer": lua_value.is_integer(value),
        }.get(kind)
        if fits is None:
            return f"invalid type: {kind}"
        return None if fits else _TYPE_ERRORS[kind]

    def _validate_elements(self, value: Any) -> Errors:
        if not lua_value.is_sequence(value):
            return _TYPE_ERRORS[self.type]
        if self.elements is None:
            return None
        return _entries({index: self.elements.validate(member) for index, member in enumerate(value)})

    def _validate_map(self, value: Any) -> Errors:
        if not lua_value.is_table(value):
            return _TYPE_ERRORS["map"]
        for key, member in lua_value.items(value):
            found = (self.keys.validate(key) if self.keys else None) or (
                self.values.validate(member) if self.values else None
            )
            if found is not None:
                return found
        return None

    def _validate_record(self, value: Any) -> Errors:
        if not lua_value.is_table(value):
            return _TYPE_ERRORS["record"]
        if self.record is None:
            return None
        if isinstance(value, list):
            return [UNKNOWN for _ in value] or self.record.validate({}) or None
        return self.record.validate(value) or None

    def _validate_foreign(self, value: Any) -> Errors:
        """A reference: the name or id of another entity, or {"id": …}."""
        if isinstance(value, str):
            return None if value else "length must be at least 1"
        if not isinstance(value, dict):
            return "expected a string"
        if value.get("id") is None:
            return {"id": "missing primary key"}
        text = field_validators.uuid(value["id"]) if isinstance(value["id"], str) else _TYPE_ERRORS["string"]
        return {"id": text} if text else None

    # Reading

    def resolve(self, value: Any, secret: Secrets) -> Any:
        """The value as a plugin gets it, or MISSING for null. References are resolved by the record around it."""
        if value is None and self.required:
            value = self.missing()
        if self.type == "record" and self.record is not None:
            if value is MISSING and self.required:
                value = self.missing()
            if isinstance(value, dict):
                return self.record.resolve(value, secret)
        elif isinstance(value, (dict, list)):
            value = self._resolve_members(value, secret)
        elif value is MISSING:
            value = self.missing()
        if value is None:
            return MISSING
        if self.type == "integer" and lua_value.is_number(value):
            return math.floor(value)
        return lua_value.plain_number(value)

    def _resolve_members(self, value: dict[Any, Any] | list[Any], secret: Secrets) -> Any:
        if self.elements is not None and isinstance(value, list):
            return [_present(self.elements.resolve(member, secret)) for member in value]
        if self.values is not None and isinstance(value, dict):
            return {key: _present(self.values.resolve(member, secret)) for key, member in value.items()}
        return copy.deepcopy(value)


class Schema:
    """The fields of an entity or a record, with the checks that look at several of them.

    `definition` has `fields` and may have `entity_checks`, `shorthand_fields` ({name: field with `func`}, values that
    are spelled another way), `subschema_key` and `subschema_error`.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        records_required: bool = False,
        subschemas: Mapping[str, Schema] | None = None,
    ) -> None:
        self.definition = definition
        self.name: str | None = definition.get("name")
        self.fields: dict[str, Field] = {
            name: Field(field, records_required=records_required)
            for name, field in _each(definition.get("fields", ()))
        }
        self.shorthands: dict[str, Field] = {
            name: Field(field) for name, field in _each(definition.get("shorthand_fields", ()))
        }
        self.entity_checks: Sequence[Mapping[str, Any]] = definition.get("entity_checks") or ()
        self.subschema_key: str | None = definition.get("subschema_key")
        self.subschema_error: str = definition.get("subschema_error", "unknown type: %s")
        self.subschemas: Mapping[str, Schema] = subschemas or {}

    def subschema(self, data: Mapping[str, Any]) -> Schema | None:
        """The schema that says more about an entity of this kind: of a plugin by its name, of a route by protocol."""
        if self.subschema_key is None:
            return None
        key = data.get(self.subschema_key)
        for name in key if isinstance(key, list) else [key]:
            if isinstance(name, str) and name in self.subschemas:
                return self.subschemas[name]
        return None

    def field(self, name: str, subschema: Schema | None = None) -> Field | None:
        base = self.fields.get(name)
        if base is not None and subschema is not None:
            return subschema.fields.get(name, base)
        return base

    def field_at(self, path: str, subschema: Schema | None = None) -> Field | None:
        """The field that a dotted path such as `config.redis.host` names."""
        head, _, rest = path.partition(".")
        field = self.field(head, subschema)
        if not rest or field is None:
            return field
        return field.record.field_at(rest) if field.record is not None else None

    def complete(self, data: Mapping[str, Any], context: str = "insert") -> dict[str, Any]:
        """A copy of `data` with defaults, ids and times filled in, and shorthands spelled out.

        `context`: "insert" completes, "update" leaves fields that are not there alone.
        """
        data = shorthand.spelled_out(data, self.shorthands)
        subschema = self.subschema(data)
        found: dict[str, Any] = {}
        for name in self.fields:
            field = self.field(name, subschema)
            assert field is not None
            value = field.complete(_automatic(name, field, data.get(name, MISSING), context), context)
            if value is not MISSING:
                found[name] = value
        found.update({name: copy.deepcopy(data[name]) for name in data if name not in self.fields})
        return found

    def validate(self, data: Mapping[str, Any], full: bool = True) -> dict[str, Any]:
        """What is wrong with completed `data`: texts by field name, `@entity` for checks over several fields.

        Not `full`: fields that are not there are not missed.
        """
        if self.subschema_key is not None:
            key = data.get(self.subschema_key)
            if key is None:
                return {self.subschema_key: REQUIRED}
            if self.subschema(data) is None:
                name = key[0] if isinstance(key, list) and key else key
                return {self.subschema_key: self.subschema_error.replace("%s", lua_value.text(name))}
        subschema = self.subschema(data)
        errors: dict[str, Any] = {}
        for name, value in data.items():
            found = self._validate_field(name, value, subschema, data)
            if found is not None:
                errors[str(name)] = found
        for name, field in self.fields.items():
            if field.required and (data.get(name, MISSING) is None or (full and name not in data)):
                errors[name] = REQUIRED
        entity_checks.run(self, data, errors, full=full)
        if subschema is not None:
            entity_checks.run(self, data, errors, full=full, subschema=subschema)
        return errors

    def _validate_field(
        self, name: str, value: Any, subschema: Schema | None, data: Mapping[str, Any]
    ) -> Errors:
        if name == "updated_at" or (name == "ttl" and self.definition.get("ttl")):
            return None
        short = self.shorthands.get(name)
        if short is not None and name not in self.fields:
            return short.validate(value) or shorthand.contradiction(name, short, data)
        field = self.field(name, subschema)
        return UNKNOWN if field is None else field.validate(value)

    def merge(self, top: Mapping[str, Any], bottom: Mapping[str, Any]) -> dict[str, Any]:
        """`bottom` changed by `top`: records member by member, everything else as a whole."""
        merged = {**bottom, **top}
        subschema = self.subschema(bottom)
        for name, value in top.items():
            field = self.field(name, subschema)
            if field is not None and field.record is not None and isinstance(value, dict):
                below = bottom.get(name)
                merged[name] = field.record.merge(value, below if isinstance(below, dict) else {})
        return merged

    def resolve(self, data: Mapping[str, Any], secret: Secrets) -> dict[str, Any]:
        """`data` as a plugin gets it: without nulls, references resolved and listed under `$refs`."""
        found: dict[str, Any] = {}
        listed: dict[str, Any] = {}
        for name, field in self.fields.items():
            value = field.resolve(data.get(name, MISSING), secret)
            if value is MISSING:
                continue
            value = references.dereference(name, field, value, listed, secret)
            if value != "" or field.type != "string" or field.len_min == 0 or name in listed:
                found[name] = value
        for name, short in self.shorthands.items():
            value = shorthand.replacement(short, found)
            if value is not None:
                found[name] = value
        if listed:
            found["$refs"] = listed
        return found


def _subfield(definition: Definition, name: str, wanted: bool) -> Field | None:
    inner = definition.get(name)
    return Field(inner, required=True) if wanted and inner is not None else None


def _each(fields: Iterable[Mapping[str, Definition]]) -> Iterable[tuple[str, Definition]]:
    for entry in fields:
        yield from entry.items()


def _entries(found: Mapping[int, Errors]) -> Errors:
    """A list of errors as long as its last one, null where there is none."""
    faulty = [index for index, errors in found.items() if errors is not None]
    return [found[index] for index in range(faulty[-1] + 1)] if faulty else None


def _without_duplicates(members: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    seen: set[Any] = set()
    for member in members:
        # Tables are never equal to one another in Lua, and 1 is not true.
        key = (type(member) is bool, member) if isinstance(member, (str, int, float, bool)) else id(member)
        if key not in seen:
            seen.add(key)
            found.append(member)
    return found


def _automatic(name: str, field: Field, value: Any, context: str) -> Any:
    """Ids, times and keys that Kong makes by itself."""
    if not field.auto:
        return value
    if name == "updated_at" or (name == "created_at" and context == "insert" and not value):
        return int(time.time())
    if context != "insert" or value is not MISSING:
        return value
    if field.definition.get("uuid"):
        return str(uuid.uuid4())
    return secrets.token_urlsafe(24) if field.type == "string" else value


def _present(value: Any) -> Any:
    return None if value is MISSING else value
