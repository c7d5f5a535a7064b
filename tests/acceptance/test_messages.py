"""From a PBX's message to an order at FutureSMS, and every message that is none."""

from __future__ import annotations

import json

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY, SENDMESSAGE, VERIFY, Pbx
from tests.harness.stub import SENDS, StubClient

AUTHORIZED = {"Authorization": f"Bearer {DEMO_KEY}", "Content-Type": "application/json"}
MESSAGE = {"from": "+63280000001", "to": "+639171234567", "text": "Your table is ready"}


def test_a_message_becomes_one_order_and_its_id_goes_back(pbx: Pbx, stub: StubClient) -> None:
    answer = pbx.send("+630000000001", "+639171234567", "Hello from Yeastar")
    [order] = stub.orders()
    assert answer.status == 200
    assert answer.json == {"data": {"id": order["order_id"]}}
    assert order["phone_number"] == "+639171234567"
    assert order["sender_id"] == "SID-1001"
    assert order["template_id"] == "TPL1001"
    assert order["var"] == "Hello from Yeastar"
    assert 12 <= len(order["client_order_id"]) <= 128


def test_futuresms_sees_the_order_and_nothing_of_the_pbx(pbx: Pbx, stub: StubClient) -> None:
    headers = {
        "User-Agent": "Yeastar",
        "Accept-Encoding": "gzip, br",
        "Accept": "text/html",
        "Cookie": "a=b",
        "X-Consumer-Username": "somebody",
        "X-Yeastar-Adapter": "1",
        "X-Internal": "10.0.0.1",
        "TE": "trailers",
    }
    answer = pbx.post(json.dumps(MESSAGE), headers=headers)
    assert answer.status == 200
    order = stub.requests(path=SENDS)[-1]
    assert order["query"] == ""
    seen = order["headers"]
    for name in ("cookie", "x-consumer-username", "x-yeastar-adapter", "x-internal"):
        assert name not in seen
    assert seen.get("user-agent") != "Yeastar"
    assert seen["accept-encoding"] == "identity"
    assert seen["content-type"] == "application/json"
    assert seen["authorization"].startswith("Bearer ")
    assert DEMO_KEY not in repr(seen)
    assert "acme-manila" not in repr(seen)


def test_the_query_string_goes_nowhere(pbx: Pbx, stub: StubClient) -> None:
    path = f"{SENDMESSAGE}?token=secret&x=1"
    assert pbx.request("POST", path, headers=AUTHORIZED, body=json.dumps(MESSAGE).encode()).status == 200
    order = stub.requests(path=SENDS)[-1]
    assert order["query"] == ""
    assert pbx.request("GET", f"{VERIFY}?x", headers=AUTHORIZED).status == 200


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x" * 2000,
        "😀" * 2000,
        "Grüße\r\n\t\"'\\",
        "a\u2028",
        " padded ",
        "مرحبا",
        "\u200bx\ufeff",
        "👨\u200d👩\u200d👧 ☺\ufe0f",
        "e\u0301 é",
        "{{var}} %s \\u0041",
    ],
)
def test_every_text_arrives_as_it_was_written(pbx: Pbx, stub: StubClient, text: str) -> None:
    assert pbx.send(text=text).status == 200
    assert stub.orders()[-1]["var"] == text


def test_the_longest_message_that_json_can_make_of_2000_characters_is_taken(
    pbx: Pbx, stub: StubClient
) -> None:
    body = json.dumps({**MESSAGE, "text": "😀" * 2000}, ensure_ascii=True)
    assert len(body) > 24_000
    assert pbx.post(body).status == 200
    assert stub.orders()[-1]["var"] == "😀" * 2000


def test_the_content_type_of_the_pbx_does_not_matter(pbx: Pbx, stub: StubClient) -> None:
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "application/json; charset=latin-1",
    ):
        assert pbx.post(json.dumps(MESSAGE), headers={"Content-Type": content_type}).status == 200
    assert len(stub.orders()) == 4


REFUSED = [
    ({"from": None}, "10002", "'from'"),
    ({"from": ""}, "10001", "'from'"),
    ({"from": "63280000001"}, "10001", "'from'"),
    ({"to": None}, "10002", "'to'"),
    ({"from": 63280000001}, "10001", "'from'"),
    ({"from": "+999123456789"}, "10001", "'from'"),
    ({"to": "0917"}, "10001", "'to' is not a valid E.164 phone number"),
    ({"to": 639171234567}, "10001", "'to'"),
    ({"to": True}, "10001", "'to'"),
    ({"to": ["+639171234567"]}, "10001", "'to'"),
    ({"to": {}}, "10001", "'to'"),
    ({"to": "+999123456789"}, "10001", "its country code does not exist"),
    ({"to": "+6391712345678901"}, "10001", "too long"),
    ({"to": "+63"}, "10001", "too short"),
    ({"to": "+639171234"}, "10001", "too short"),
    (
        {"to": "+6309171234567"},
        "10001",
        "national prefix '0' after the country code; +639171234567 was probably meant",
    ),
    ({"to": "+63639171234567"}, "10001", "country code twice; +639171234567 was probably meant"),
    ({"to": "+4407400123456"}, "10001", "+447400123456 was probably meant"),
    ({"to": "+63 917 123 4567"}, "10001", "+639171234567 was probably meant"),
    ({"to": "+639171234567\n"}, "10001", "'to'"),
    ({"text": None}, "10002", "'text'"),
    ({"text": ""}, "10002", "'text'"),
    ({"text": " \n"}, "10002", "'text'"),
    ({"text": "\u200b"}, "10002", "'text' is blank"),
    ({"text": "\ufeff\u00ad\u2060"}, "10002", "'text' is blank"),
    ({"text": "\u2800\u3164"}, "10002", "'text' is blank"),
    ({"text": "\x00"}, "10002", "'text'"),
    ({"text": "a\x00b"}, "10002", "control character U+0000"),
    ({"text": "a\x7f"}, "10002", "control character U+007F"),
    ({"text": "a\x85"}, "10002", "control character U+0085"),
    ({"text": 5}, "10002", "'text'"),
    ({"text": "x" * 2001}, "10002", "2000 characters: it has 2001"),
    ({"media_urls": ["https://example.com/a.png"]}, "10003", "'media_urls'"),
    ({"media_urls": ["x"], "text": None}, "10003", "'media_urls'"),
    ({"media_urls": ["x"], "to": "x"}, "10003", "'media_urls'"),
    ({"media_urls": "x", "to": "x"}, "10002", "'media_urls'"),
    ({"to": "x", "text": ""}, "10001", "'to'"),
]


@pytest.mark.parametrize(("changes", "code", "field"), REFUSED)
def test_a_message_that_cannot_be_sent_is_refused_with_field_and_reason(
    pbx: Pbx, stub: StubClient, changes: dict[str, object], code: str, field: str
) -> None:
    answer = pbx.post(json.dumps({**MESSAGE, **changes}))
    assert answer.code == code
    assert answer.detail is not None
    assert field in answer.detail
    assert stub.requests() == []


@pytest.mark.parametrize("media", [None, []])
def test_no_media_is_no_reason_to_refuse(pbx: Pbx, media: object) -> None:
    assert pbx.send(media_urls=media).status == 200


DEPTH = 15_000
HAZARDS = {
    "empty": b"",
    "not json": b"from=a&to=b",
    "array": b"[]",
    "null": b"null",
    "repeated key": b'{"to": "+639170000001", ' + json.dumps(MESSAGE)[1:].encode(),
    "invalid utf-8": json.dumps(MESSAGE).encode().replace(b"table", b"\xff\xfe"),
    "lone surrogate": json.dumps(MESSAGE).encode().replace(b"table", b"\\ud83d"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(MESSAGE).encode(),
    "nan": json.dumps({**MESSAGE, "x": float("nan")}).encode(),
    "depth": b'{"x": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "huge number": b'{"x": ' + b"9" * 30_000 + b"}",
    "trailing bytes": json.dumps(MESSAGE).encode() + b"}",
    "utf-16": json.dumps(MESSAGE).encode("utf-16"),
    "zero bytes": b"\x00" * 64,
}


@pytest.mark.parametrize("body", HAZARDS.values(), ids=HAZARDS.keys())
def test_json_hazards_are_10002(pbx: Pbx, stub: StubClient, body: bytes) -> None:
    assert pbx.post(body).code == "10002"
    assert stub.requests() == []


@pytest.mark.parametrize("name", ["text", "ignored"])
def test_a_body_far_longer_than_any_message_is_10002(pbx: Pbx, stub: StubClient, name: str) -> None:
    assert pbx.post(json.dumps({**MESSAGE, name: "x" * 500_000})).code == "10002"
    assert pbx.post(json.dumps({**MESSAGE, name: "x" * 500_000}), key="nobody").code == "10004"
    assert stub.requests() == []


def test_a_long_body_is_taken_when_its_message_is_short(pbx: Pbx) -> None:
    assert pbx.post(json.dumps({**MESSAGE, "ignored": "x" * 60_000})).status == 200


def test_what_nginx_refuses_before_it_knows_the_route_is_refused_all_the_same(
    pbx: Pbx, stub: StubClient
) -> None:
    path, body = SENDMESSAGE, json.dumps({**MESSAGE, "ignored": "x" * 2_000_000}).encode()
    assert pbx.request("POST", path, headers=AUTHORIZED, body=body, checked=False).status == 413
    assert stub.requests() == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_verify_takes_get_alone(pbx: Pbx, method: str) -> None:
    assert pbx.request(method, VERIFY, headers=AUTHORIZED, body=b"{}").code == "10002"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_sendmessage_takes_post_alone(pbx: Pbx, stub: StubClient, method: str) -> None:
    assert (
        pbx.request(method, SENDMESSAGE, headers=AUTHORIZED, body=json.dumps(MESSAGE).encode()).code
        == "10002"
    )
    assert stub.requests() == []


def test_authentication_comes_before_everything(pbx: Pbx) -> None:
    assert pbx.post(b"x", key="nobody").code == "10004"
    assert pbx.request("PUT", SENDMESSAGE).code == "10004"


@pytest.mark.parametrize(
    ("check", "to", "taken"),
    [
        ("possible", "+63212345678", True),
        ("possible", "+6309171234567", False),
        ("valid", "+63212345678", False),
        ("valid", "+6309171234567", False),
        ("mobile", "+6309171234567", False),
        ("valid", "+63285551234", True),
        ("mobile", "+63285551234", False),
        ("mobile", "+639171234567", True),
    ],
)
def test_recipients_are_checked_as_strictly_as_configured(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, check: str, to: str, taken: bool
) -> None:
    kong_yml.config["recipient_check"] = check
    gateway.load(kong_yml)
    answer = pbx.send("+630000000001", to)
    assert answer.code == (None if taken else "10001")


def test_a_recipient_in_a_country_that_is_not_named_is_10005(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    kong_yml.config["recipients"] = {"countries": ["PH", "US"]}
    gateway.load(kong_yml)
    for taken in ("+639171234567", "+12125551234"):
        assert pbx.send(to=taken).status == 200
    # Cuba; Jamaica and Canada share +1 with the United States; a satellite phone belongs to nobody.
    for refused in ("+5352345678", "+18765551234", "+14165551234", "+870773111632"):
        answer = pbx.send(to=refused)
        assert (answer.code, answer.detail) == ("10005", "No permission")
    assert pbx.send(to="+6309171234567").code == "10001"
    assert pbx.send(to="+5352345678", text="").code == "10005"
    assert len(stub.orders()) == 2


def test_a_pbx_may_have_countries_of_its_own(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    kong_yml.config["recipients"] = {"countries": ["PH"]}
    kong_yml.entry("acme-manila")["recipients"] = {"countries": ["SG"]}
    gateway.load(kong_yml)
    assert pbx.send(to="+6591234567").status == 200
    assert pbx.send(to="+639171234567").code == "10005"


def test_a_text_may_be_held_to_a_length(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    kong_yml.config["order"]["text_limit"] = 30
    gateway.load(kong_yml)
    assert pbx.send(text="x" * 30).status == 200
    answer = pbx.send(text="😀" * 31)
    assert (answer.code, answer.detail) == ("10002", "'text' is longer than 30 characters: it has 31")


def test_a_text_may_be_held_to_a_number_of_sms(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    kong_yml.config["order"]["sms_parts"] = 1
    kong_yml.entry("acme-manila")["sms_parts"] = 2
    gateway.load(kong_yml)
    for taken in ("x" * 306, "€" * 152, "я" * 134, "😀" * 66):
        assert pbx.send(text=taken).status == 200
    for refused, counts in (("x" * 307, 307), ("€" * 153, 306), ("я" * 135, 135), ("😀" * 67, 134)):
        answer = pbx.send(text=refused)
        assert answer.code == "10002"
        assert answer.detail is not None
        assert answer.detail.startswith("'text' is longer than 2 SMS: it takes 3.")
        assert f"counts {counts} characters" in answer.detail
