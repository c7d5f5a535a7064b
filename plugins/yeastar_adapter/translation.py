"""What FutureSMS answers, in Yeastar's words: the table of the contract's section 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .futuresms.answer import Answer
from .yeastar.errors import (
    INVALID_PARAMETER,
    INVALID_PHONE_NUMBER,
    NO_PERMISSION,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    Error,
)

BY_ERROR_CODE = {
    "UNAUTHORIZED": NO_PERMISSION,
    "FORBIDDEN": NO_PERMISSION,
    "NOT_FOUND": NO_PERMISSION,
    "CONFLICT": SERVICE_UNAVAILABLE,
    "VALIDATION_ERROR": INVALID_PARAMETER,
    "TOO_MANY_REQUESTS": TOO_MANY_REQUESTS,
}
"""What a known `error_code` means where its HTTP status says nothing."""


@dataclass(frozen=True)
class Row:
    """One row: the answers that it is about, and what the PBX gets."""

    about: str
    applies: Callable[[Answer], bool]
    error: Callable[[Answer], Error]


def _status(*statuses: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.status in statuses


def _always(error: Error) -> Callable[[Answer], Error]:
    return lambda answer: error


# First match wins.
TABLE = (
    Row(
        "400 / 422 VALIDATION_ERROR about phone_number",
        lambda a: (
            a.status in (400, 422) and a.error_code == "VALIDATION_ERROR" and a.concerns("phone_number")
        ),
        _always(INVALID_PHONE_NUMBER),
    ),
    Row("other 400 / 422, 413, 415", _status(400, 422, 413, 415), _always(INVALID_PARAMETER)),
    Row("401, with a new token too", _status(401), _always(NO_PERMISSION)),
    Row("402, 403, 404", _status(402, 403, 404), _always(NO_PERMISSION)),
    Row(
        "409 CONFLICT on client_order_id",
        lambda a: a.status == 409 and a.error_code == "CONFLICT",
        _always(SERVICE_UNAVAILABLE),
    ),
    Row("429", _status(429), _always(TOO_MANY_REQUESTS)),
    Row("408, 425, 499", _status(408, 425, 499), _always(SERVICE_UNAVAILABLE)),
    Row(
        "any other 4xx",
        lambda a: 400 <= a.status < 500,
        lambda a: BY_ERROR_CODE.get(a.error_code, INVALID_PARAMETER),
    ),
    Row(
        "1xx, 3xx, 5xx, not JSON, a 2xx without order_id",
        lambda a: True,
        _always(SERVICE_UNAVAILABLE),
    ),
)


def error_for(answer: Answer) -> Error:
    """The catalogue entry for an answer that is no order."""
    return next(row.error(answer) for row in TABLE if row.applies(answer))
