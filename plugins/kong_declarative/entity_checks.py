"""Checks over several fields of an entity (`entity_checks` of a schema), with Kong's texts.

A field of another one is named with dots: `config.redis.host`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kong_declarative.lua_value import is_nonempty
from kong_declarative.vault import is_reference

if TYPE_CHECKING:
    from kong_declarative.schema import Schema

_REQUIRED = "required field missing"
_REQUIRED_FOR_CHECK = "field required for entity check"

Data = Mapping[str, Any]


@dataclass(frozen=True)
class _Subject:
    """What a check looks at: the entity, its schemas, and where it may report the error of a single field."""

    schema: Schema
    subschema: Schema | None
    data: Data
    errors: MutableMapping[str, Any]

    def satisfies(self, path: str, definition: Mapping[str, Any]) -> bool:
        """Whether the value of a field passes the field's own checks with those of `definition` added."""
        field = self.schema.field_at(path, self.subschema)
        return field is None or field.narrowed(definition).validate(get(self.data, path)) is None

    def nonempty(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if is_nonempty(get(self.data, path))]


@dataclass(frozen=True)
class _Checker:
    """A kind of check: `find` gives a text, or None; `paths` the fields it reads."""

    find: Callable[[_Subject, Any], str | None]
    paths: Callable[[Any], Sequence[str]]
    needs: Callable[[Any], Sequence[str]]
    with_missing_fields: bool = False
    with_invalid_fields: bool = False


def run(
    schema: Schema, data: Data, errors: dict[str, Any], *, full: bool, subschema: Schema | None = None
) -> None:
    """Run the checks of `schema` (or of `subschema`) and add what they find to `errors`."""
    for check in (subschema or schema).entity_checks:
        for name, argument in check.items():
            checker = _CHECKERS[name]
            text = _apply(checker, argument, _Subject(schema, subschema, data, errors), full)
            if text is not None:
                errors.setdefault("@entity", []).append(text)


def _apply(checker: _Checker, argument: Any, subject: _Subject, full: bool) -> str | None:
    paths = checker.paths(argument)
    present = [path for path in paths if has(subject.data, path)]
    for path in present:
        field = subject.schema.field_at(path, subject.subschema)
        if field is not None and field.referenceable and is_reference(get(subject.data, path)):
            return None
    if not checker.with_invalid_fields and any(path in subject.errors for path in paths):
        return None
    if not present and not (checker.with_missing_fields and full):
        return None
    if not checker.with_missing_fields:
        missing = [path for path in checker.needs(argument) if path not in present]
        for path in missing:
            put(subject.errors, path, _REQUIRED_FOR_CHECK)
        if missing:
            return None
    return checker.find(subject, argument)


def get(data: Any, path: str) -> Any:
    """The value at a dotted path; None for null and for nothing."""
    for part in path.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def has(data: Any, path: str) -> bool:
    """Whether there is something, null included, at a dotted path."""
    for part in path.split("."):
        if not isinstance(data, Mapping) or part not in data:
            return False
        data = data[part]
    return True


def put(errors: MutableMapping[str, Any], path: str, found: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        inner = errors.get(part)
        if not isinstance(inner, dict):
            inner = errors[part] = {}
        errors = inner
    errors[last] = found


def quoted(members: Sequence[str]) -> str:
    return ", ".join(f"'{member}'" for member in members)


def _at_least_one_of(subject: _Subject, paths: Sequence[str]) -> str | None:
    if subject.nonempty(paths):
        return None
    return f"at least one of these fields must be non-empty: {quoted(paths)}"


def _only_one_of(subject: _Subject, paths: Sequence[str]) -> str | None:
    if len(subject.nonempty(paths)) == 1:
        return None
    return f"exactly one of these fields must be non-empty: {quoted(paths)}"


def _distinct(subject: _Subject, paths: Sequence[str]) -> str | None:
    values = [get(subject.data, path) for path in subject.nonempty(paths)]
    if all(value not in values[:index] for index, value in enumerate(values)):
        return None
    return f"values of these fields must be distinct: {quoted(paths)}"


def _mutually_required(subject: _Subject, paths: Sequence[str]) -> str | None:
    if len(subject.nonempty(paths)) in (0, len(paths)):
        return None
    return f"all or none of these fields must be set: {quoted(paths)}"


def _mutually_exclusive(subject: _Subject, paths: Sequence[str]) -> str | None:
    if len(subject.nonempty(paths)) <= 1:
        return None
    return f"only one or none of these fields must be set: {quoted(paths)}"


def _mutually_exclusive_sets(subject: _Subject, argument: Mapping[str, Any]) -> str | None:
    first, second = subject.nonempty(argument["set1"]), subject.nonempty(argument["set2"])
    if not first or not second:
        return None
    return f"these sets are mutually exclusive: ({quoted(first)}), ({quoted(second)})"


def _conditional(subject: _Subject, argument: Mapping[str, Any]) -> str | None:
    if_field, then_field = argument["if_field"], argument["then_field"]
    if not subject.satisfies(if_field, argument["if_match"]):
        return None
    then_match = argument["then_match"]
    value = get(subject.data, then_field)
    if then_match.get("required") is True and value is None:
        put(subject.errors, then_field, _REQUIRED)
    else:
        field = subject.schema.field_at(then_field, subject.subschema)
        found = field.narrowed(then_match).validate(value) if field is not None else None
        if found is None:
            return None
        put(subject.errors, then_field, found)
        if "then_err" in argument:
            text: str = argument["then_err"].replace("%s", if_field)
            return text
    return f"failed conditional validation given value of field '{if_field}'"


def _conditional_at_least_one_of(subject: _Subject, argument: Mapping[str, Any]) -> str | None:
    if_field = argument["if_field"]
    if get(subject.data, if_field) is None:
        return None
    if subject.satisfies(if_field, argument["if_match"]):
        paths, text = argument["then_at_least_one_of"], argument.get("then_err")
    elif "else_match" in argument and subject.satisfies(if_field, argument["else_match"]):
        paths, text = argument["else_then_at_least_one_of"], argument.get("else_then_err")
    else:
        return None
    if subject.nonempty(paths):
        return None
    if text is None:
        text = "at least one of these fields must be non-empty: %s"
    found: str = text.replace("%s", quoted(paths))
    return found


def _custom(subject: _Subject, argument: Mapping[str, Any]) -> str | None:
    """`fn` gets the entity and gives a text, or None."""
    text: str | None = argument["fn"](subject.data)
    return text


def _listed(argument: Sequence[str]) -> Sequence[str]:
    return argument


def _of(*names: str) -> Callable[[Mapping[str, Any]], Sequence[str]]:
    def paths(argument: Mapping[str, Any]) -> Sequence[str]:
        found: list[str] = []
        for name in names:
            given = argument.get(name, ())
            found.extend([given] if isinstance(given, str) else given)
        return found

    return paths


_CHECKERS: dict[str, _Checker] = {
    "at_least_one_of": _Checker(_at_least_one_of, _listed, _listed, True, True),
    "only_one_of": _Checker(_only_one_of, _listed, _listed, False, True),
    "distinct": _Checker(_distinct, _listed, _listed, False, True),
    "mutually_required": _Checker(_mutually_required, _listed, _listed, True),
    "mutually_exclusive": _Checker(_mutually_exclusive, _listed, _listed, True),
    "mutually_exclusive_sets": _Checker(_mutually_exclusive_sets, _of("set1", "set2"), _of(), True),
    "conditional": _Checker(_conditional, _of("if_field", "then_field"), _of("if_field"), False, True),
    "conditional_at_least_one_of": _Checker(
        _conditional_at_least_one_of,
        _of("if_field", "then_at_least_one_of", "else_then_at_least_one_of"),
        _of("if_field"),
        True,
        True,
    ),
    "custom_entity_check": _Checker(_custom, _of("field_sources"), _of("field_sources")),
}
