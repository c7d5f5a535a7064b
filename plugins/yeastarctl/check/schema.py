"""Kong's own checks of a plugin's configuration, with Kong's words and the place of each fault.

A schema is a list of `{name: attributes}`, as the plugin's dump has it. Kong also completes defaults and resolves
references; neither is done here. Of Kong's constraints those are known that the plugin's schema uses.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .document import Node

Fields = Iterable[Mapping[str, Mapping[str, Any]]]
Fault = tuple[Node, str]

UNKNOWN = "unknown field"
REQUIRED = "required field missing"

# Lua has one empty table for lists and mappings.
_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("expected a string", lambda value: isinstance(value, str)),
    "boolean": ("expected a boolean", lambda value: isinstance(value, bool)),
    "integer": ("expected an integer", lambda value: _number(value) and float(value).is_integer()),
    "number": ("expected a number", lambda value: _number(value)),
    "array": ("expected an array", lambda value: isinstance(value, list) or value == {}),
    "set": ("expected a set", lambda value: isinstance(value, list) or value == {}),
    "map": ("expected a map", lambda value: isinstance(value, dict) or value == []),
    "record": ("expected a record", lambda value: isinstance(value, dict) or value == []),
}


def faults(fields: Fields, record: Node) -> Iterator[Fault]:
    """What Kong would refuse in a record, with Kong's text; a missing field stands at its record."""
    if not isinstance(record.value, dict) and record.value != []:
        yield record, _TYPES["record"][0]
        return
    known = {name: attributes for field in fields for name, attributes in field.items()}
    for key, node in record.pairs():
        if key not in known:
            yield node, UNKNOWN
        elif node.value is not None:
            yield from _field(known[key], node)
        elif known[key].get("required") and "default" in known[key]:
            yield node, REQUIRED  # a default fills a missing field, never a null
    for name, attributes in known.items():
        if attributes.get("required") and "default" not in attributes and record.get(name) is None:
            if attributes.get("type") == "record":
                # Kong makes an empty record of a required one, and looks for what that lacks.
                empty = Node({}, record.file, record.line, f"{record.where}.{name}")
                yield from faults(attributes.get("fields", ()), empty)
            else:
                yield Node(None, record.file, record.line, f"{record.where}.{name}"), REQUIRED


def field_at(fields: Fields, *names: str) -> Mapping[str, Any] | None:
    """The attributes of a nested field; `*` stands for an array's elements and a map's values."""
    attributes: Mapping[str, Any] | None = {"type": "record", "fields": fields}
    for name in names:
        if attributes is None:
            return None
        if name == "*":
            attributes = attributes.get("elements") or attributes.get("values")
        else:
            found = [field[name] for field in attributes.get("fields", ()) if name in field]
            attributes = found[0] if found else None
    return attributes


def _field(attributes: Mapping[str, Any], node: Node) -> Iterator[Fault]:
    kind = attributes.get("type", "")
    text, fits = _TYPES.get(kind, ("", lambda value: True))
    if not fits(node.value):
        yield node, text
        return
    fault = _constraint(attributes, node.value)
    if fault:
        yield node, fault
        return
    if kind == "record":
        yield from faults(attributes.get("fields", ()), node)
    elif kind in ("array", "set"):
        for entry in node.entries():
            yield from _field(attributes.get("elements", {}), entry)
    elif kind == "map":
        for key, value in node.pairs():
            key_node = Node(key, value.file, value.line, value.where)
            yield from _field(attributes.get("keys", {}), key_node)
            yield from _field(attributes.get("values", {}), value)


def _constraint(attributes: Mapping[str, Any], value: Any) -> str | None:
    """The first constraint that a value of the right type breaks, in Kong's words."""
    if isinstance(value, str) and attributes.get("referenceable") and value.startswith("{vault://"):
        return None
    if isinstance(value, (str, list, dict)):
        fault = _length(attributes, value)
        if fault:
            return fault
    if "between" in attributes:
        low, high = attributes["between"]
        if not low <= value <= high:
            return f"value should be between {low} and {high}"
    if "gt" in attributes and not value > attributes["gt"]:
        return f"value must be greater than {attributes['gt']}"
    if "one_of" in attributes and value not in attributes["one_of"]:
        return "expected one of: " + ", ".join(str(choice) for choice in attributes["one_of"])
    if "starts_with" in attributes and not value.startswith(attributes["starts_with"]):
        return f"should start with: {attributes['starts_with']}"
    return None


def _length(attributes: Mapping[str, Any], value: Any) -> str | None:
    # A string of no characters is refused unless the schema says len_min = 0.
    shortest = attributes.get("len_min", 1 if isinstance(value, str) else None)
    # Lua counts bytes.
    length = len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else len(value)
    if shortest is not None and length < shortest:
        return f"length must be at least {shortest}"
    if "len_max" in attributes and length > attributes["len_max"]:
        return f"length must be at most {attributes['len_max']}"
    return None


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
