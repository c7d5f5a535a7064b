"""Regular expressions of routes: Kong's router matches them with Rust's `regex`, those of paths from the start."""

from __future__ import annotations

import re

# What Python's `re` knows and Rust's `regex` does not: look-around, references back, conditions, atomic groups.
_LOOK_AROUND = re.compile(r"\(\?(=|!|<=|<!|>|\(|P=|P>)")
_REFERENCE_BACK = re.compile(r"\\(?:[1-9]|k<)")


class InvalidRegex(ValueError):
    """A regular expression that the router cannot use."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The expression of a path without its `~`, or of a header without its `~*`. Raises InvalidRegex."""
    plain = re.sub(r"\\\\", "", pattern)
    if _LOOK_AROUND.search(plain):
        raise InvalidRegex("look-around is not supported")
    if _REFERENCE_BACK.search(plain):
        raise InvalidRegex("backreferences are not supported")
    try:
        return re.compile(_for_python(pattern))
    except re.error as error:
        raise InvalidRegex(str(error)) from None


def fault(pattern: str) -> str | None:
    """What the router has against an expression, or None."""
    try:
        compile_pattern(pattern)
    except InvalidRegex as error:
        return str(error)
    return None


def pcre_error(pattern: str) -> str | None:
    """What is wrong with the expression's syntax, or None. Texts are Python's."""
    try:
        re.compile(_for_python(pattern))
    except re.error as error:
        return str(error)
    return None


def _for_python(pattern: str) -> str:
    """Rust's spelling in Python's: named groups, and `$` and `\\z` for the very end."""
    translated = ""
    in_class = escaped = False
    for index, character in enumerate(pattern):
        if escaped:
            translated += "Z" if character == "z" and not in_class else character
            escaped = False
        elif character == "\\":
            translated += character
            escaped = True
        elif in_class:
            translated += character
            in_class = character != "]"
        elif character == "$":
            translated += r"\Z"
        elif character == "<" and translated.endswith("(?") and pattern[index + 1 : index + 2] not in "=!":
            translated += "P<"
        else:
            translated += character
            in_class = character == "["
    return translated
