"""Entities created one by one, as the DAO of a Kong with a database does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from kong_declarative.configuration import Tables
from kong_declarative.core_schemas import Kind
from kong_declarative.entities import Entity
from kong_declarative.entity_schemas import EntitySchemas
from kong_declarative.schema import MISSING

from kong.embedded.admin_api import errors as admin_error


class Draft:
    """A working copy of a snapshot's tables. Every method raises AdminError when Kong would refuse the change."""

    def __init__(self, tables: Tables, schemas: EntitySchemas) -> None:
        self._schemas = schemas
        self.tables: dict[str, dict[str, Entity]] = {
            kind: dict(tables.get(kind, {})) for kind in schemas.kinds
        }

    def select(self, kind: str, key: str) -> Entity | None:
        """By id, or by what stands for it: a name, a user name, a key."""
        return select(self.tables, self._schemas, kind, key)

    def insert(self, kind: str, data: Mapping[str, Any]) -> Entity:
        if data.get("id") in self.tables[kind]:
            raise admin_error.primary_key_violation({"id": data["id"]})
        schema = self._schemas.of[kind]
        return self._put(kind, schema.complete(self._with_references(kind, data)))

    def _put(self, kind: str, entity: dict[str, Any]) -> Entity:
        errors = self._schemas.of[kind].validate(entity)
        if errors:
            raise admin_error.schema_violation(errors)
        for field, reference in self._schemas.kinds[kind].foreign.items():
            value = entity.get(field)
            if value is not None and value["id"] not in self.tables[reference]:
                raise admin_error.invalid_reference(field, value, reference)
        for key in self._unique_keys(self._schemas.kinds[kind], entity):
            if any(
                _agrees(other, key) for other in self.tables[kind].values() if other["id"] != entity["id"]
            ):
                raise admin_error.unique_violation(key)
        ordered = {name: entity.get(name) for name in self._schemas.of[kind].fields}
        self.tables[kind][entity["id"]] = ordered
        return ordered

    def _unique_keys(self, kind: Kind, entity: Entity) -> Iterator[dict[str, Any]]:
        for name, field in self._schemas.of[kind.name].fields.items():
            if field.unique and entity.get(name) is not None:
                yield {name: entity[name]}
        if kind.unique_together:
            yield {name: entity.get(name) for name in kind.cache_key}

    def _with_references(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """`data` with entities that are named by something else than their id found: {"name": …} → {"id": …}."""
        found = dict(data)
        for field, reference in self._schemas.kinds[kind].foreign.items():
            value = data.get(field, MISSING)
            endpoint_key = self._schemas.kinds[reference].endpoint_key
            if isinstance(value, str):
                value = {"id": value} if is_uuid(value) or endpoint_key is None else {endpoint_key: value}
            if (
                endpoint_key is not None
                and isinstance(value, dict)
                and endpoint_key in value
                and "id" not in value
            ):
                entity = self.select(reference, str(value[endpoint_key]))
                if entity is None:
                    raise admin_error.unresolved_reference(
                        field, {endpoint_key: value[endpoint_key]}, reference
                    )
                value = {"id": entity["id"]}
            if value is not MISSING:
                found[field] = value
        return found


def _agrees(entity: Entity, key: Mapping[str, Any]) -> bool:
    return all(entity.get(name) == value for name, value in key.items())


def select(tables: Tables, schemas: EntitySchemas, kind: str, key: str) -> Entity | None:
    """By id, or by what stands for it: a name, a user name, a key."""
    table = tables.get(kind, {})
    found = table.get(key)
    endpoint_key = schemas.kinds[kind].endpoint_key
    if found is not None or endpoint_key is None or is_uuid(key):
        return found
    return next((entity for entity in table.values() if entity[endpoint_key] == key), None)


def is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
