"""What a PBX, or somebody in its place, could post to `sendmessage`."""

from __future__ import annotations

import gzip
import json
import random
from typing import Any

from hypothesis import strategies as st

GOOD_NUMBERS = (
    "+63280000001",
    "+639171234567",
    "+6591234567",
    "+14155550123",
    "+4915112345678",
    "+630000000001",
)

_odd_numbers = st.sampled_from(
    [
        "",
        "+",
        "+0639171234567",
        "639171234567",
        "00639171234567",
        "+63 917 123 4567",
        "+63917123456７",
        "+639171234567\n",
        "\ufeff+639171234567",
        "+639171234567\x00",
        "+" + "9" * 15,
        "+" + "9" * 16,
        "+1",
        "+999123456789",
        "tel:+639171234567",
        "+639171230000",
    ]
)
numbers = st.one_of(
    st.sampled_from(GOOD_NUMBERS),
    st.sampled_from(GOOD_NUMBERS),
    _odd_numbers,
    st.from_regex(r"\A\+[1-9][0-9]{0,16}\Z"),
    st.text(max_size=20),
)

texts = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(["Your table is ready", "", " ", "\u3000\n", "\x00", "😀", "\u200b", "\x85", "\ud83d"]),
    st.integers(1998, 2002).map(lambda length: "x" * length),
    st.integers(1999, 2001).map(lambda length: "😀" * length),
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**4000), 1e308, float("nan"), float("inf"), 0.1]),
    st.text(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)

fields = st.fixed_dictionaries(
    {},
    optional={
        "from": st.one_of(numbers, numbers, values),
        "to": st.one_of(numbers, numbers, values),
        "text": st.one_of(texts, texts, values),
        "media_urls": st.one_of(
            st.none(), st.just([]), st.lists(st.text(max_size=10), min_size=1, max_size=2), values
        ),
        "priority": values,
    },
)

good_messages = st.fixed_dictionaries(
    {
        "from": st.sampled_from(GOOD_NUMBERS),
        "to": st.sampled_from(GOOD_NUMBERS),
        "text": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).map(
            lambda text: "x" + text
        ),
    },
    optional={"media_urls": st.sampled_from([None, []]), "x": st.integers(0, 9)},
)

_PIECES = (
    b'"', b"\\", b"\\u", b"\\ud83d", b"\\udc00", b"\\u0000", b"NaN", b"-Infinity", b"1e999", b"\xff", b"\xed\xa0\xbd",
    b"\xc0\x80", b"\x00", b"\xef\xbb\xbf", b"\x1f\x8b", b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b",", b":", b"{",
    b"}", b"[]", b"null", b"true", b"/**/", b"'", b"\r\n\r\n", b"\n", b'"text":"again",', b'"to":"+6591234567",',
)  # fmt: skip


@st.composite
def written(draw: st.DrawFn, message: Any) -> bytes:
    """A message as some client might write it down."""
    style = draw(st.integers(0, 5))
    text = json.dumps(
        message,
        ensure_ascii=style % 2 == 0,
        separators=(",", ":") if style < 3 else None,
        indent=draw(st.sampled_from([None, None, 1, "\t"])),
    )
    if style == 5:
        text = _escaped(text)
    around = draw(st.sampled_from(["", "", " ", "\r\n"]))
    encoding = draw(st.sampled_from(["utf-8"] * 8 + ["utf-8-sig", "utf-16", "utf-32", "latin-1", "cp037"]))
    return f"{around}{text}{around}".encode(encoding, "surrogatepass" if "utf" in encoding else "replace")


@st.composite
def mutated(draw: st.DrawFn, original: st.SearchStrategy[bytes]) -> bytes:
    """Something whole with a few pieces cut out, put in, doubled, replaced."""
    data = bytearray(draw(original))
    choices = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 4))):
        at, to = sorted(choices.randrange(len(data) + 1) for _ in range(2))
        to = min(to, at + choices.choice((1, 2, 10, 1000)))
        kind = choices.randrange(6)
        if kind == 0:
            del data[at:to]
        elif kind == 1:
            data[at:at] = choices.choice(_PIECES)
        elif kind == 2:
            data[at:at] = data[at:to]
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << choices.randrange(8)
        elif kind == 4:
            data[at:to] = bytes(choices.randrange(256) for _ in range(to - at))
        else:
            del data[at + 20 * choices.randrange(20) :]
    return bytes(data)


_awkward = st.sampled_from(
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'""',
        b"0",
        b"\x00" * 100,
        b"[" * 100_000,
        b'{"text":' * 50_000,
        b'{"from":' + b"9" * 1_000_000 + b"}",
        b'{"from":"+63280000001","to":"+639171234567","text":"a","text":"b"}',
        b'{"from":"+63280000001","to":"+639171234567","text":"\\ud83d"}',
        b'{"from":"+63280000001","to":"+639171234567","text":"\\ud83d\\ude00"}',
        b'{"from":"+63280000001","to":"+639171234567","text":"x","n":' + b"[" * 600 + b"]" * 600 + b"}",
        b'{"from":"+63280000001","to":"+639171234567","text":"x","n":-}',
        b"from=%2B63280000001&to=%2B639171234567&text=x",
    ]
)


def good() -> st.SearchStrategy[bytes]:
    """Messages that are accepted."""
    return good_messages.map(lambda message: json.dumps(message).encode())


def any_body() -> st.SearchStrategy[bytes]:
    """From accepted messages to noise."""
    return st.one_of(
        good_messages.flatmap(written),
        fields.flatmap(written),
        values.flatmap(written),
        mutated(good()),
        mutated(good_messages.flatmap(written)),
        good().map(gzip.compress),
        st.binary(max_size=200),
        _awkward,
    )


def _escaped(text: str) -> str:
    """Every character of every string as `\\uXXXX`."""
    found, inside, after_backslash = [], False, False
    for character in text:
        if inside and not after_backslash and character not in '"\\' and ord(character) < 0x10000:
            found.append(f"\\u{ord(character):04x}")
            continue
        if character == '"' and not after_backslash:
            inside = not inside
        after_backslash = inside and character == "\\" and not after_backslash
        found.append(character)
    return "".join(found)
