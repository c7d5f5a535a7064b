"""The Admin API's refusals, in Kong's words: {"code": 2, "name": "schema violation", "message": …, "fields": {…}}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kong_declarative.configuration_error import lua_literal


class AdminError(Exception):
    """An answer of the Admin API other than success."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = body
        super().__init__(status, body)


def refused(status: int, message: str) -> AdminError:
    return AdminError(status, {"message": message})


def not_found() -> AdminError:
    return refused(404, "Not found")


def method_not_allowed() -> AdminError:
    return refused(405, "Method not allowed")


def declarative(errors: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a refused `POST /config`."""
    return {
        "code": 14,
        "name": "invalid declarative configuration",
        "message": f"declarative config is invalid: {lua_literal(errors)}",
        "fields": errors,
    }


def schema_violation(errors: Mapping[str, Any]) -> AdminError:
    texts = list(errors.get("@entity", ()))
    for name in sorted(errors):
        if name == "@entity":
            continue
        found = errors[name]
        if isinstance(found, dict):
            texts.extend(f"{name}.{inner}: {_told(found[inner])}" for inner in sorted(found))
        elif isinstance(found, list):
            texts.extend(f"{name}.{index}: {_told(text)}" for index, text in enumerate(found, 1) if text)
        else:
            texts.append(f"{name}: {found}")
    count = "schema violation" if len(texts) == 1 else f"{len(texts)} schema violations"
    return _of_kind(400, 2, "schema violation", f"{count} ({'; '.join(texts)})", errors)


def primary_key_violation(key: Mapping[str, Any]) -> AdminError:
    return _of_kind(
        400, 3, "primary key violation", f"primary key violation on key '{lua_literal(dict(key))}'", key
    )


def invalid_reference(field: str, reference: Mapping[str, Any], kind: str) -> AdminError:
    message = (
        f"the foreign key '{lua_literal(dict(reference))}' does not reference an existing '{kind}' entity."
    )
    return _of_kind(400, 4, "foreign key violation", message, {field: reference})


def unique_violation(key: Mapping[str, Any]) -> AdminError:
    message = f"UNIQUE violation detected on '{lua_literal(dict(key)).replace('nil', 'null')}'"
    return _of_kind(409, 5, "unique constraint violation", message, key)


def unresolved_reference(field: str, reference: Mapping[str, Any], kind: str) -> AdminError:
    name, value = next(iter(reference.items()))
    text = f"the foreign key cannot be resolved with '{lua_literal({name: value})}' for an existing '{kind}' entity"
    message = f"foreign key unresolved ({field}.{name}: {text})"
    return _of_kind(400, 13, "foreign keys unresolved", message, {field: {name: text}})


def unsupported(change: str, kind: str, by: str | None) -> AdminError:
    """A change of an entity, of which a Kong without a database knows none."""
    named = f" by '{by}'" if by else ""
    message = f"cannot {change} '{kind}' entities{named} when not using a database"
    return AdminError(405, {"code": 12, "name": "operation unsupported", "message": message})


def _told(found: Any) -> str:
    return lua_literal(found, "  ") if isinstance(found, (dict, list)) else str(found)


def _of_kind(status: int, code: int, name: str, message: str, fields: Mapping[str, Any]) -> AdminError:
    return AdminError(status, {"code": code, "name": name, "message": message, "fields": fields})
