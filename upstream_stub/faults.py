"""Switchable faults: what to do with the next requests instead of answering them properly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .answers import Answer, as_json, error, success

_KEYS = {
    "status", "body", "headers", "delay_ms", "body_delay_ms", "drop_connection", "half_body", "reset", "raw",
    "accept", "times", "path", "method",
}  # fmt: skip


@dataclass(slots=True)
class Fault:
    """One behaviour as `PUT /__stub__/behaviour` set it.

    `times` counts down to 0; None goes on until cleared. `path` and `method` None match every call of the
    Merchant API. With `accept` the request is first carried out as usual (an order is made), then its answer
    is spoilt.
    """

    path: str | None
    method: str | None
    times: int | None
    status: int | None
    body: bytes | None
    content_type: str | None
    headers: list[tuple[str, str]]
    delay: float
    body_delay: float
    drop_connection: bool
    half_body: bool
    reset: bool
    raw: bytes | None
    accept: bool

    @classmethod
    def parse(cls, given: object) -> Fault:
        """Read the JSON of `PUT /__stub__/behaviour`. Raises ValueError in words for the one who sent it."""
        if not isinstance(given, dict):
            raise ValueError("behaviour: must be a JSON object")
        unknown = sorted(set(given) - _KEYS)
        if unknown:
            raise ValueError(f"behaviour: unknown {', '.join(unknown)}; known: {', '.join(sorted(_KEYS))}")
        body, content_type = _body(given.get("body"))
        raw = given.get("raw")
        status = _number(given, "status", None)
        if status is not None and not 100 <= status <= 999:
            raise ValueError("status: must be from 100 to 999")
        times = given.get("times", 1)
        return cls(
            path=_string(given, "path"),
            method=_string(given, "method"),
            times=None if times is None else int(_number(given, "times", 1) or 0),
            status=None if status is None else int(status),
            body=body,
            content_type=content_type,
            headers=_headers(given.get("headers")),
            delay=(_number(given, "delay_ms", 0) or 0) / 1000,
            body_delay=(_number(given, "body_delay_ms", 0) or 0) / 1000,
            drop_connection=bool(given.get("drop_connection")),
            half_body=bool(given.get("half_body")),
            reset=bool(given.get("reset")),
            raw=None if raw is None else _latin_1(raw),
            accept=bool(given.get("accept")),
        )

    def matches(self, method: str, path: str) -> bool:
        return (self.path is None or self.path == path) and (self.method is None or self.method == method)

    def silences(self) -> bool:
        """Whether the request ends without any answer."""
        return self.drop_connection or (self.reset and not self.half_body)

    def answer(self, path: str) -> Answer | None:
        """The answer to send instead of the proper one; None where only its way is spoilt."""
        if self.status is None and self.body is None:
            return None
        status = self.status or 200
        if self.body is None:
            made = success(status, None) if status < 400 else error(status, path)
            return Answer(status, made.body, self.headers)
        return Answer(status, self.body, self.headers, self.content_type)


class Faults:
    """The faults that are set, at most one for each path and method; the most particular one wins."""

    def __init__(self) -> None:
        self._set: list[Fault] = []

    def put(self, fault: Fault) -> None:
        """Set a fault in the place of the one for the same path. `times: 0` clears: that path's, or all."""
        if fault.times == 0 and fault.path is None:
            self._set = []
            return
        self._set = [old for old in self._set if (old.path, old.method) != (fault.path, fault.method)]
        if fault.times != 0:
            self._set.append(fault)
            self._set.sort(key=lambda fault: (fault.path is None, fault.method is None))

    def clear(self) -> None:
        self._set = []

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, counted as used."""
        for fault in self._set:
            if fault.matches(method, path):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._set.remove(fault)
                return fault
        return None

    def __len__(self) -> int:
        return len(self._set)


def _body(given: object) -> tuple[bytes | None, str | None]:
    if given is None:
        return None, None
    if isinstance(given, str):
        return given.encode("utf-8", "surrogatepass"), "text/plain; charset=utf-8"
    return as_json(given), "application/json"


def _headers(given: object) -> list[tuple[str, str]]:
    if given is None:
        return []
    if not isinstance(given, dict):
        raise ValueError("headers: must be an object of name and value, or name and list of values")
    rows = [
        (str(name), str(value))
        for name, values in given.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    if any("\n" in text or "\r" in text for row in rows for text in row):
        raise ValueError("headers: no line breaks; use raw for an answer that is not HTTP")
    return rows


def _number(given: dict[str, Any], name: str, default: float | None) -> float | None:
    value = given.get(name, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
        raise ValueError(f"{name}: must be a number from 0 up")
    return value


def _string(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: must be a string")
    return value


def _latin_1(raw: object) -> bytes:
    try:
        return str(raw).encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("raw: each character is one byte, up to U+00FF") from None
