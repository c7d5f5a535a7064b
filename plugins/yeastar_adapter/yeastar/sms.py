"""How many SMS a text is: GSM 03.38 (3GPP TS 23.038) where its alphabet suffices, UCS-2 where not.

    >>> parts("Hello")
    Size(encoding='GSM-7', units=5, parts=1)

The alphabet is the default one with its extension table; national language tables are not counted on, since few
networks use them.
"""

from __future__ import annotations

from typing import NamedTuple

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
"""Each of these takes two: an escape, and itself."""

_GSM7, _UCS2 = "GSM-7", "UCS-2"

# Units that one SMS holds: alone, and as a part of several, each of which carries a header.
CAPACITY = {_GSM7: (160, 153), _UCS2: (70, 67)}


class Size(NamedTuple):
    """The size of a text as SMS; `units` are septets (GSM-7) or 16-bit units (UCS-2)."""

    encoding: str
    units: int
    parts: int


def parts(text: str) -> Size:
    """Count the SMS that a text takes. The two halves of a character are never in different SMS."""
    if _BASIC.issuperset(text):
        encoding, widths = _GSM7, [1] * len(text)
    elif (_BASIC | _EXTENSION).issuperset(text):
        encoding, widths = _GSM7, [2 if character in _EXTENSION else 1 for character in text]
    else:
        encoding, widths = _UCS2, [2 if character > "\uffff" else 1 for character in text]
    units = sum(widths)
    alone, joined = CAPACITY[encoding]
    if units <= alone:
        return Size(encoding, units, 1)
    count, used = 1, 0
    for width in widths:
        used += width
        if used > joined:
            count, used = count + 1, width
    return Size(encoding, units, count)


def beyond_gsm7(text: str) -> str:
    """The first character that the GSM alphabet does not have, which leaves 70 in place of 160; or ""."""
    return next(
        (character for character in text if character not in _BASIC and character not in _EXTENSION), ""
    )
