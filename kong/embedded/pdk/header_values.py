"""The checks and conversions that Kong makes of header names and values given by plugins."""

from __future__ import annotations

from typing import Any

from kong.embedded.phases import LuaError
from kong.embedded.values import is_number, is_string, is_table, text, tostring, type_name


def entries(table: Any) -> list[tuple[Any, Any]]:
    """A Lua table's pairs; an array has numbers for keys."""
    if isinstance(table, dict):
        return list(table.items())
    return list(enumerate(table, 1))


def array(table: Any) -> list[Any]:
    """What `ipairs` sees of a table."""
    if isinstance(table, dict):
        result: list[Any] = []
        while len(result) + 1 in table:
            result.append(table[len(result) + 1])
        return result
    return list(table)


def check(name: Any, value: Any, *, several: bool = False) -> None:
    """`checks.validate_header` and, with `several`, one line of `checks.validate_headers`."""
    if not is_string(name):
        raise LuaError(f'invalid header name "{tostring(name)}": got {type_name(name)}, expected string')
    if is_string(value) or is_number(value) or isinstance(value, bool):
        return
    if is_table(value):
        for item in array(value):
            if not is_string(item):
                raise LuaError(
                    f'invalid header value in array "{text(name)}": got {type_name(item)}, expected string'
                )
        return
    expected = (
        "string, number, boolean or array of strings"
        if several
        else "array of string, string, number or boolean"
    )
    raise LuaError(f'invalid header value for "{text(name)}": got {type_name(value)}, expected {expected}')


def check_all(headers: Any) -> None:
    if not is_table(headers):
        raise LuaError("headers must be a table")
    for name, value in entries(headers):
        check(name, value, several=True)


def normalise(value: Any) -> list[str]:
    """The header lines of a value: an empty one becomes a space, as Kong needs it for nginx."""
    if is_table(value):
        return [clean(text(item)) for item in array(value)]
    if is_string(value):
        return [clean(text(value))]
    return [tostring(value)]


def clean(value: str) -> str:
    """nginx refuses no line break here but ends the value there; so does this."""
    if not value:
        return " "
    if "\r" in value or "\n" in value or "\0" in value:
        return value.replace("\r", "%0D").replace("\n", "%0A").replace("\0", "%00")
    return value
