"""What `sendmessage` takes, and what it says of everything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.yeastar.errors import (
    INVALID_PARAMETER,
    INVALID_PHONE_NUMBER,
    UNSUPPORTED_MEDIA,
    Refusal,
)
from yeastar_adapter.yeastar.message import MAX_TEXT, Message

GOOD = {"from": "+63280000001", "to": "+639171234567", "text": "Hello from Yeastar"}


def body(**changes: object) -> bytes:
    fields = {**GOOD, **changes}
    return json.dumps({k: v for k, v in fields.items() if v is not ...}).encode()


def refusal(raw: bytes, **options: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        Message.parse(raw, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_message_is_taken_as_it_was_sent() -> None:
    assert Message.parse(body()) == Message("+63280000001", "+639171234567", "Hello from Yeastar")


def test_the_example_of_the_documentation_keeps_its_zeros() -> None:
    assert Message.parse(body(**{"from": "+630000000001"})).sender == "+630000000001"


def test_fields_that_the_contract_does_not_name_are_ignored() -> None:
    assert Message.parse(body(priority=3, nested={"to": [None]})).text == GOOD["text"]


@pytest.mark.parametrize("text", ["x" * MAX_TEXT, "😀" * MAX_TEXT, " x ", "\x00", "é\n", "😀"])
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
    assert Message.parse(body(), check).recipient == GOOD["to"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "check", "words"),
    [
        ("+630000000001", "valid", "is not a valid phone number for its country"),
        ("+63285551234", "mobile", "is not a mobile phone number"),
    ],
)
def test_a_stricter_recipient_check_refuses_what_is_only_possible(
    number: str, check: str, words: str
) -> None:
    assert Message.parse(body(to=number))
    assert refusal(body(to=number), recipient_check=check).detail == f"'to' {words}"
    assert Message.parse(body(**{"from": number}), check)  # type: ignore[arg-type]


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
