"""Lua's view of Python values: type names, numbers as text, JSON as cjson writes it, tables as MessagePack has them.

A Lua string is a byte string. Inside the gateway it is `str` with one character a byte (Latin-1), or `bytes`.
"""

from __future__ import annotations

import math
from typing import Any

from kong.embedded.phases import LuaError


def type_name(value: Any) -> str:
    """What Lua's `type` says."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, (str, bytes)):
        return "string"
    if isinstance(value, (dict, list, tuple)):
        return "table"
    return "userdata"


class Array(list[Any]):
    """A list that is one in JSON even when it is empty; an empty Lua table is an object there."""


class Null:
    """`ngx.null`, `cjson.null`."""

    def __repr__(self) -> str:
        return "null"


NULL = Null()


def is_string(value: Any) -> bool:
    return isinstance(value, (str, bytes))


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_table(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple))


def text(value: str | bytes) -> str:
    """A Lua string as Latin-1 text."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def octets(value: str | bytes) -> bytes:
    """A Lua string as bytes."""
    return value.encode("latin-1") if isinstance(value, str) else value


def tostring(value: Any) -> str:
    """Lua's `tostring` for the values that reach headers and log lines."""
    if value is None:
        return "nil"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (str, bytes)):
        return text(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int):
        return str(value)
    return f"{type_name(value)}: 0x{id(value):08x}"


def number(value: float) -> str:
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.14g}"


def narrow(value: Any) -> Any:
    """Unicode text, as configuration and MessagePack bring it, as Lua strings: UTF-8, one character a byte."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")
    if isinstance(value, dict):
        return {narrow(key): narrow(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [narrow(item) for item in value]
    return value


def widen(value: Any) -> Any:
    """The opposite of `narrow`: Lua strings as Unicode text; what is not UTF-8 becomes lone surrogates."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("latin-1").decode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        # lua-MessagePack writes an empty table as an empty array
        return {widen(key): widen(item) for key, item in value.items() if item is not None} or []
    if isinstance(value, (list, tuple)):
        return [widen(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return None if value is NULL else value


_ESCAPES = {**{code: f"\\u{code:04x}" for code in range(32)}, 127: "\\u007f"}
_ESCAPES.update({8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", ord('"'): '\\"', ord("\\"): "\\\\"})


def to_json(value: Any, precision: int = 16) -> bytes:
    """JSON as cjson writes it: no spaces, an empty table as `{}`, bytes of strings untouched.

    `precision`: digits of a number; 16 for Kong itself, 14 for who requires cjson.
    """
    return _json(value, precision).encode("latin-1")


def _json(value: Any, precision: int) -> str:
    if value is None or value is NULL:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (str, bytes)):
        return '"' + text(value).translate(_ESCAPES) + '"'
    if isinstance(value, int) and abs(value) < 10**precision:
        return str(value)
    if isinstance(value, (int, float)):
        if math.isnan(value) or math.isinf(value):
            raise LuaError("Cannot serialise number: must not be NaN or Inf")
        return f"{float(value):.{precision}g}"
    if isinstance(value, dict):
        if not value:
            return "{}"
        return (
            "{"
            + ",".join(
                f"{_json(tostring(key), precision)}:{_json(item, precision)}" for key, item in value.items()
            )
            + "}"
        )
    if isinstance(value, (list, tuple)):
        if not value and not isinstance(value, Array):
            return "{}"
        return "[" + ",".join(_json(item, precision) for item in value) + "]"
    raise LuaError(f"Cannot serialise {type_name(value)}: type not supported")


def without_nils(value: Any) -> Any:
    """A table as Lua keeps it: no key has nil; a list with holes is a table with numbers for keys."""
    if isinstance(value, dict):
        return {key: without_nils(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        while value and value[-1] is None:
            value = value[:-1]
        if None in value:
            return {index: without_nils(item) for index, item in enumerate(value, 1) if item is not None}
        return [without_nils(item) for item in value]
    return value


def length_with_holes(items: list[Any]) -> int:
    """LuaJIT's `#` of a table that was filled with these one after the other, nils and all.

    It depends on how the table grew: what lies in its array part is searched from the end, the rest from the front.
    """
    slots, hashed = 0, 0  # size of the array part, as the highest index; size of the hash part
    used: set[int] = set()  # keys in the hash part, those of nils too
    for key in range(1, len(items) + 1):
        if key <= slots:
            continue
        if len(used) < hashed:
            used.add(key)
            continue
        filled = {index for index in range(1, key) if items[index - 1] is not None} | {key}
        slots = _array_size(filled)
        outside = [index for index in filled if index > slots]
        hashed = 0 if not outside else 1 << max(1, (len(outside) - 1).bit_length())
        used = set(outside)
    if slots and items[slots - 1 : slots] in ([None], []):
        low, high = 0, slots
        while high - low > 1:
            middle = (low + high) // 2
            if middle <= len(items) and items[middle - 1] is not None:
                low = middle
            else:
                high = middle
        return low
    length = slots
    while hashed and length < len(items) and items[length] is not None:
        length += 1
    return length


def _array_size(keys: set[int]) -> int:
    """How many of its keys a Lua table keeps in its array part: a power of two, filled by more than a quarter."""
    size = reached = step = 0
    while 2 * len(keys) > 1 << step and reached != len(keys):
        low, high = (1 << step if step else 0), 2 << step
        within = sum(1 for key in keys if low < key <= high)
        reached += within
        if within and 2 * reached > 1 << step:
            size = high
        step += 1
    return size
