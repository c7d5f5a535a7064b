"""Fields that are another way to spell others: a service's `url`, the old names of Redis settings.

A schema describes one as a field with `func`, which gives the fields that it stands for; `deprecation` names the one
field that replaces it, and which then wins over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kong_declarative import lua_value

if TYPE_CHECKING:
    from kong_declarative.schema import Field


def spelled_out(data: Mapping[str, Any], shorthands: Mapping[str, Field]) -> Mapping[str, Any]:
    """`data` with the fields that its shorthands stand for; a shorthand that is wrong stays, and is found wrong."""
    if not any(name in data for name in shorthands):
        return data
    spelled = dict(data)
    for name, field in shorthands.items():
        if name not in spelled or field.validate(spelled[name]) is not None:
            continue
        if contradiction(name, field, spelled) is not None:
            continue
        deprecated = "deprecation" in field.definition
        short = spelled.pop(name)
        for key, value in ({} if short is None else field.definition["func"](short)).items():
            present = spelled.get(key)
            if isinstance(value, dict):
                present = present if isinstance(present, dict) else {}
                spelled[key] = _over(present, value) if deprecated else _over(value, present)
            elif not deprecated or present is None:
                spelled[key] = value
    return spelled


def replacement(field: Field, data: Mapping[str, Any]) -> Any:
    """The value of the field that replaces a deprecated shorthand; None without one."""
    path: Sequence[str] = field.definition.get("deprecation", {}).get("replaced_with", ())
    value: Any = data if path else None
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def contradiction(name: str, field: Field, data: Mapping[str, Any]) -> str | None:
    """What to say of a shorthand and its replacement that differ, or None."""
    value, other = data[name], replacement(field, data)
    if value is None or other is None or other == value:
        return None
    path = ".".join(field.definition["deprecation"]["replaced_with"])
    return (
        "both deprecated and new field are used but their values mismatch: "
        f"{name} = {lua_value.text(value)} vs {path} = {lua_value.text(other)}"
    )


def _over(top: Mapping[str, Any], bottom: Mapping[str, Any]) -> dict[str, Any]:
    return {**bottom, **{key: value for key, value in top.items() if value is not None}}
