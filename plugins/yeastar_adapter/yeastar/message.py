"""The message that a Yeastar PBX posts to `sendmessage` (contract, section 1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from . import numbers
from .errors import INVALID_PARAMETER, INVALID_PHONE_NUMBER, UNSUPPORTED_MEDIA, Refusal

MAX_TEXT = 2000
"""Longest text, in Unicode code points."""

_MAX_DIGITS = 4300


@dataclass(frozen=True)
class Message:
    """A valid message: sender number and recipient as the PBX wrote them, and the text."""

    sender: str
    recipient: str
    text: str

    @classmethod
    def parse(cls, body: bytes, recipient_check: numbers.Check = "possible") -> Message:
        """Read the JSON body of `sendmessage`.

        Raises Refusal: 10001 for a `from` or `to` that is no usable number, 10003 for media, 10002 for
        everything else; the first that applies in the order media, `from`, `to`, `text`.
        """
        fields = _object(body)
        _refuse_media(fields.get("media_urls"))
        sender = _number("from", fields.get("from"), "possible")
        recipient = _number("to", fields.get("to"), recipient_check)
        return cls(sender, recipient, _text(fields.get("text")))


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise _invalid("the body is not valid UTF-8") from None
    except RecursionError:
        raise _invalid("the body is nested too deeply") from None
    except ValueError as error:
        # Python's own words are kept out: they differ from version to version and may quote the message.
        reason = str(error) if isinstance(error, _JsonRefusal) else "the body is not valid JSON"
        raise _invalid(reason) from None
    if not isinstance(fields, dict):
        raise _invalid("the body is not a JSON object")
    # Only an escape can bring in a surrogate (the decoder has refused raw ones), so most bodies skip this.
    if b"\\u" in body and not _encodable(fields):
        raise _invalid("the body has a lone surrogate")
    return fields


class _JsonRefusal(ValueError):
    """JSON that the standard library would take and the contract does not."""


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _JsonRefusal("the body repeats a key")
    return fields


def _float(digits: str) -> float:
    # As Python does for integers, and for the same reason; no field of the contract is a number.
    if len(digits) > _MAX_DIGITS:
        raise _JsonRefusal("the body has a number of too many digits")
    return float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise _JsonRefusal(f"the body has {name}, which is not JSON")


# Made once: `json.loads` with hooks makes one each time.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unrepeated, parse_constant=_refuse_constant, parse_float=_float
)


def _encodable(fields: dict[str, Any]) -> bool:
    try:
        json.dumps(fields, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _refuse_media(urls: Any) -> None:
    if urls is None or urls == []:
        return
    if not isinstance(urls, list):
        raise _invalid("'media_urls' is not an array")
    raise Refusal(UNSUPPORTED_MEDIA, "'media_urls' is not supported: only text messages can be sent")


def _number(name: str, value: Any, check: numbers.Check) -> str:
    if value is None:
        raise _invalid(f"'{name}' is required")
    if not isinstance(value, str):
        raise Refusal(INVALID_PHONE_NUMBER, f"'{name}' is not a valid E.164 phone number: it is not a string")
    objection = numbers.objection(value, check)
    if objection:
        raise Refusal(INVALID_PHONE_NUMBER, f"'{name}' {objection}")
    return value


def _text(value: Any) -> str:
    if value is None:
        raise _invalid("'text' is required")
    if not isinstance(value, str):
        raise _invalid("'text' is not a string")
    if len(value) > MAX_TEXT:
        raise _invalid(f"'text' is longer than {MAX_TEXT} characters")
    if not value.strip():
        raise _invalid("'text' is blank")
    return value


def _invalid(detail: str) -> Refusal:
    return Refusal(INVALID_PARAMETER, detail)
