"""Which numbers are taken, and what is said of the others, against `phonenumbers` for every country code."""

from __future__ import annotations

from functools import lru_cache

import hypothesis
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneNumberType, ValidationResult
from yeastar_adapter.yeastar.numbers import E164, masked, recipient_problem, sender_problem

from tests.fuzz.cases import LONG

DIGITS = "0123456789"
COUNTRY_CODES = sorted(COUNTRY_CODE_TO_REGION_CODE)

EXAMPLES = sorted(
    {
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in SUPPORTED_REGIONS
        for kind in (
            PhoneNumberType.MOBILE,
            PhoneNumberType.FIXED_LINE,
            PhoneNumberType.TOLL_FREE,
            PhoneNumberType.VOIP,
        )
        if (example := phonenumbers.example_number_for_type(region, kind)) is not None
    }
    | {
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for code in COUNTRY_CODES
        if (example := phonenumbers.example_number_for_non_geo_entity(code)) is not None
    }
)

EXAMPLES_OF: dict[int, list[str]] = {code: [] for code in COUNTRY_CODES}
for _number in EXAMPLES:
    EXAMPLES_OF[phonenumbers.parse(_number).country_code].append(_number)

# A country code, and anything of what its users put after it.
country_code = st.sampled_from(COUNTRY_CODES).map(str)
prefix = st.sampled_from(["", "0", "00", "1", "8", "9", "15", "011", "0400", "044"])
written = st.one_of(
    st.builds("+{}{}{}".format, country_code, prefix, st.text(DIGITS, max_size=13)),
    st.builds("+{0}{0}{1}".format, country_code, st.text(DIGITS, max_size=11)),
    st.builds(
        lambda example, code, extra: f"+{code}{extra}{example[1 + len(code) :]}",
        st.sampled_from(EXAMPLES),
        country_code,
        prefix,
    ),
    st.builds(
        lambda example, cut: example[: len(example) - cut], st.sampled_from(EXAMPLES), st.integers(0, 9)
    ),
    st.from_regex(E164, fullmatch=True),
).map(lambda number: number[:16])
written = written.filter(E164.fullmatch)


@lru_cache(maxsize=1024)
def parsed(number: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None


def e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=1024)
def is_itself(number: str) -> bool:
    """Possible at full length, and the same number when it is written back."""
    read = parsed(number)
    if read is None or e164(read) != number:
        return False
    return phonenumbers.is_possible_number_with_reason(read) == ValidationResult.IS_POSSIBLE


def is_assigned(number: str) -> bool:
    read = parsed(number)
    return read is not None and phonenumbers.is_valid_number(read) and is_itself(number)


def has_the_code_twice(number: str) -> bool:
    """Not assigned as it is, and assigned without its first country code."""
    read = parsed(number)
    if read is None or is_assigned(number):
        return False
    code = str(read.country_code)
    national = number[1 + len(code) :]
    return national.startswith(code) and is_assigned(f"+{national}")


def assert_true(reason: str, number: str) -> None:
    """What is said of a number that is not taken is so."""
    read = parsed(number)
    if "country code does not exist" in reason:
        assert read is None
        assert not any(number[1:].startswith(str(code)) for code in COUNTRY_CODES)
    elif "ends within the country code" in reason:
        assert any(str(code).startswith(number[1:]) for code in COUNTRY_CODES)
    elif "country code twice" in reason:
        assert has_the_code_twice(number)
    elif "national prefix" in reason:
        assert read is not None
        assert e164(read) != number
    else:
        result = None if read is None else phonenumbers.is_possible_number_with_reason(read)
        if "own area only" in reason:
            assert result == ValidationResult.IS_POSSIBLE_LOCAL_ONLY
        elif "too short" in reason:
            assert result in (None, ValidationResult.TOO_SHORT)
        elif "too long" in reason:
            assert result == ValidationResult.TOO_LONG
        else:
            assert "no number of that country is so long" in reason
            assert result == ValidationResult.INVALID_LENGTH
    if "probably meant" in reason:
        meant = reason.split("; ")[-1].split()[0]
        assert meant != number
        assert is_assigned(meant)
        assert recipient_problem(meant) is None


@settings(max_examples=20_000 if LONG else 400)
@given(written)
@hypothesis.example("+13100000")  # assigned to Canada, and dialled without an area code
def test_a_recipient_is_taken_when_phonenumbers_reads_the_very_number_in_it(number: str) -> None:
    reason = recipient_problem(number)
    assert (reason is None) == (is_itself(number) and not has_the_code_twice(number)), number
    if reason is not None:
        assert_true(reason, number)


@settings(max_examples=10_000 if LONG else 300)
@given(written)
def test_a_sender_is_taken_when_phonenumbers_finds_its_length_possible(number: str) -> None:
    reason = sender_problem(number)
    read = parsed(number)
    assert (reason is None) == (read is not None and phonenumbers.is_possible_number(read)), number
    if reason is not None:
        assert_true(reason, number)


@settings(max_examples=10_000 if LONG else 300)
@given(written)
def test_the_stricter_checks_judge_the_number_that_is_sent(number: str) -> None:
    valid = recipient_problem(number, "valid")
    assert (valid is None) == is_assigned(number)
    mobile = recipient_problem(number, "mobile")
    if mobile is None:
        kind = phonenumbers.number_type(phonenumbers.parse(number))
        assert kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
        assert valid is None
    elif mobile != valid:
        assert mobile == "is not a mobile phone number"


@pytest.mark.parametrize("code", COUNTRY_CODES)
def test_each_length_and_first_digit_of_a_country_is_judged_as_phonenumbers_does(code: int) -> None:
    for first in DIGITS:
        # In the short form a third of the lengths with each first digit, another third with the next one.
        for length in range(1 if LONG else 1 + int(first) % 3, 15, 1 if LONG else 3):
            number = f"+{code}{first}{DIGITS[::-1]}{DIGITS}"[: len(f"+{code}") + length][:16]
            assert (recipient_problem(number) is None) == (
                is_itself(number) and not has_the_code_twice(number)
            ), number
            read = parsed(number)
            assert (sender_problem(number) is None) == (
                read is not None and phonenumbers.is_possible_number(read)
            ), number


@pytest.mark.parametrize("code", COUNTRY_CODES)
def test_the_example_numbers_of_every_country_are_taken(code: int) -> None:
    for number in EXAMPLES_OF[code]:
        assert recipient_problem(number) is None, number
        assert recipient_problem(number, "valid") is None, number


@pytest.mark.parametrize("code", COUNTRY_CODES)
def test_a_cut_off_number_is_taken_only_at_a_full_length_of_its_country(code: int) -> None:
    for number in EXAMPLES_OF[code]:
        for end in range(2, len(number)):
            cut = number[:end]
            assert (recipient_problem(cut) is None) == (is_itself(cut) and not has_the_code_twice(cut)), cut


def test_the_senders_of_the_documentation_are_taken() -> None:
    assert sender_problem("+630000000001") is None
    assert sender_problem("+63280000001") is None


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("+63", "it is too short, with 0 digits after +63"),
        ("+6", "it is too short, it ends within the country code"),
        ("+639171234", "it is too short, as it is dialled within its own area only"),
        ("+63917123456789012", "it is too long, with more than 15 digits"),
        ("+44791112345678", "it is too long, with 12 digits after +44"),
        ("+999123456789", "its country code does not exist"),
        ("+6309171234567", "it has the national prefix '0' after the country code; +639171234567 was"),
        ("+63639171234567", "it has the country code twice; +639171234567 was probably meant"),
        ("+112125551234", "it has the national prefix '1' after the country code; +12125551234 was"),
        ("+789161234567", "it has the national prefix '8' after the country code; +79161234567 was"),
        ("+540111523456789", "; +5491123456789 was probably meant"),
        ("+5215512345678", "; +525512345678 was probably meant"),
        ("+340612345678", "; +34612345678 was probably meant"),
        ("639171234567", "it does not begin with '+' and the country code; +639171234567 was probably meant"),
        ("00639171234567", "; +639171234567 was probably meant"),
        ("+0639171234567", "no country code begins with 0; +639171234567 was probably meant"),
        ("+63 (0) 917-123 4567", "it may have nothing but '+' and digits; +639171234567 was probably meant"),
        ("tel:+639171234567", "; +639171234567 was probably meant"),
        ("\u202a+639171234567\u202c", "; +639171234567 was probably meant"),
        ("＋６３９１７１２３４５６７", "; +639171234567 was probably meant"),
        ("+63+639171234567", "; +639171234567 was probably meant"),
        ("+", "it is too short, with no digits"),
        ("", "it is empty"),
        (" ", "it is empty"),
    ],
)
def test_the_reason_is_the_true_one_and_says_what_was_meant(number: str, words: str) -> None:
    assert words in (recipient_problem(number) or "")


@pytest.mark.parametrize("number", ["09171234567", "4155552671", "hello", "+" * 100, "1" * 10_000, "+٦٣"])
def test_nothing_is_suggested_where_it_is_not_plain(number: str) -> None:
    reason = recipient_problem(number)
    assert reason is not None
    assert "meant" not in reason


@given(st.text(max_size=30))
def test_whatever_is_no_number_is_refused_with_a_reason(text: str) -> None:
    if not E164.fullmatch(text):
        for reason in (recipient_problem(text), sender_problem(text)):
            assert reason is not None
            assert reason.startswith("is not a valid E.164 phone number: ")


def test_a_fixed_line_is_no_mobile() -> None:
    assert recipient_problem("+63285551234", "valid") is None
    assert recipient_problem("+63285551234", "mobile") == "is not a mobile phone number"


def test_logs_show_the_last_four_digits() -> None:
    assert masked("+639171234567") == "…4567"
    assert masked("+63") == "…"
