"""The message that a Yeastar PBX posts to `sendmessage` (contract, section 1)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from . import sms
from .countries import region_of
from .errors import INVALID_PARAMETER, INVALID_PHONE_NUMBER, UNSUPPORTED_MEDIA, DestinationRefused, Refusal
from .numbers import Check, recipient_problem, sender_problem, without_suggestion
from .text import control_character, is_blank

MAX_TEXT = 2000
"""Longest text, in Unicode code points."""

MAX_BODY = 64 * 1024
"""Longest body that is looked at, in bytes. A message whose every character is escaped has 25 KB."""

_MAX_DIGITS = 4300

# A value costs a microsecond, with 64 KB of them the parser would hold up everybody for 20 ms. What separates values
# is counted wherever it stands: a text may have 2000 of it.
_MAX_VALUES = 2500
_SEPARATORS = (b",", b"[", b"{")

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


@dataclass(frozen=True)
class MessageRules:
    """What a PBX may send: how strictly `to` is checked, where it may go (None: anywhere), and how long a text may be.

    `text_limit` is in code points, `sms_parts` in SMS (None: any number).
    """

    recipient_check: Check = "possible"
    countries: frozenset[str] | None = None
    text_limit: int | None = None
    sms_parts: int | None = None


ANYTHING = MessageRules()


class Message(NamedTuple):
    """A valid message: sender number and recipient as the PBX wrote them, and the text."""

    sender: str
    recipient: str
    text: str

    @classmethod
    def parse(cls, body: bytes | None, rules: MessageRules = ANYTHING) -> Message:
        """Read the JSON body of `sendmessage`; None is one that was too long for the reader.

        Raises Refusal: 10001 for a `from` or `to` that is no usable number, 10003 for media, 10005 for a country that
        the rules leave out, 10002 for everything else; the first that applies in the order media, `from`, `to`, `text`.
        """
        fields = _object(body)
        _refuse_media(fields.get("media_urls"))
        sender = _string("from", fields.get("from"))
        _refuse_number("from", sender_problem(sender))
        recipient = _string("to", fields.get("to"))
        _refuse_number("to", recipient_problem(recipient, rules.recipient_check))
        if rules.countries is not None:
            region = region_of(recipient)
            if region not in rules.countries:
                raise DestinationRefused(recipient, region)
        text = _text(fields.get("text"))
        if rules.text_limit is not None or rules.sms_parts is not None:
            _refuse_long(text, rules)
        return cls(sender, recipient, text)


def _object(body: bytes | None) -> dict[str, Any]:
    # Before anything looks into it: to parse a megabyte takes 50 ms, in which nobody else is served.
    if body is None or len(body) > MAX_BODY:
        raise _invalid(f"the body is longer than {MAX_BODY // 1024} KB")
    if len(body) > _MAX_VALUES and sum(map(body.count, _SEPARATORS)) > _MAX_VALUES:
        raise _invalid("the body has too many values")
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
    if b"\\u" in body and _has_lone_surrogate(body):
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


def _has_lone_surrogate(body: bytes) -> bool:
    """Whether an escape in valid JSON stands for half a character. Raw surrogates the UTF-8 decoder has refused."""
    # An escaped backslash is no beginning of an escape.
    escapes = body.replace(rb"\\", b"  ")
    return _SURROGATE.search(_SURROGATE_PAIR.sub(b"", escapes)) is not None


def _refuse_media(urls: Any) -> None:
    if urls is None or urls == []:
        return
    if not isinstance(urls, list):
        raise _invalid("'media_urls' is not an array")
    raise Refusal(UNSUPPORTED_MEDIA, "'media_urls' is not supported: only text messages can be sent")


def _string(name: str, value: Any) -> str:
    if value is None:
        raise _invalid(f"'{name}' is required")
    if not isinstance(value, str):
        raise Refusal(INVALID_PHONE_NUMBER, f"'{name}' is not a valid E.164 phone number: it is not a string")
    return value


def _refuse_number(name: str, problem: str | None) -> None:
    if problem:
        # What was probably meant is a whole number, which is for the PBX and not for the log.
        raise Refusal(
            INVALID_PHONE_NUMBER, f"'{name}' {problem}", reason=f"'{name}' {without_suggestion(problem)}"
        )


def _text(value: Any) -> str:
    if value is None:
        raise _invalid("'text' is required")
    if not isinstance(value, str):
        raise _invalid("'text' is not a string")
    if len(value) > MAX_TEXT:
        raise _invalid(f"'text' is longer than {MAX_TEXT} characters: it has {len(value)}")
    if is_blank(value):
        raise _invalid("'text' is blank: it has no visible characters")
    control = control_character(value)
    if control is not None:
        raise _invalid(
            f"'text' is not plain text: character {control + 1} is the control character U+{ord(value[control]):04X}"
        )
    return value


def _refuse_long(text: str, rules: MessageRules) -> None:
    if rules.text_limit is not None and len(text) > rules.text_limit:
        raise _invalid(f"'text' is longer than {rules.text_limit} characters: it has {len(text)}")
    if rules.sms_parts is None:
        return
    size = sms.parts(text)
    if size.parts > rules.sms_parts:
        raise _invalid(
            f"'text' is longer than {rules.sms_parts} SMS: it takes {size.parts}. {_room(text, size, rules)}"
        )


def _room(text: str, size: sms.Size, rules: MessageRules) -> str:
    """What fits, in words that a PBX user can act on."""
    alone, joined = sms.CAPACITY[size.encoding]
    room = alone if rules.sms_parts == 1 else joined * (rules.sms_parts or 1)
    fits = f"It counts {size.units} characters, and {room} fit"
    character = sms.beyond_gsm7(text)
    if not character:
        return fits
    shown = (
        f"'{character}' (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
    )
    return f"{fits}; without characters such as {shown} more would"


def _invalid(detail: str) -> Refusal:
    return Refusal(INVALID_PARAMETER, detail)
