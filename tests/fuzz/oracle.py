"""What the contract says of a request and of an answer: written from the contract alone, to judge the adapter by."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

import phonenumbers
import regex
from phonenumbers import PhoneNumberFormat, ValidationResult

ACCEPTED = "accepted"

_NESTING = re.compile(rb"[\[{]")

_NOTHING_SEEN = regex.compile(
    r"[[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}\p{Cf}\p{Noncharacter_Code_Point}\u2800\U00016FE4\U0001D159]"
    r"--\p{Prepended_Concatenation_Mark}]*",
    regex.V1,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def of_body(body: bytes) -> set[str]:
    """What may come of a body, the key being good: ACCEPTED, or codes of Yeastar's catalogue."""
    if len(body) > 64 * 1024:
        return {"10002"}
    try:
        fields = json.loads(body.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_object)
    except RecursionError:
        return {"10002"}
    except ValueError:
        return {"10002"}
    if not isinstance(fields, dict) or _has_surrogate(fields):
        return {"10002"}
    verdict = _of_fields(fields)
    if len(_NESTING.findall(body)) > 100 or body.count(b",") > 2000:
        # Where nesting exhausts a parser is its own affair, and Python versions differ in it; so is how many values
        # beside the message are too many.
        return {verdict, "10002"}
    return {verdict}


def _of_fields(fields: dict[str, Any]) -> str:
    media = fields.get("media_urls")
    if media is not None and not isinstance(media, list):
        return "10002"
    if media:
        return "10003"
    for name in ("from", "to"):
        number = fields.get(name)
        if number is None:
            return "10002"
        if not isinstance(number, str) or not _is_usable(number, whole=name == "to"):
            return "10001"
    text = fields.get("text")
    if not isinstance(text, str) or len(text) > 2000 or _NOTHING_SEEN.fullmatch(text):
        return "10002"
    if set(_CONTROL.findall(text)) - set("\n\r\t"):
        return "10002"
    return ACCEPTED


def _is_usable(number: str, whole: bool) -> bool:
    digits = number[1:]
    if not (number.startswith("+") and digits.isascii() and digits.isdigit() and 1 <= len(digits) <= 15):
        return False
    if digits.startswith("0"):
        return False
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return False
    if not whole:
        return bool(phonenumbers.is_possible_number(parsed))
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return False
    return _is_itself(number, parsed) and not _has_the_code_twice(number, parsed)


def _is_itself(number: str, parsed: phonenumbers.PhoneNumber) -> bool:
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164) == number


def _has_the_code_twice(number: str, parsed: phonenumbers.PhoneNumber) -> bool:
    code = str(parsed.country_code)
    rest = "+" + number[1 + len(code) :]
    if phonenumbers.is_valid_number(parsed) or not rest.startswith("+" + code):
        return False
    try:
        once = phonenumbers.parse(rest, None)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(once) and _is_itself(rest, once)


def of_futuresms(status: int, body: bytes) -> str:
    """The order id, or the code, that FutureSMS's answer means; a 401 is one that a new token does not mend."""
    envelope = _envelope(body)
    inner = envelope.get("data")
    order_id = inner.get("order_id") if isinstance(inner, dict) else None
    code = envelope.get("error_code")
    code = code.upper() if isinstance(code, str) else ""
    about = re.sub(r"[^a-z]", "", json.dumps([envelope.get("reason"), envelope.get("details")]).lower())
    if 200 <= status < 300:
        if isinstance(order_id, str) and order_id.strip():
            return f"order {order_id}"
        if isinstance(order_id, int) and not isinstance(order_id, bool):
            return f"order {order_id}"
    if status in (400, 422) and code == "VALIDATION_ERROR" and "phonenumber" in about:
        return "10001"
    if status in (400, 413, 415, 422):
        return "10002"
    if status in (401, 402, 403, 404):
        return "10005"
    if status in (408, 425, 499) or (status == 409 and code == "CONFLICT"):
        return "10007"
    if status == 429:
        return "10006"
    if 400 <= status < 500:
        known = {
            "UNAUTHORIZED": "10005",
            "FORBIDDEN": "10005",
            "NOT_FOUND": "10005",
            "CONFLICT": "10007",
            "VALIDATION_ERROR": "10002",
            "TOO_MANY_REQUESTS": "10006",
        }
        return known.get(code, "10002")
    return "10007"


def _envelope(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer of at most 64 KB; compressed or not, though no compression was asked for."""
    try:
        if body.startswith(b"\x1f\x8b"):
            body = zlib.decompressobj(wbits=31).decompress(body)
    except zlib.error:
        return {}
    if len(body) > 64 * 1024:
        return {}
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a repeated key")
    return dict(pairs)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _has_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return any(_has_surrogate(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(map(_has_surrogate, value))
    return False
