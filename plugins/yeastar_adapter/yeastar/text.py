"""What of a text a phone shows, by Unicode's properties."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

# Default_Ignorable_Code_Point (DerivedCoreProperties.txt, Unicode 16), which `unicodedata` does not know: joiners,
# fillers, variation selectors, tags, and what is reserved for more of them. First and last of each range.
_IGNORABLE = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_STARTS = [first for first, _ in _IGNORABLE]

# Spaces, line and paragraph separators, controls, format characters.
_WITHOUT_GLYPH = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})

# Format characters that are printed all the same: Prepended_Concatenation_Mark (PropList.txt), such as U+0600.
_PRINTED = frozenset(map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)))

# Symbols and marks whose glyph is empty by definition, though their category does not tell: blank braille, the filler
# of Khitan small script, the null notehead.
_EMPTY = frozenset("\u2800\U00016fe4\U0001d159")


def is_blank(text: str) -> bool:
    """Whether a phone would show nothing of it. Stops at the first character that it would."""
    return all(map(_is_unseen, text))


def control_character(text: str) -> int | None:
    """Where the first control character is, other than line feed, carriage return and tab; None: nowhere."""
    found = _CONTROL.search(text)
    return found.start() if found else None


def _is_unseen(character: str) -> bool:
    if character in _EMPTY:
        return True
    if unicodedata.category(character) in _WITHOUT_GLYPH:
        return character not in _PRINTED
    code = ord(character)
    index = bisect_right(_STARTS, code) - 1
    return (index >= 0 and code <= _IGNORABLE[index][1]) or _is_noncharacter(code)


def _is_noncharacter(code: int) -> bool:
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
