"""The body of an Admin API request as values: JSON, or form fields such as `config.limits.second=5`, `paths[]=/a`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from kong_declarative.schema import Field, Schema

from kong.embedded.admin_error import refused

_STEP = re.compile(r"[^.\[\]]+|\[\d*\]")


async def read(request: web.Request) -> tuple[dict[str, Any], bool]:
    """The fields of a body, and whether they came as a form (every value a text). Raises AdminError 400 and 415."""
    kind = request.headers.get("Content-Type", "").lower()
    if kind.startswith("application/json"):
        return await _json(request), False
    if kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        return nested(await fields(request)), True
    if kind or await request.read():
        raise refused(415, "Unsupported Media Type")
    return {}, False


async def fields(request: web.Request) -> list[tuple[str, str]]:
    """The fields of a form as they were sent."""
    found: list[tuple[str, str]] = []
    for name, value in (await request.post()).items():
        if isinstance(value, str):
            found.append((name, value))
        elif isinstance(value, web.FileField):
            found.append((name, value.file.read().decode("utf-8", "replace")))
        else:
            found.append((name, bytes(value).decode("utf-8", "replace")))
    return found


async def _json(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    if not raw:
        return {}
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise refused(400, "Cannot parse JSON body")
    return value


def nested(given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Form fields as one object: dots name members, brackets the entries of lists, an empty text is null."""
    found: dict[str, Any] = {}
    for name, value in given:
        steps = _STEP.findall(name) or [name]
        place: Any = found
        for step, following in itertools.pairwise(steps):
            place = _enter(place, step, [] if following.startswith("[") else {})
        _set(place, steps[-1], value if value != "" else None)
    return found


def _enter(place: Any, step: str, empty: Any) -> Any:
    if isinstance(place, list):
        place.append(empty)
        return place[-1]
    if not isinstance(place.get(step), (dict, list)):
        place[step] = empty
    return place[step]


def _set(place: Any, step: str, value: Any) -> None:
    if isinstance(place, list):
        place.append(value)
    elif step in place:
        before = place[step]
        place[step] = [*before, value] if isinstance(before, list) else [before, value]
    else:
        place[step] = value


def inferred(data: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Form values as the types that the schema asks for; what fits none stays a text."""
    subschema = schema.subschema(data)
    found: dict[str, Any] = {}
    for name, value in data.items():
        field = schema.field(name, subschema) or schema.shorthands.get(name)
        found[name] = value if field is None else _as(field, value)
    return found


def _as(field: Field, value: Any) -> Any:
    if field.type in ("array", "set"):
        listed = value if isinstance(value, list) else [] if value is None else [value]
        return [_as(field.elements, member) for member in listed] if field.elements else listed
    if isinstance(value, dict):
        if field.record is not None:
            return inferred(value, field.record)
        if field.values is not None:
            return {name: _as(field.values, member) for name, member in value.items()}
        return value
    if not isinstance(value, str):
        return value
    if field.type == "boolean" and value in ("true", "false"):
        return value == "true"
    if field.type in ("integer", "number") and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return value
