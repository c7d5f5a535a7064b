"""How many SMS a text is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.yeastar import sms
from yeastar_adapter.yeastar.sms import parts

# 3GPP TS 23.038, 6.2.1, row by row; 0x1B is the escape to the extension table.
DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION_TABLE = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
}
EXTENSION_TABLE[0x65] = "€"


def test_the_alphabet_is_that_of_gsm_03_38() -> None:
    assert len(DEFAULT_ALPHABET) == 128
    for character in DEFAULT_ALPHABET.replace("\x1b", ""):
        assert parts(character) == ("GSM-7", 1, 1)
    for character in EXTENSION_TABLE.values():
        assert parts(character) == ("GSM-7", 2, 1)
    for character in "ç`\t’“–…ÀêŁ\xa0":
        assert parts(character) == ("UCS-2", 1, 1)
    assert parts("😀") == ("UCS-2", 2, 1)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("x" * 160, ("GSM-7", 160, 1)),
        ("x" * 161, ("GSM-7", 161, 2)),
        ("x" * 306, ("GSM-7", 306, 2)),
        ("x" * 307, ("GSM-7", 307, 3)),
        ("€" * 80, ("GSM-7", 160, 1)),
        ("€" * 81, ("GSM-7", 162, 2)),
        # 153 is odd: 76 pairs fit in a part.
        ("€" * 152, ("GSM-7", 304, 2)),
        ("€" * 153, ("GSM-7", 306, 3)),
        ("x" * 152 + "€" + "x" * 151, ("GSM-7", 305, 2)),
        ("x" * 152 + "€" + "x" * 152, ("GSM-7", 306, 3)),
        ("я" * 70, ("UCS-2", 70, 1)),
        ("я" * 71, ("UCS-2", 71, 2)),
        ("я" * 134, ("UCS-2", 134, 2)),
        ("я" * 135, ("UCS-2", 135, 3)),
        ("😀" * 35, ("UCS-2", 70, 1)),
        ("😀" * 36, ("UCS-2", 72, 2)),
        # 67 is odd: 33 surrogate pairs fit in a part.
        ("😀" * 66, ("UCS-2", 132, 2)),
        ("😀" * 67, ("UCS-2", 134, 3)),
        ("я" * 66 + "😀" + "я" * 65, ("UCS-2", 133, 2)),
        ("я" * 66 + "😀" + "я" * 66, ("UCS-2", 134, 3)),
        ("x" * 70 + "’", ("UCS-2", 71, 2)),
        ("{" * 35 + "я", ("UCS-2", 36, 1)),
        ("", ("GSM-7", 0, 1)),
    ],
)
def test_a_text_is_so_many_sms(text: str, size: tuple[str, int, int]) -> None:
    assert parts(text) == size


_gsm7 = st.text(DEFAULT_ALPHABET.replace("\x1b", "") + "".join(EXTENSION_TABLE.values()), max_size=700)


@given(st.one_of(_gsm7, st.text(max_size=700), st.text("я😀", max_size=700)))
def test_the_count_is_that_of_splitting_the_text_as_long_as_each_part_allows(text: str) -> None:
    size = parts(text)
    alone, joined = sms.CAPACITY[size.encoding]
    rest, split = text, []
    while rest:
        end = len(rest)
        while units(rest[:end], size.encoding) > joined:
            end -= 1
        split.append(rest[:end])
        rest = rest[end:]
    assert size.units == units(text, size.encoding)
    assert size.parts == (1 if size.units <= alone else len(split))
    assert (sms.beyond_gsm7(text) == "") == (size.encoding == "GSM-7")


def units(text: str, encoding: str) -> int:
    if encoding == "UCS-2":
        return len(text.encode("utf-16-be")) // 2
    return len(text) + sum(character in EXTENSION_TABLE.values() for character in text)
