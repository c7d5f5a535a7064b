"""Mechanical corrections of files, line by line: comments and layout stay as they are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from kong_declarative import yaml_document
from kong_declarative.configuration_error import ConfigurationError

from .finding import Finding


def corrected(texts: Mapping[str, str], findings: Iterable[Finding]) -> dict[str, str]:
    """The texts by file name with every edit of the findings applied that fits its line exactly once.

    A correction that two findings ask for is made once; one that does not fit the line any more is left out.
    """
    lines = {name: text.splitlines(keepends=True) for name, text in texts.items()}
    below: dict[str, list[tuple[int, str]]] = {}
    done: set[tuple[str, int, str, str]] = set()
    for finding in findings:
        edit, place = finding.edit, lines.get(finding.file)
        if edit is None or place is None or not 0 < finding.line <= len(place):
            continue
        mark = (finding.file, finding.line, edit.old, edit.new)
        if mark in done:
            continue
        done.add(mark)
        if not edit.old:
            below.setdefault(finding.file, []).append((finding.line - 1, edit.new))
            continue
        line = place[finding.line - 1]
        if line.count(edit.old) == 1:
            place[finding.line - 1] = line.replace(edit.old, _quoted(line, edit.old, edit.new))
    for name, additions in below.items():
        for index, text in sorted(additions, reverse=True):
            lines[name].insert(index, text + "\n")
    return {name: _readable("".join(place), texts[name]) for name, place in lines.items()}


def _readable(text: str, before: str) -> str:
    """The corrected text, or the one before where the correction would make it unreadable, as in JSON."""
    try:
        yaml_document.parse_all(text)
    except ConfigurationError:
        return before
    return text


def _quoted(line: str, old: str, new: str) -> str:
    """A vault reference needs quotes, which the value before it may not have had."""
    before = line[: line.index(old)].rstrip(" ")
    if new.startswith("{") and before[-1:] not in ('"', "'"):
        return f'"{new}"'
    return new


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The changed lines as a unified diff, without lines around them: those may hold secrets."""
    shown = ""
    for name, text in before.items():
        if after[name] != text:
            shown += "".join(
                difflib.unified_diff(
                    text.splitlines(keepends=True), after[name].splitlines(keepends=True), name, name, n=0
                )
            )
    return shown
