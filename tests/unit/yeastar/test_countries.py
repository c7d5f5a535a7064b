"""Which country a number belongs to, and what is said of a list of countries."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneNumberType
from yeastar_adapter.yeastar.countries import read_regions, region_of
from yeastar_adapter.yeastar.numbers import recipient_problem

MOBILES = sorted(
    (region, phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    for region in SUPPORTED_REGIONS
    if (example := phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)) is not None
)


@pytest.mark.parametrize(("region", "number"), MOBILES)
def test_a_mobile_of_each_country_is_that_countrys(region: str, number: str) -> None:
    # The plans of some regions are one and the same (Saint Barthélemy and Guadeloupe): there the number does not tell.
    told = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    assert region_of(number) == told
    assert told == region or phonenumbers.is_valid_number_for_region(phonenumbers.parse(number), told)


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+639171234567", "PH"),
        ("+12125551234", "US"),
        ("+14165551234", "CA"),
        ("+18765551234", "JM"),
        ("+18095551234", "DO"),
        ("+447400123456", "GB"),
        ("+447781123456", "GG"),
        ("+447797712345", "JE"),
        ("+447624123456", "IM"),
        ("+79161234567", "RU"),
        ("+77010001234", "KZ"),
        ("+390669812345", "VA"),
        ("+390612345678", "IT"),
        ("+358181234567", "AX"),
        ("+358412345678", "FI"),
        ("+870773111632", "001"),
        ("+80012345678", "001"),
    ],
)
def test_regions_that_share_a_code_are_told_apart(number: str, region: str) -> None:
    assert region_of(number) == region


@pytest.mark.parametrize(("number", "region"), [("+19995551234", "US"), ("+441111111111", "GB")])
def test_a_number_that_no_plan_knows_counts_as_the_main_regions(number: str, region: str) -> None:
    assert recipient_problem(number) is None
    assert region_of(number) == region


@given(st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True))
def test_every_number_that_is_taken_belongs_somewhere(number: str) -> None:
    if recipient_problem(number) is None:
        assert region_of(number) in SUPPORTED_REGIONS | {"001"}


shared_code = st.sampled_from(
    [code for code, regions in COUNTRY_CODE_TO_REGION_CODE.items() if len(regions) > 1]
)


@settings(max_examples=1000)
@given(shared_code, st.sampled_from(["", "0", "00"]), st.text("0123456789", min_size=2, max_size=11))
def test_where_regions_share_a_code_the_number_tells_as_phonenumbers_reads_it(
    code: int, zeros: str, rest: str
) -> None:
    number = f"+{code}{zeros}{rest}"
    if recipient_problem(number) is None:
        told = phonenumbers.region_code_for_number(phonenumbers.parse(number))
        assert region_of(number) == (told or COUNTRY_CODE_TO_REGION_CODE[code][0])


def test_regions_are_read_in_capitals() -> None:
    assert read_regions(["PH", "SG"]) == (frozenset({"PH", "SG"}), [])


@pytest.mark.parametrize(
    ("code", "regions", "words"),
    [
        ("ph", {"PH"}, "'ph' is taken for PH"),
        (" PH", {"PH"}, "' PH' is taken for PH"),
        ("UK", set(), "'UK' is no region code that has phone numbers, and allows nothing; write GB"),
        ("XX", set(), "'XX' is no region code"),
        ("63", set(), "'63' is no region code"),
        ("", set(), "'' is no region code"),
    ],
)
def test_a_code_that_is_none_is_named(code: str, regions: set[str], words: str) -> None:
    found, problems = read_regions([code])
    assert found == regions
    assert len(problems) == 1
    assert words in problems[0]
