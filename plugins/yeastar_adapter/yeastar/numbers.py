"""Phone numbers as the contract wants them: E.164, and possible for their country."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumberType

Check = Literal["possible", "valid", "mobile"]

# ASCII digits only: `\d` would also take the digits of every other script.
E164 = re.compile(r"\+[1-9][0-9]{0,14}")

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


# A PBX has a handful of senders and writes to the same people again; parsing costs about 30 µs a number.
@lru_cache(maxsize=16384)
def objection(number: str, check: Check = "possible") -> str | None:
    """Say what is wrong with a number, or None when an SMS can go to it.

    `possible`: the length fits its country; `valid`: its range is assigned; `mobile`: a range of mobiles.
    The number itself is never re-formatted: `phonenumbers` would print `+630000000001` with a zero lost.
    """
    if not E164.fullmatch(number):
        return "is not a valid E.164 phone number"
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "is not a possible phone number: its country code does not exist"
    if not phonenumbers.is_possible_number(parsed):
        return "is not a possible phone number for its country"
    if check == "possible":
        return None
    if not phonenumbers.is_valid_number(parsed):
        return "is not a valid phone number for its country"
    if check == "mobile" and phonenumbers.number_type(parsed) not in _MOBILE:
        return "is not a mobile phone number"
    return None


def masked(number: str) -> str:
    """A number as logs may show it: the last four digits."""
    return "…" + number[-4:] if len(number) > 4 else "…"
