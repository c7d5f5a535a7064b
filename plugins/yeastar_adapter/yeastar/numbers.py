"""Phone numbers as the contract wants them (section 1): E.164, possible for their country, and exactly that number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Literal, NamedTuple

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberType,
    ValidationResult,
)

Check = Literal["possible", "valid", "mobile"]

# ASCII digits only: `\d` would also take the digits of every other script.
E164 = re.compile(r"\+[1-9][0-9]{0,14}")

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})

# Prefixes that people still dial after the country code and `phonenumbers` no longer knows: Mexico's 1 of mobiles,
# abolished in 2019.
_FORMER_PREFIX = {52: "1"}

# Without "+" a shorter number may as well be one of the user's own country.
_INTERNATIONAL_DIGITS = 11

_LENGTHS = {
    ValidationResult.TOO_SHORT: "it is too short",
    ValidationResult.TOO_LONG: "it is too long",
    ValidationResult.INVALID_LENGTH: "no number of that country is so long",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "it is too short, as it is dialled within its own area only",
}


# A PBX has a handful of senders and writes to the same people again; parsing costs about 20 µs a number.
@lru_cache(maxsize=4096)
def sender_problem(number: str) -> str | None:
    """What is wrong with a `from`, or None: its length must be one that its country knows.

    It goes nowhere as a number, so FutureSMS's own example `+630000000001` passes.
    """
    if not E164.fullmatch(number):
        return _malformed(number)
    if _is_plainly_possible(number, lenient=True):
        return None
    parsed = _parsed(number)
    if isinstance(parsed, str):
        return parsed
    if phonenumbers.is_possible_number(parsed):
        return None
    return _impossible(number, parsed, phonenumbers.is_possible_number_with_reason(parsed))


@lru_cache(maxsize=16384)
def recipient_problem(number: str, check: Check = "possible") -> str | None:
    """What is wrong with a `to`, or None when an SMS can go to it exactly as it is written.

    `possible`: of a full length for its country, and what `phonenumbers` reads in it, written in E.164, is the same
    number: no trunk zero, no doubled country code; `valid`: its range is assigned as well; `mobile`: to mobiles.
    """
    if not E164.fullmatch(number):
        return _malformed(number)
    if check == "possible" and _is_plainly_possible(number):
        return None
    parsed = _parsed(number)
    if isinstance(parsed, str):
        return parsed
    problem = _other_number(number, parsed)
    if problem:
        return problem
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible != ValidationResult.IS_POSSIBLE:
        return _impossible(number, parsed, possible)
    if check == "possible":
        return None
    if not phonenumbers.is_valid_number(parsed):
        return "is not a valid phone number for its country: nobody has been assigned its range"
    if check == "mobile" and phonenumbers.number_type(parsed) not in _MOBILE:
        return "is not a mobile phone number"
    return None


def without_suggestion(problem: str) -> str:
    """A problem without the number that was probably meant."""
    return problem.partition("; ")[0]


def masked(number: str) -> str:
    """A number as logs may show it: the last four digits."""
    return "…" + number[-4:] if len(number) > 4 else "…"


def country_code(number: str) -> int | None:
    """The country code that an E.164 number begins with; no code is the beginning of another."""
    for end in (2, 3, 4):
        code = int(number[1:end])
        if code in COUNTRY_CODE_TO_REGION_CODE:
            return code
    return None


class _Plan(NamedTuple):
    """A country's lengths of a number, without the country code, and its national prefix."""

    full: frozenset[int]
    lenient: frozenset[int]
    prefix: re.Pattern[str] | None


@cache
def _plan(code: int) -> _Plan:
    main_region = COUNTRY_CODE_TO_REGION_CODE[code][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, main_region)
    if metadata is None or metadata.general_desc is None:
        return _Plan(frozenset(), frozenset(), None)
    # A number has at least two digits after its country code (`phonenumberutil._MIN_LENGTH_FOR_NSN`).
    full = frozenset(n for n in metadata.general_desc.possible_length if n >= 2)
    local = frozenset(n for n in metadata.general_desc.possible_length_local_only if n >= 2)
    prefix = metadata.national_prefix_for_parsing
    return _Plan(full, full | local, re.compile(prefix) if prefix else None)


def _is_plainly_possible(number: str, lenient: bool = False) -> bool:
    """Whether an E.164 number has a length that its country knows, and nothing that may be a prefix.

    Then `phonenumbers` would find it possible too, after thirty times as long. Of the others it must say itself.
    """
    code = country_code(number)
    if code is None:
        return False
    plan, written = _plan(code), str(code)
    national = number[1 + len(written) :]
    if len(national) not in (plan.lenient if lenient else plan.full):
        return False
    if plan.prefix is not None and plan.prefix.match(national):
        return False
    return lenient or not national.startswith(written)


def _parsed(number: str) -> PhoneNumber | str:
    """An E.164 number as `phonenumbers` reads it, or what is wrong with it."""
    code = country_code(number)
    if code is None:
        if any(str(known).startswith(number[1:]) for known in COUNTRY_CODE_TO_REGION_CODE):
            return "is not a possible phone number: it is too short, it ends within the country code"
        return "is not a possible phone number: its country code does not exist"
    try:
        return phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        # All else that it may raise is about what E.164 has ruled out.
        return f"is not a possible phone number: it is too short, with {_digits(number, code)}"


def _digits(number: str, code: int) -> str:
    count = len(number) - 1 - len(str(code))
    return f"{count} digit{'' if count == 1 else 's'} after +{code}"


def _other_number(number: str, parsed: PhoneNumber) -> str | None:
    """What stands in the number that is no part of it, or None."""
    code = str(parsed.country_code)
    national = number[1 + len(code) :]
    written = _e164(parsed)
    if written != number:
        core = written[1 + len(code) :]
        prefix = national.removesuffix(core) if national.endswith(core) else ""
        named = f"'{prefix}' " if prefix else ""
        return (
            f"is not a valid E.164 phone number: it has the national prefix {named}after the country code"
            + (_meant(number))
        )
    if not national.startswith(code) or phonenumbers.is_valid_number(parsed):
        return None
    rest = f"+{national}"
    return (
        f"is not a valid E.164 phone number: it has the country code twice{_suggestion(rest)}"
        if _is_good(rest)
        else None
    )


def _impossible(number: str, parsed: PhoneNumber, result: int) -> str:
    length = f"{_LENGTHS[result]}, with {_digits(number, parsed.country_code or 0)}"
    return f"is not a possible phone number: {length}{_meant(number)}"


def _malformed(number: str) -> str:
    """What is wrong with what is not even E.164, from the outside in."""
    if not number.strip():
        reason = "it is empty"
    elif re.fullmatch(r"\+[1-9][0-9]*", number):
        reason = "it is too long, with more than 15 digits"
    elif number == "+":
        reason = "it is too short, with no digits"
    elif re.fullmatch(r"\+0[0-9]*", number):
        reason = "no country code begins with 0"
    elif re.fullmatch(r"[0-9]+", number):
        reason = "it does not begin with '+' and the country code"
    else:
        reason = "it may have nothing but '+' and digits"
    return f"is not a valid E.164 phone number: {reason}{_meant_by(number)}"


def _meant_by(text: str) -> str:
    """What was meant by something that people write for a number: with blanks, with 00 for the plus."""
    if len(text) > 64:
        return ""
    # Full-width digits and the plus of a phone's address book become ASCII here.
    plain = re.sub(r"\(0\)", "", unicodedata.normalize("NFKC", text))
    digits = re.sub(r"[^0-9]", "", plain)
    international = re.match(r"\W*(tel:)?\W*(\+|00)", plain) or len(digits) >= _INTERNATIONAL_DIGITS
    number = "+" + digits.lstrip("0")
    if not international or not E164.fullmatch(number):
        return ""
    return _suggestion(number) if _is_good(number) else _meant(number)


def _meant(number: str) -> str:
    """`; +639171234567 was probably meant`, where that is plain; else nothing."""
    return next((_suggestion(candidate) for candidate in _candidates(number) if _is_good(candidate)), "")


def _suggestion(number: str) -> str:
    return f"; {number} was probably meant"


def _candidates(number: str) -> Iterator[str]:
    """Numbers that an impossible one may stand for: without what people put after the country code."""
    code = country_code(number)
    if code is None:
        return
    try:
        yield _e164(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return
    plus = f"+{code}"
    national = number[len(plus) :]
    for kept in (national, national.lstrip("0")):
        yield plus + kept
        if kept.startswith(str(code)):
            yield plus + kept[len(str(code)) :].lstrip("0")
        former = _FORMER_PREFIX.get(code)
        if former and kept.startswith(former):
            yield plus + kept[len(former) :]


def _is_good(number: str) -> bool:
    """Whether a number is assigned, can be dialled from abroad, and is written as it is.

    Some are assigned and not of a full length: Canada's +1 310 xxxx is dialled without an area code.
    """
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    return (
        phonenumbers.is_valid_number(parsed)
        and phonenumbers.is_possible_number_with_reason(parsed) == ValidationResult.IS_POSSIBLE
        and _e164(parsed) == number
    )


def _e164(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
