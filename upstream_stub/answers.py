"""The two envelopes of the Merchant API (FutureSMS documentation, "Response Envelope")."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus

from . import clock

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":")).encode

ERROR_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    402: "PAYMENT_REQUIRED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    422: "VALIDATION_ERROR",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}

_request_ids = 0
_run = secrets.token_hex(4)


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str | None = "application/json"


class ApiError(Exception):
    """A call that the Merchant API answers with its error envelope."""

    def __init__(self, status: int, details: str | None, reason: str | None = None) -> None:
        super().__init__(details)
        self.status = status
        self.details = details
        self.reason = reason


def as_json(value: object) -> bytes:
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return _encode_ascii(value).encode()


def success(status: int, data: object, details: str | None = None) -> Answer:
    """The success envelope: `message`, `details`, `data`, `meta`."""
    return Answer(
        status,
        as_json({"message": _phrase(status), "details": details, "data": data, "meta": None}),
    )


def error(status: int, path: str, details: str | None = None, reason: str | None = None) -> Answer:
    """The error envelope: `error_code`, `reason`, `message`, `details`, `path`, `timestamp`, `request_id`."""
    global _request_ids
    _request_ids += 1
    iso, compact = clock.now()
    return Answer(
        status,
        as_json(
            {
                "error_code": ERROR_CODES.get(status, "ERROR"),
                "reason": reason,
                "message": "Validation failed" if status == 422 else _phrase(status),
                "details": details,
                "path": path,
                "timestamp": iso,
                "request_id": f"req_20{compact[:6]}_{_run}_{_request_ids:06d}",
            }
        ),
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
