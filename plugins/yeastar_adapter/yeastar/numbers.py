"""Phone numbers as the contract wants them: E.164, and possible for their country."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal, NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType

Check = Literal["possible", "valid", "mobile"]

# ASCII digits only: `\d` would also take the digits of every other script.
E164 = re.compile(r"\+[1-9][0-9]{0,14}")

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


# A PBX has a handful of senders and writes to the same people again; parsing costs about 20 µs a number.
@lru_cache(maxsize=16384)
def objection(number: str, check: Check = "possible") -> str | None:
    """Say what is wrong with a number, or None when an SMS can go to it.

    `possible`: the length fits its country; `valid`: its range is assigned; `mobile`: a range of mobiles.
    The number itself is never re-formatted: `phonenumbers` would print `+630000000001` with a zero lost.
    """
    if not E164.fullmatch(number):
        return "is not a valid E.164 phone number"
    if check == "possible" and _is_plainly_possible(number):
        return None
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


def _is_plainly_possible(number: str) -> bool:
    """Whether an E.164 number has a length that its country knows, and nothing that may be a national prefix.

    Then `phonenumbers` would find it possible too, after thirty times as long. Of the others it must say itself.
    """
    for end in (2, 3, 4):
        country_code = int(number[1:end])
        if country_code in COUNTRY_CODE_TO_REGION_CODE:
            plan = _plan(country_code)
            national = number[end:]
            return len(national) in plan.lengths and (plan.prefix is None or not plan.prefix.match(national))
    return False


class _Plan(NamedTuple):
    """A country's possible lengths of a number, without the country code, and its national prefix."""

    lengths: frozenset[int]
    prefix: re.Pattern[str] | None


@cache
def _plan(country_code: int) -> _Plan:
    main_region = COUNTRY_CODE_TO_REGION_CODE[country_code][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, main_region)
    if metadata is None or metadata.general_desc is None:
        return _Plan(frozenset(), None)
    lengths = (*metadata.general_desc.possible_length, *metadata.general_desc.possible_length_local_only)
    prefix = metadata.national_prefix_for_parsing
    # A number has at least two digits after its country code (`phonenumberutil._MIN_LENGTH_FOR_NSN`).
    return _Plan(frozenset(n for n in lengths if n >= 2), re.compile(prefix) if prefix else None)


def masked(number: str) -> str:
    """A number as logs may show it: the last four digits."""
    return "…" + number[-4:] if len(number) > 4 else "…"
