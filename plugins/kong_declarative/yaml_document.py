"""A declarative configuration's text as values, each with the line that it stands on.

YAML is read as Kong's reader does: YAML 1.1's booleans (`yes`, `off`, …), octal numbers and `<<`, no dates, the last of
two equal keys wins.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from kong_declarative.configuration_error import ConfigurationError, Path

_NULL = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {
    **{spelled: True for word in ("true", "yes", "on") for spelled in (word, word.title(), word.upper())},
    **{spelled: False for word in ("false", "no", "off") for spelled in (word, word.title(), word.upper())},
}
_SPECIAL = {
    **{f"{sign}.{word}": math.inf for sign in ("", "+") for word in ("inf", "Inf", "INF")},
    **{f"-.{word}": -math.inf for word in ("inf", "Inf", "INF")},
    **{f".{word}": math.nan for word in ("nan", "NaN", "NAN")},
}
_OCTAL = re.compile(r"([+-]?)0_*([0-7][0-7_]*)")
_DECIMAL = re.compile(r"([+-]?)_*([0-9][0-9_]*)")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_HEXADECIMAL = re.compile(r"([+-]?)0x_*([0-9a-fA-F][0-9a-fA-F_]*)")
_BINARY = re.compile(r"([+-]?)0b_*([01][01_]+)")
_SEXAGESIMAL = re.compile(r"([+-]?)([0-9]+:[0-5]?[0-9][:0-9]*)(\.[0-9]+)?")

# The escape of half a character, which may or may not have its other half beside it.
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# Where the entry of a list has its name.
_NAMING_KEYS = ("name", "username", "custom_id", "group")

# A deeper nesting than any configuration needs, and less than the interpreter's stack.
_DEEPEST = 200


@dataclass(frozen=True)
class Document:
    """What a text says, and where: `lines` has the line (from 1) of every path."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)
    repeated: tuple[Path, ...] = ()  # keys that stand twice in one object; the last one counts
    first_line: int = 1  # of the document in its text

    def line_of(self, path: Path) -> int | None:
        """The line of a path, or of the nearest thing around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None

    def name_of(self, path: Path) -> str | None:
        """What the entry of a list calls itself."""
        value = self.value
        for part in path:
            if isinstance(part, int):
                value = value[part] if isinstance(value, list) and part < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        names = (value.get(key) for key in _NAMING_KEYS) if isinstance(value, dict) else ()
        return next((name for name in names if isinstance(name, str)), None)


def parse(text: str | bytes, source: str | None = None) -> Document:
    """Read YAML or JSON. Raises ConfigurationError, `errors` {"error": …}, for a text that is neither."""
    if isinstance(text, bytes):
        text = _decoded(text, source)
    looks_like_json = text.lstrip()[:1] in ("{", "[")
    if (source or "").endswith(".json") or (
        looks_like_json and not (source or "").endswith((".yml", ".yaml"))
    ):
        try:
            return Document(_object(_json(text), source))
        except json.JSONDecodeError as error:
            if (source or "").endswith(".json"):
                raise _failure(f"{error.lineno}:{error.colno}: {error.msg}", source, error.lineno) from None
        except RecursionError:
            raise _failure("too deep", source, None) from None
    (document,) = _yaml_documents(text, source, only_first=True)
    return Document(_object(document.value, source), document.lines, document.repeated)


def parse_all(text: str | bytes, source: str | None = None) -> list[Document]:
    """The documents of a YAML stream (`---` between them), or the one of a JSON text; any value, null for an empty one.

    Raises ConfigurationError for a text that is neither.
    """
    if isinstance(text, bytes):
        text = _decoded(text, source)
    return _yaml_documents(text, source, only_first=False)


def _yaml_documents(text: str, source: str | None, *, only_first: bool) -> list[Document]:
    try:
        reader = _Reader(text)
        if only_first:
            return [reader.first()]
        return list(reader.documents())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}: " if mark else ""
        text = f"{place}{error.problem or error.context}"
        raise _failure(text, source, mark.line + 1 if mark else None) from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise _failure(f"{line}: {error.reason}: #x{error.character:04x}", source, line) from None
    except _Unreadable as error:
        raise _failure(f"{error.line}:{error.column}: {error}", source, error.line) from None
    except YAMLError as error:
        raise _failure(" ".join(str(error).split()), source, None) from None


def _json(text: str) -> Any:
    value = json.loads(text)
    escaped = _LONE_SURROGATE.search(text)
    if escaped is not None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise json.JSONDecodeError("invalid unicode escape code", text, escaped.start()) from None
    return value


def _decoded(raw: bytes, source: str | None) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _failure(f"{line}: not UTF-8", source, line) from None


class _Unreadable(Exception):
    """Events that make no document."""

    def __init__(self, text: str, mark: Any) -> None:
        super().__init__(text)
        self.line = mark.line + 1
        self.column = mark.column + 1


def _object(value: Any, source: str | None) -> Any:
    if not isinstance(value, (dict, list)):
        raise _failure("expected an object", source, None)
    return value


def _failure(text: str, source: str | None, line: int | None) -> ConfigurationError:
    return ConfigurationError(
        {"error": f"failed parsing declarative configuration: {text}"},
        source,
        line_of=lambda _: line,
    )


class _Reader:
    """Builds values from the parser's events; an alias is the very value of its anchor."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(text))
        self._anchors: dict[str, Any] = {}
        self._repeated: list[Path] = []
        self.lines: dict[Path, int] = {}

    def first(self) -> Document:
        """The first document; one of null for an empty text."""
        found = next(self.documents(), Document(None))
        for _ in self._events:
            pass  # the rest has to be YAML too
        return found

    def documents(self) -> Iterator[Document]:
        """One document after the other."""
        for event in self._events:
            if type(event).__name__ == "DocumentStartEvent":
                self._anchors, self._repeated, self.lines = {}, [], {}
                start = next(self._events)
                value = self._node(start, ())
                yield Document(value, self.lines, tuple(self._repeated), start.start_mark.line + 1)

    def _node(self, event: Any, path: Path) -> Any:
        if path:
            self.lines.setdefault(path, event.start_mark.line + 1)
        if len(path) > _DEEPEST:
            raise _Unreadable("nested too deeply", event.start_mark)
        kind = type(event).__name__
        if kind == "AliasEvent":
            if event.anchor not in self._anchors:
                raise _Unreadable(f"invalid reference: {event.anchor}", event.start_mark)
            return self._anchors[event.anchor]
        if kind == "ScalarEvent":
            if any("\ud800" <= character <= "\udfff" for character in event.value):
                raise _Unreadable("found invalid Unicode character escape code", event.start_mark)
            value = _scalar(event)
        elif kind == "SequenceStartEvent":
            value = self._sequence(path)
        else:
            value = self._mapping(path)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            found.append(self._node(event, (*path, len(found))))
        return found

    def _mapping(self, path: Path) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        written: set[Any] = set()  # here, not brought in by a merge
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            key = self._node(event, ())
            if isinstance(key, (dict, list)):
                raise _Unreadable("a key must be a scalar", event.start_mark)
            key = "null" if key is None else key
            inner = next(self._events)
            if key == "<<" and not event.style:
                for name, value in self._merged(inner).items():
                    found.setdefault(name, value)
                continue
            place = (*path, key)
            if key in found:
                self._forget(place)
            if key in written:
                self._repeated.append(place)
            written.add(key)
            self.lines[place] = event.start_mark.line + 1
            found[key] = self._node(inner, place)
        return found

    def _merged(self, event: Any) -> dict[Any, Any]:
        value = self._node(event, ())
        merged: dict[Any, Any] = {}
        for mapping in value if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                raise _Unreadable("invalid '<<' merge event", event.start_mark)
            merged = {**mapping, **merged}
        return merged

    def _forget(self, path: Path) -> None:
        for known in [known for known in self.lines if known[: len(path)] == path]:
            del self.lines[known]


def _scalar(event: Any) -> Any:
    tag = (event.tag or "").removeprefix("tag:yaml.org,2002:")
    if tag == "str" or (not tag and event.style):
        return event.value
    if tag not in ("", "bool", "int", "float", "null"):
        return event.value
    return implicit(event.value)


def implicit(text: str) -> Any:
    """The value of an unquoted scalar."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789_":
        return text
    if found := _OCTAL.fullmatch(text):
        return _signed(found[1], int(found[2].replace("_", "") or "0", 8))
    if found := _DECIMAL.fullmatch(text):
        digits = found[2].replace("_", "")
        if digits == "0" or len(digits) > 1 or not digits.startswith("0"):
            return _signed(found[1], int(digits) if len(digits) < 4000 else math.inf)
    if re.search(r"[.eE]", text) and _FLOAT.fullmatch(text.replace("_", "")):
        return float(text.replace("_", ""))
    if text in _SPECIAL:
        return _SPECIAL[text]
    if found := _HEXADECIMAL.fullmatch(text):
        return _signed(found[1], int(found[2].replace("_", ""), 16))
    if found := _BINARY.fullmatch(text):
        return _signed(found[1], int(found[2].replace("_", ""), 2))
    if found := _SEXAGESIMAL.fullmatch(text):
        total = 0
        for digits in found[2].split(":"):
            total = total * 60 + int(digits or "0")
        return _signed(found[1], total + float(found[3]) if found[3] else total)
    return text


def _signed(sign: str, value: float) -> float:
    return -value if sign == "-" else value
