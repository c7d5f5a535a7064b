"""The short way of telling a possible number never says what `phonenumbers` would not."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from yeastar_adapter.yeastar.numbers import E164, objection

DIGITS = "0123456789"
COUNTRY_CODES = sorted(COUNTRY_CODE_TO_REGION_CODE)


def is_possible(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


@settings(max_examples=2000)
@given(st.sampled_from(COUNTRY_CODES), st.text(DIGITS, max_size=14))
def test_a_number_of_a_country_is_judged_as_phonenumbers_does(country_code: int, national: str) -> None:
    number = f"+{country_code}{national}"[:16]
    assert E164.fullmatch(number)
    assert (objection(number) is None) == is_possible(number)


@settings(max_examples=1000)
@given(st.from_regex(E164, fullmatch=True))
def test_any_number_is_judged_as_phonenumbers_does(number: str) -> None:
    assert (objection(number) is None) == is_possible(number)


@pytest.mark.parametrize("country_code", COUNTRY_CODES)
def test_each_length_and_first_digit_of_a_country_is_judged_as_phonenumbers_does(country_code: int) -> None:
    for first in DIGITS:
        for length in range(1, 15):
            number = f"+{country_code}{first}{DIGITS[::-1]}{DIGITS}"[: len(f"+{country_code}") + length][:16]
            assert (objection(number) is None) == is_possible(number), number
