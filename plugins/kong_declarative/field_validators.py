"""The checks that a schema's field can ask for, with Kong's texts, in Kong's order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kong_declarative import lua_pattern, lua_value

# A value → what is wrong with it, or None.
Check = Callable[[Any], str | None]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def compile_checks(definition: Mapping[str, Any]) -> Sequence[Check]:
    """The checks of one field. Unknown attributes of it (such as `description`) check nothing."""
    if definition.get("type") == "string" and "len_min" not in definition:
        definition = {**definition, "len_min": 1}
    return [make(definition[name]) for name, make in _MAKERS.items() if definition.get(name) is not None]


def uuid(value: str) -> str | None:
    return None if _UUID.fullmatch(value) else "expected a valid UUID"


def _joined(options: Sequence[Any]) -> str:
    return ", ".join(lua_value.text(option) for option in options)


def _quoted(members: Sequence[Any]) -> str:
    return ", ".join(f"({_quoted(m)})" if isinstance(m, (list, tuple)) else f"'{m}'" for m in members)


def _is_one_of(value: Any, options: Sequence[Any]) -> bool:
    return any(value == option and isinstance(value, bool) == isinstance(option, bool) for option in options)


def _eq(wanted: Any) -> Check:
    return lambda value: None if _is_one_of(value, [wanted]) else f"value must be {lua_value.text(wanted)}"


def _ne(unwanted: Any) -> Check:
    return lambda value: (
        f"value must not be {lua_value.text(value)}" if _is_one_of(value, [unwanted]) else None
    )


def _one_of(options: Sequence[Any]) -> Check:
    return lambda value: None if _is_one_of(value, options) else f"expected one of: {_joined(options)}"


def _not_one_of(options: Sequence[Any]) -> Check:
    return lambda value: f"must not be one of: {_joined(options)}" if _is_one_of(value, options) else None


def _gt(limit: float) -> Check:
    return lambda value: None if value > limit else f"value must be greater than {lua_value.text(limit)}"


def _between(limits: Sequence[float]) -> Check:
    low, high = limits
    text = f"value should be between {int(low)} and {int(high)}"
    return lambda value: None if low <= value <= high else text


def _timestamp(_: Any) -> Check:
    return lambda value: None if value > 0 else "expected a valid timestamp"


def _is_regex(_: Any) -> Check:
    def check(value: str) -> str | None:
        try:
            re.compile(value)
        except re.error:
            return f"not a valid regex: {value}"
        return None

    return check


def _len_eq(wanted: int) -> Check:
    return lambda value: None if lua_value.length(value) == wanted else f"length must be {wanted}"


def _len_min(least: int) -> Check:
    return lambda value: None if lua_value.length(value) >= least else f"length must be at least {least}"


def _len_max(most: int) -> Check:
    return lambda value: None if lua_value.length(value) <= most else f"length must be at most {most}"


def _starts_with(start: str) -> Check:
    return lambda value: None if value.startswith(start) else f"should start with: {start}"


def _match(pattern: str) -> Check:
    return lambda value: None if lua_pattern.matches(value, pattern) else f"invalid value: {value}"


def _not_match(pattern: str) -> Check:
    return lambda value: f"invalid value: {value}" if lua_pattern.matches(value, pattern) else None


def _match_none(rules: Sequence[Mapping[str, str]]) -> Check:
    def check(value: str) -> str | None:
        return next((rule["err"] for rule in rules if lua_pattern.matches(value, rule["pattern"])), None)

    return check


def _match_all(rules: Sequence[Mapping[str, str]]) -> Check:
    def check(value: str) -> str | None:
        return next((rule["err"] for rule in rules if not lua_pattern.matches(value, rule["pattern"])), None)

    return check


def _match_any(rule: Mapping[str, Any]) -> Check:
    def check(value: str) -> str | None:
        found = any(lua_pattern.matches(value, pattern) for pattern in rule["patterns"])
        return None if found else rule["err"]

    return check


def _contains(wanted: Any) -> Check:
    return lambda value: None if _is_one_of(wanted, value) else f"expected to contain: {wanted}"


def _mutually_exclusive_subsets(subsets: Sequence[Sequence[str]]) -> Check:
    def check(value: Sequence[str]) -> str | None:
        found: list[Sequence[str]] = []
        for member in value:
            subset = next((subset for subset in subsets if member in subset), None)
            if subset is not None and subset not in found:
                found.append(subset)
        return None if len(found) <= 1 else f"these sets are mutually exclusive: {_quoted(found)}"

    return check


def _custom(check: Check) -> Check:
    return check


_MAKERS: dict[str, Callable[[Any], Check]] = {
    "eq": _eq,
    "ne": _ne,
    "not_one_of": _not_one_of,
    "one_of": _one_of,
    "gt": _gt,
    "timestamp": _timestamp,
    "uuid": lambda _: uuid,
    "is_regex": _is_regex,
    "between": _between,
    "len_eq": _len_eq,
    "len_min": _len_min,
    "len_max": _len_max,
    "starts_with": _starts_with,
    "not_match": _not_match,
    "match_none": _match_none,
    "match": _match,
    "match_all": _match_all,
    "match_any": _match_any,
    "contains": _contains,
    "custom_validator": _custom,
    "mutually_exclusive_subsets": _mutually_exclusive_subsets,
}
