"""Reading what FutureSMS answers, and the contract's table of what it means."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.futuresms.answer import MAX_BODY, Answer
from yeastar_adapter.translation import error_for
from yeastar_adapter.yeastar.errors import CATALOGUE

ACCEPTED = {
    "message": "Accepted",
    "details": None,
    "data": {"order_id": "SDPS260325103012A1B2C3D", "order_status": "pending", "message_status": None},
    "meta": {},
}


def refusal(code: str | None = None, reason: object = None, details: object = None) -> bytes:
    return json.dumps(
        {"error_code": code, "reason": reason, "details": details, "request_id": "r-1"}
    ).encode()


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_a_2xx_with_an_order_id_is_an_order(status: int) -> None:
    answer = Answer.read(status, json.dumps(ACCEPTED).encode())
    assert answer.is_order
    assert answer.order_id == "SDPS260325103012A1B2C3D"


def test_an_order_that_comes_compressed_is_an_order() -> None:
    assert Answer.read(202, gzip.compress(json.dumps(ACCEPTED).encode())).is_order


@pytest.mark.parametrize(("order_id", "given"), [(7, "7"), (0, "0"), (10**30, "1" + "0" * 30), ("7", "7")])
def test_an_order_id_that_is_an_integer_is_one_as_a_string(order_id: object, given: str) -> None:
    answer = Answer.read(202, json.dumps({"data": {"order_id": order_id}}).encode())
    assert answer.is_order
    assert answer.order_id == given


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 401, 404, 500, 503])
def test_an_order_id_under_any_other_status_is_no_order(status: int) -> None:
    assert not Answer.read(status, json.dumps(ACCEPTED).encode()).is_order


ROWS = [
    (400, refusal("VALIDATION_ERROR", "phone_number is not reachable"), "10001"),
    (422, refusal("VALIDATION_ERROR", None, "phone_number: unreachable"), "10001"),
    (422, refusal("VALIDATION_ERROR", None, [{"field": "phone_number"}]), "10001"),
    (422, refusal("VALIDATION_ERROR", "INVALID_PHONE_NUMBER"), "10001"),
    (400, refusal("VALIDATION_ERROR", None, "Phone number must be in E.164 format"), "10001"),
    (400, refusal("VALIDATION_ERROR", None, "phone-number: PHONE NUMBER"), "10001"),
    (422, refusal("VALIDATION_ERROR", "phoneNumber"), "10001"),
    (422, refusal("VALIDATION_ERROR", ["PhoneNumber"]), "10001"),
    (422, refusal("VALIDATION_ERROR", None, {"phoneNumber": ["must be E.164"]}), "10001"),
    (422, refusal("VALIDATION_ERROR", None, [{"loc": ["body", "phone_number"], "msg": "x"}]), "10001"),
    (422, refusal("validation_error", "invalid_phone_number"), "10001"),
    (422, refusal("VALIDATION_ERROR", None, "the phone is off; number unknown"), "10002"),
    (422, refusal("VALIDATION_ERROR", None, [1, None, {"a": True}]), "10002"),
    (422, refusal("SOMETHING_NEW", "phone_number"), "10002"),
    (400, refusal("VALIDATION_ERROR", "template_id"), "10002"),
    (422, refusal("VALIDATION_ERROR"), "10002"),
    (400, b"<html>", "10002"),
    (413, b"", "10002"),
    (415, b"", "10002"),
    (401, refusal("UNAUTHORIZED", "TOKEN_EXPIRED"), "10005"),
    (402, b"", "10005"),
    (403, refusal("FORBIDDEN"), "10005"),
    (404, refusal("NOT_FOUND"), "10005"),
    (409, refusal("CONFLICT", "client_order_id"), "10007"),
    (409, refusal(), "10002"),
    (409, b"", "10002"),
    (409, refusal("SOMETHING_NEW"), "10002"),
    (408, b"", "10007"),
    (408, refusal("VALIDATION_ERROR"), "10007"),
    (425, b"", "10007"),
    (429, refusal("TOO_MANY_REQUESTS"), "10006"),
    (429, b"slow down", "10006"),
    (418, refusal("UNAUTHORIZED"), "10005"),
    (418, refusal("FORBIDDEN"), "10005"),
    (410, refusal("NOT_FOUND"), "10005"),
    (423, refusal("CONFLICT"), "10007"),
    (406, refusal("VALIDATION_ERROR"), "10002"),
    (420, refusal("TOO_MANY_REQUESTS"), "10006"),
    (418, refusal("TEAPOT"), "10002"),
    (499, b"", "10007"),
    (100, b"", "10007"),
    (204, b"", "10007"),
    (301, b"", "10007"),
    (304, refusal("FORBIDDEN"), "10007"),
    (500, refusal("VALIDATION_ERROR", "phone_number"), "10007"),
    (502, b"<html>", "10007"),
    (503, b"", "10007"),
    (599, b"", "10007"),
    (200, b"<html>", "10007"),
    (202, b"", "10007"),
    (202, b"[]", "10007"),
    (202, b'{"data": null}', "10007"),
    (202, b'{"data": []}', "10007"),
    (202, b'{"data": {"order_id": null}}', "10007"),
    (202, b'{"data": {"order_id": ""}}', "10007"),
    (202, b'{"data": {"order_id": " "}}', "10007"),
    (202, b'{"data": {"order_id": true}}', "10007"),
    (202, b'{"data": {"order_id": false}}', "10007"),
    (202, b'{"data": {"order_id": 7.5}}', "10007"),
    (202, b'{"data": {"order_id": ["7"]}}', "10007"),
    (202, b'{"order_id": "7"}', "10007"),
    (202, b'{"data": {"order_id": "X"}, "meta": [' + b"0," * 5000 + b"0]}", "10007"),
    (202, json.dumps(ACCEPTED).encode()[:-9], "10007"),
    (202, b"\xff\xfe", "10007"),
    (202, b"\x1f\x8bno gzip", "10007"),
    (202, b"[" * 100_000, "10007"),
    (202, b'{"data": {"order_id": "X"}}' + b" " * MAX_BODY, "10007"),
]


@pytest.mark.parametrize(("status", "body", "code"), ROWS)
def test_each_row_of_the_contract(status: int, body: bytes, code: str) -> None:
    answer = Answer.read(status, body)
    assert not answer.is_order
    assert error_for(answer).code == code


def test_the_request_id_is_kept_for_the_log() -> None:
    assert Answer.read(503, refusal("X")).request_id == "r-1"


@given(st.integers(0, 1000), st.binary(max_size=100) | st.text(max_size=100) | st.none())
def test_every_answer_means_something(status: int, body: bytes | str | None) -> None:
    answer = Answer.read(status, body)
    assert not answer.is_order
    assert error_for(answer) in CATALOGUE
