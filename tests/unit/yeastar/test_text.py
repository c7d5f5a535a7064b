"""What of a text a phone shows."""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.yeastar.text import control_character, is_blank

# An opinion from elsewhere: Unicode's own properties, in a regular expression engine that knows them all.
UNSEEN = regex.compile(
    r"[[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Zs}\p{Zl}\p{Zp}\p{Cc}\p{Cf}\p{Noncharacter_Code_Point}"
    r"\u2800\U00016FE4\U0001D159]--\p{Prepended_Concatenation_Mark}]",
    regex.V1,
)


@cache
def characters() -> list[str]:
    return [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]


def test_each_character_that_no_phone_shows_is_blank_and_no_other() -> None:
    # Of characters that are younger than this Python it does not know the category; a phone may not know them either.
    known = [c for c in characters() if unicodedata.category(c) != "Cn" or is_blank(c)]
    assert [c for c in known if is_blank(c) != bool(UNSEEN.fullmatch(c))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\r\n",
        "\u3000\u00a0\u2028",
        "\u200b",
        "\u200d\u2060\ufeff\u00ad",
        "\u2800\u2800",
        "\u3164\uffa0\u115f\u1160",
        "\ufe0f\U000e0100",
        "\U000e0067\U000e007f",
        "\u202e\u2066\u061c",
        "\u180e\u17b4\u034f",
        "\x00\x1b\x85",
        "\U0001d173",
    ],
)
def test_what_would_be_sent_and_never_seen_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    "text", [".", "0", "\u200bx", "x\u200b", "👨‍👩‍👧", "☺️", "\u0301", "\u0600", "é", "ｱ", "\ue000"]
)
def test_what_is_seen_is_not(text: str) -> None:
    assert not is_blank(text)


@given(st.text(), st.sampled_from("aé😀م한"), st.text())
def test_one_character_that_is_seen_is_enough(before: str, seen: str, after: str) -> None:
    assert not is_blank(before + seen + after)


def test_all_controls_but_line_ends_and_tabs_are_found_and_nothing_else() -> None:
    controls = {c for c in characters() if unicodedata.category(c) == "Cc"} - set("\n\r\t")
    assert {c for c in characters() if control_character("ab" + c) == 2} == controls
    assert control_character("a\tb\r\nc") is None
