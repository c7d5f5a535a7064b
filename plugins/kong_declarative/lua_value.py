"""How Lua and its JSON encoder see the values of a configuration: one kind of number, one kind of table."""

from __future__ import annotations

import math
from typing import Any

# Numbers that print without an exponent.
_EXACT = 1e14


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    return is_number(value) and math.isfinite(value) and value == math.floor(value)


def is_table(value: Any) -> bool:
    return isinstance(value, (dict, list))


def is_sequence(value: Any) -> bool:
    """A table that can be an array: a list, or an object without members."""
    return isinstance(value, list) or (isinstance(value, dict) and not value)


def items(table: Any) -> list[tuple[Any, Any]]:
    """Key and value of every member; a list counts from 1."""
    return list(table.items()) if isinstance(table, dict) else list(enumerate(table, start=1))


def length(value: Any) -> int:
    """Lua's `#`, and for an object the number of members: strings count in bytes."""
    return len(value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else len(value)


def is_nonempty(value: Any) -> bool:
    return value is not None and value != "" and not (is_table(value) and not value)


def text(value: Any) -> str:
    """Lua's `tostring`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.14g}"
    return str(value)


def plain_number(value: Any) -> Any:
    """A float without a fraction as the integer that it is for Lua."""
    if isinstance(value, float) and is_integer(value) and abs(value) < _EXACT:
        return int(value)
    return value
