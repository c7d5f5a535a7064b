"""What `sendmessage` takes, and what it says of everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.yeastar.errors import (
    INVALID_PARAMETER,
    INVALID_PHONE_NUMBER,
    NO_PERMISSION,
    UNSUPPORTED_MEDIA,
    DestinationRefused,
    Refusal,
)
from yeastar_adapter.yeastar.message import MAX_BODY, MAX_TEXT, Message, MessageRules
from yeastar_adapter.yeastar.text import control_character

GOOD = {"from": "+63280000001", "to": "+639171234567", "text": "Hello from Yeastar"}


def body(**changes: object) -> bytes:
    fields = {**GOOD, **changes}
    return json.dumps({k: v for k, v in fields.items() if v is not ...}).encode()


def refusal(raw: bytes | None, **rules: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        Message.parse(raw, MessageRules(**rules))
    return caught.value


def test_a_message_is_taken_as_it_was_sent() -> None:
    assert Message.parse(body()) == Message("+63280000001", "+639171234567", "Hello from Yeastar")


def test_the_example_of_the_documentation_keeps_its_zeros() -> None:
    assert Message.parse(body(**{"from": "+630000000001"})).sender == "+630000000001"


def test_fields_that_the_contract_does_not_name_are_ignored() -> None:
    assert Message.parse(body(priority=3, nested={"to": [None]})).text == GOOD["text"]


@pytest.mark.parametrize("text", ["x" * MAX_TEXT, "😀" * MAX_TEXT, " x ", "é\r\n\t", "😀", "\u200bx\ufeff"])
def test_a_text_of_up_to_2000_code_points_is_taken(text: str) -> None:
    assert Message.parse(body(text=text)).text == text


@pytest.mark.parametrize("media", [None, [], ...])
def test_no_media_is_no_media(media: object) -> None:
    assert Message.parse(body(media_urls=media)).recipient == GOOD["to"]


@pytest.mark.parametrize(
    "number",
    [
        "639171234567",
        "+0639171234567",
        "+",
        "",
        " +639171234567",
        "+639171234567 ",
        "+639171234567\n",
        "+63 917 123 4567",
        "+63917123456a",
        "+６３９１７１２３４５６７",
        "+1234567890123456",
        "tel:+639171234567",
        "+63٩١٧١٢٣٤٥٦٧",
        "+999123456789",
        "+1",
        "+12",
        "+441",
    ],
)
@pytest.mark.parametrize("field", ["from", "to"])
def test_what_is_no_possible_e164_number_is_10001_and_names_the_field(field: str, number: str) -> None:
    refused = refusal(body(**{field: number}))
    assert refused.error is INVALID_PHONE_NUMBER
    assert refused.detail is not None
    assert refused.detail.startswith(f"'{field}' is not a ")


@pytest.mark.parametrize("value", [639171234567, 1.5, True, [], ["+639171234567"], {}])
def test_a_number_that_is_no_string_is_10001(value: object) -> None:
    assert refusal(body(to=value)).error is INVALID_PHONE_NUMBER


@pytest.mark.parametrize("value", [None, ...])
@pytest.mark.parametrize("field", ["from", "to", "text"])
def test_a_missing_field_is_10002_and_named(field: str, value: object) -> None:
    refused = refusal(body(**{field: value}))
    assert (refused.error, refused.detail) == (INVALID_PARAMETER, f"'{field}' is required")


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000", "x" * (MAX_TEXT + 1), 5, [], {}, False])
def test_a_text_that_cannot_be_sent_is_10002(text: object) -> None:
    refused = refusal(body(text=text))
    assert refused.error is INVALID_PARAMETER
    assert refused.detail is not None
    assert refused.detail.startswith("'text' is ")


def test_media_are_10003_whatever_else_is_wrong() -> None:
    refused = refusal(body(media_urls=["https://example.com/a.png"], text=None, to="x"))
    assert refused.error is UNSUPPORTED_MEDIA
    assert refused.detail is not None
    assert "'media_urls'" in refused.detail


@pytest.mark.parametrize("media", ["", "https://example.com/a.png", {}, 0, False])
def test_media_that_are_no_array_are_10002(media: object) -> None:
    refused = refusal(body(media_urls=media, to="x"))
    assert (refused.error, refused.detail) == (INVALID_PARAMETER, "'media_urls' is not an array")


def test_numbers_are_judged_before_the_text_and_from_before_to() -> None:
    assert "'from'" in str(refusal(body(**{"from": "x", "to": "y", "text": ""})))
    assert "'to'" in str(refusal(body(to="y", text="")))


DEPTH = 200_000
HAZARDS = {
    "nothing": b"",
    "white space": b"  \n",
    "no JSON": b"to=+639171234567",
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "a number": b"1",
    "trailing bytes": body() + b"x",
    "two objects": body() + body(),
    "a byte order mark": b"\xef\xbb\xbf" + body(),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "UTF-32": json.dumps(GOOD).encode("utf-32-le"),
    "invalid UTF-8": body(text="x").replace(b'"x"', b'"\xff"'),
    "an overlong encoding": body(text="x").replace(b'"x"', b'"\xc0\xaf"'),
    "a raw surrogate": body(text="x").replace(b'"x"', b'"\xed\xa0\xbd"'),
    "a lone surrogate": body(text="x").replace(b'"x"', b'"\\ud83d"'),
    "a lone surrogate in an ignored field": body(other="x").replace(b'"x"', b'"\\uDE00"'),
    "a lone surrogate in a key": body(other=1).replace(b'"other"', b'"\\ud83d"'),
    "a repeated key": body().replace(b"{", b'{"to": "+639170000001", ', 1),
    "a repeated key further in": body(other=1).replace(b": 1}", b': {"a": 1, "a": 2}}'),
    "NaN": body(other=1).replace(b": 1}", b": NaN}"),
    "Infinity": body(other=1).replace(b": 1}", b": -Infinity}"),
    "depth in arrays": body(other=1).replace(b": 1}", b": " + b"[" * DEPTH + b"]" * DEPTH + b"}"),
    "depth in objects": body(other=1).replace(b": 1}", b": " + b'{"a":' * DEPTH + b"1" + b"}" * DEPTH + b"}"),
    "depth without end": b"[" * DEPTH,
    "a number of a million digits": body(other=1).replace(b": 1}", b": " + b"9" * 1_000_000 + b"}"),
    "a fraction of a million digits": body(other=1).replace(b": 1}", b": 0." + b"1" * 1_000_000 + b"}"),
    "an exponent of a million digits": body(other=1).replace(b": 1}", b": 1e" + b"0" * 1_000_000 + b"}"),
    "a control character": body(text="x").replace(b'"x"', b'"\x01"'),
    "a comma too many": b'{"from": "+63280000001",}',
    "a comment": b"/**/" + body(),
    "single quotes": body().replace(b'"', b"'"),
}


@pytest.mark.parametrize("raw", HAZARDS.values(), ids=HAZARDS.keys())
def test_json_hazards_are_10002(raw: bytes) -> None:
    refused = refusal(raw)
    assert refused.error is INVALID_PARAMETER
    assert refused.detail
    assert refused.detail.startswith("the body ")


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert Message.parse(body(text="x").replace(b'"x"', b'"\\ud83d\\ude00"')).text == "😀"


def test_a_refused_body_is_not_quoted_in_the_answer() -> None:
    assert "secret" not in refusal(b'{"text": "secret"').body


@pytest.mark.parametrize("check", ["possible", "valid", "mobile"])
def test_a_mobile_number_satisfies_every_recipient_check(check: str) -> None:
    assert Message.parse(body(), MessageRules(check)).recipient == GOOD["to"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "check", "words"),
    [
        ("+639991", "possible", "'to' is not a possible phone number: it is too short"),
        ("+63212345678", "valid", "'to' is not a valid phone number for its country"),
        ("+63285551234", "mobile", "'to' is not a mobile phone number"),
    ],
)
def test_a_stricter_recipient_check_refuses_what_is_only_possible(
    number: str, check: str, words: str
) -> None:
    assert str(refusal(body(to=number), recipient_check=check).detail).startswith(words)
    assert Message.parse(body(**{"from": "+630000000001"}), MessageRules(check))  # type: ignore[arg-type]


def test_the_recipient_is_held_to_more_than_the_sender() -> None:
    assert Message.parse(body(**{"from": "+6309171234567"})).sender == "+6309171234567"
    detail = refusal(body(to="+6309171234567")).detail
    assert detail == (
        "'to' is not a valid E.164 phone number: it has the national prefix '0' after the country code; "
        "+639171234567 was probably meant"
    )


def test_the_number_that_was_meant_is_told_to_the_pbx_and_not_to_the_log() -> None:
    refused = refusal(body(to="+6309171234567"))
    assert "+639171234567" in refused.body
    assert "9171234567" not in str(refused)
    assert "national prefix" in str(refused)


def test_a_recipient_outside_the_countries_is_10005_and_no_more_is_said() -> None:
    rules = {"countries": frozenset({"PH", "SG"})}
    assert Message.parse(body(), MessageRules(**rules)).recipient == GOOD["to"]
    refused = refusal(body(to="+5352345678"), **rules)
    assert isinstance(refused, DestinationRefused)
    assert (refused.error, refused.region, refused.recipient) == (NO_PERMISSION, "CU", "+5352345678")
    assert "CU" in str(refused)
    assert "CU" not in refused.body


def test_a_country_is_looked_at_after_the_numbers_and_before_the_text() -> None:
    rules = {"countries": frozenset({"PH"})}
    assert refusal(body(to="+5352"), **rules).error is INVALID_PHONE_NUMBER
    assert refusal(body(**{"from": "x", "to": "+5352345678"}), **rules).error is INVALID_PHONE_NUMBER
    assert refusal(body(to="+5352345678", text=""), **rules).error is NO_PERMISSION


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[31m", "x\x7f", "x\x85", "\x0b.", "a\x9f"])
def test_a_control_character_in_a_text_is_10002_and_named(text: str) -> None:
    refused = refusal(body(text=text))
    assert refused.error is INVALID_PARAMETER
    assert "is the control character U+00" in str(refused.detail)


@pytest.mark.parametrize("text", ["\u200b", "\u2800", "\u3164", "\ufe0f", "\x00", "\U000e0041", "\u200d \n"])
def test_a_text_of_which_a_phone_shows_nothing_is_blank(text: str) -> None:
    assert str(refusal(body(text=text)).detail).startswith("'text' is blank")


def test_a_longer_text_than_the_limit_is_10002_and_both_lengths_are_told() -> None:
    assert Message.parse(body(text="x" * 30), MessageRules(text_limit=30)).text == "x" * 30
    detail = refusal(body(text="x" * 31), text_limit=30).detail
    assert detail == "'text' is longer than 30 characters: it has 31"


@pytest.mark.parametrize(
    ("text", "parts", "words"),
    [
        ("x" * 161, 1, "longer than 1 SMS: it takes 2. It counts 161 characters, and 160 fit"),
        ("x" * 307, 2, "longer than 2 SMS: it takes 3. It counts 307 characters, and 306 fit"),
        ("€" * 81, 1, "it takes 2. It counts 162 characters, and 160 fit"),
        ("x" * 70 + "’", 1, "It counts 71 characters, and 70 fit; without characters such as '’' (U+2019)"),
        ("x" * 70 + "\u200b", 1, "without characters such as U+200B more would"),
    ],
)
def test_a_text_of_more_sms_than_allowed_is_10002_and_says_what_fits(
    text: str, parts: int, words: str
) -> None:
    assert Message.parse(body(text=text), MessageRules(sms_parts=parts + 1)).text == text
    refused = refusal(body(text=text), sms_parts=parts)
    assert refused.error is INVALID_PARAMETER
    assert words in str(refused.detail)


def test_a_message_whose_every_character_is_escaped_is_taken_with_much_around_it() -> None:
    text = "😀,[{" * 500
    fields = {
        key: "".join(f"\\u{unit:04x}" for unit in units(value))
        for key, value in {**GOOD, "text": text}.items()
    }
    raw = "{" + ", ".join(f'"{key}": "{value}"' for key, value in fields.items()) + "}"
    assert len(raw) > 15_000
    assert Message.parse(raw.encode()).text == text
    padded = raw.encode() + b" " * (MAX_BODY - len(raw))
    assert Message.parse(padded).text == text


def units(text: str) -> list[int]:
    raw = text.encode("utf-16-be")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


def test_a_body_that_is_too_long_is_10002_before_anything_is_read() -> None:
    raw = body(media_urls=["x"], other="x" * MAX_BODY)
    for long in (None, raw):
        refused = refusal(long)
        assert (refused.error, refused.detail) == (INVALID_PARAMETER, "the body is longer than 64 KB")


def filled(unit: bytes, before: bytes = b'{"\\u0041": [', after: bytes = b"]}") -> bytes:
    """A body of the greatest length, full of one thing."""
    return before + (unit * ((MAX_BODY - len(before) - len(after)) // len(unit))).rstrip(b",") + after


MANY_VALUES = {
    "objects": filled(b"{},"),
    "objects with a key": filled(b'{"":1},'),
    "arrays": filled(b"[],"),
    "arrays in arrays": filled(b"[" * 50 + b"]" * 50 + b","),
    "integers": filled(b"0,"),
    "fractions": filled(b"1.5,"),
    "strings": filled(b'"",'),
    "keys": filled(b"".join(b'"%d":0,' % number for number in range(6000)), b'{"\\u0041":1,', b"}"),
    "depth": filled(b"["),
}


@pytest.mark.parametrize("raw", MANY_VALUES.values(), ids=MANY_VALUES.keys())
def test_a_body_of_very_many_values_is_10002_before_it_is_parsed(raw: bytes) -> None:
    # 64 KB of them would take 10 to 30 ms, in which nobody else is served.
    refused = refusal(raw)
    assert (refused.error, refused.detail) == (INVALID_PARAMETER, "the body has too many values")


@pytest.mark.parametrize(
    ("raw", "lone"),
    [
        (rb"\ud83d\ude00", False),
        (rb"\uD83D\uDE00", False),
        (rb"\\ud83d", False),
        (rb"\\\\ud83d", False),
        (rb"\ud83d", True),
        (rb"\\\ud83d", True),
        (rb"\ude00\ud83d", True),
        (rb"\ud83d\ud83d\ude00", True),
        (rb"\ud83d\\\ude00", True),
        (rb"\ud83d\u0041\ude00", True),
        (rb"\ud83d \ude00", True),
    ],
)
def test_half_a_character_is_found_wherever_it_is_escaped(raw: bytes, lone: bool) -> None:
    raw = body(text="x").replace(b'"x"', b'"x' + raw + b'"')
    if lone:
        assert refusal(raw).detail == "the body has a lone surrogate"
    else:
        assert Message.parse(raw).text == json.loads(raw)["text"]


@given(st.text(st.characters(codec=None, categories=None), max_size=20))
def test_whatever_json_escapes_arrives_or_has_a_lone_surrogate(text: str) -> None:
    raw = body(text="x" + text)
    # Two escaped halves in a row are a character.
    decoded = json.loads(raw)["text"]
    if any("\ud800" <= character <= "\udfff" for character in decoded):
        assert refusal(raw).detail == "the body has a lone surrogate"
    elif control_character(decoded) is not None:
        assert "control character" in str(refusal(raw).detail)
    else:
        assert Message.parse(raw).text == decoded


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(raw: bytes) -> None:
    assert refusal(raw).error is INVALID_PARAMETER


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("from", "to", "text", "media_urls", "x"), _json)))
def test_no_json_object_does_anything_but_parse_or_be_refused(fields: dict[str, object]) -> None:
    with pytest.raises(Refusal) as caught:
        Message.parse(json.dumps(fields).encode())
    assert json.loads(caught.value.body)["errors"][0]["code"] in {"10001", "10002", "10003"}
