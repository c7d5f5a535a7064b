"""`?flatten_errors=1` of `POST /config`: errors as a list by entity instead of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kong_declarative.configuration_error import leaves
from kong_declarative.entity_schemas import EntitySchemas


def flattened_errors(
    errors: Mapping[str, Any], declared: Mapping[str, Any], schemas: EntitySchemas
) -> dict[str, Any]:
    """{"fields": what concerns no entity, "flattened_errors": [{"entity_type", "entity", "errors", …}, …]}."""
    rest = {name: found for name, found in errors.items() if name not in schemas.kinds}
    found = [
        flattened
        for kind in schemas.kinds
        for flattened in _of_kind(kind, errors.get(kind), declared.get(kind), schemas)
    ]
    return {"fields": rest, "flattened_errors": found}


def _of_kind(kind: str, errors: Any, declared: Any, schemas: EntitySchemas) -> Iterator[dict[str, Any]]:
    if not isinstance(errors, list) or not isinstance(declared, list):
        return
    for found, entity in zip(errors, declared, strict=False):
        if not isinstance(entity, dict) or found is None:
            continue
        children = [child for child, _ in schemas.children(kind)]
        own = (
            {name: text for name, text in found.items() if name not in children}
            if isinstance(found, dict)
            else found
        )
        if own:
            yield _entity(kind, entity, own, children)
        for child in children:
            if isinstance(found, dict):
                yield from _of_kind(child, found.get(child), entity.get(child), schemas)


def _entity(kind: str, entity: Mapping[str, Any], own: Any, children: list[str]) -> dict[str, Any]:
    described = {"id": "entity_id", "name": "entity_name", "username": "entity_name", "tags": "entity_tags"}
    found: dict[str, Any] = {"entity_type": kind.removesuffix("s")}
    found |= {described[name]: entity[name] for name in described if name in entity}
    found["entity"] = {name: value for name, value in entity.items() if name not in children}
    found["errors"] = [_error(path, text) for path, text in leaves(own)]
    return found


def _error(path: tuple[str | int, ...], text: str) -> dict[str, Any]:
    if "@entity" in path or not path:
        return {"type": "entity", "message": text}
    field = ".".join(str(part + 1) if isinstance(part, int) else part for part in path)
    return {"type": "field", "field": field, "message": text}
