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
    message = f"{count} ({'; '.join(texts)})"
    return AdminError(400, {"code": 2, "name": "schema violation", "message": message, "fields": errors})


def unsupported(change: str, kind: str, by: str | None) -> AdminError:
    """A change of an entity, of which a Kong without a database knows none."""
    named = f" by '{by}'" if by else ""
    message = f"cannot {change} '{kind}' entities{named} when not using a database"
    return AdminError(405, {"code": 12, "name": "operation unsupported", "message": message})


def _told(found: Any) -> str:
    return lua_literal(found, "  ") if isinstance(found, (dict, list)) else str(found)
