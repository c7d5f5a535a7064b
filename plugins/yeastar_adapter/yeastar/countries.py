"""Which country a number belongs to, and which countries a PBX may send to (`recipients.countries`)."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneNumber

from .numbers import country_code

NON_GEOGRAPHIC = "001"
"""What numbers of no country belong to: satellite phones, international freephone."""

# What people write for a region whose code is another one.
_MISNOMERS = {"UK": "GB", "EL": "GR", "EN": "GB"}


@lru_cache(maxsize=16384)
def region_of(number: str) -> str:
    """The region of a possible E.164 number: `PH`, or `001` for a number of no country.

    Regions that share a country code are told apart as far as the number tells; a number that none of their plans
    knows counts as the main one's (of +1 the United States, of +44 Great Britain).
    """
    code = country_code(number)
    regions = COUNTRY_CODE_TO_REGION_CODE.get(code or 0, (NON_GEOGRAPHIC,))
    if len(regions) == 1:
        return str(regions[0])
    return str(phonenumbers.region_code_for_number(_as_read(number, code or 0)) or regions[0])


def _as_read(number: str, code: int) -> PhoneNumber:
    """What `phonenumbers.parse` reads in a number that passed the check of recipients, for a third of its time."""
    national = number[1 + len(str(code)) :]
    zeros = len(national) - len(national[:-1].lstrip("0") + national[-1:])
    return PhoneNumber(
        country_code=code,
        national_number=int(national),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def read_regions(codes: Collection[str]) -> tuple[frozenset[str], list[str]]:
    """The regions that a setting names, and what is wrong with it, in words.

    A code in small letters counts as if it were written in capitals; one that does not exist allows nothing.
    """
    regions, problems = set(), []
    for code in codes:
        region = code.strip().upper()
        if region not in SUPPORTED_REGIONS:
            misnomer = _MISNOMERS.get(region)
            hint = f"; write {misnomer}" if misnomer else ""
            problems.append(f"{code!r} is no region code that has phone numbers, and allows nothing{hint}")
            continue
        if code != region:
            problems.append(f"{code!r} is taken for {region}; write it so")
        regions.add(region)
    return frozenset(regions), problems
