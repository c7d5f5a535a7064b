"""Vault references in the fields of a record: resolved where the schema allows them, and noted for `$refs`."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from kong_declarative.vault import is_reference

if TYPE_CHECKING:
    from kong_declarative.schema import Field

# A reference → its value.
Secrets = Callable[[str], str]


def dereference(
    name: str, field: Field, value: Any, listed: MutableMapping[str, Any], secret: Secrets
) -> Any:
    """A field's value with its references resolved; `listed` gets them in the value's own shape."""
    if field.type == "string" and field.referenceable and is_reference(value):
        listed[name] = value
        return secret(value)
    inner = field.elements if field.type in ("array", "set") else field.values
    if inner is None or inner.type != "string" or not inner.referenceable:
        return value
    if isinstance(value, list):
        found = [member if is_reference(member) else None for member in value]
        if any(found):
            listed[name] = _trimmed(found)
        return [secret(member) if is_reference(member) else member for member in value]
    if isinstance(value, dict):
        named = {key: member for key, member in value.items() if is_reference(member)}
        if named:
            listed[name] = named
        return {key: secret(member) if key in named else member for key, member in value.items()}
    return value


def _trimmed(found: list[Any]) -> list[Any]:
    while found and found[-1] is None:
        found.pop()
    return found
