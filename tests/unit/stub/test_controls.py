from __future__ import annotations

import re
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests

from tests.harness.stub import LOGIN, SENDS


def test_the_next_requests_are_answered_as_told_and_then_as_usual(stub, merchant):
    stub.behave(status=503, body={"oh": "no"}, headers={"Retry-After": "7"}, times=2, path=SENDS)
    for _ in range(2):
        answer = merchant.send()
        assert (answer.status_code, answer.json()) == (503, {"oh": "no"})
        assert answer.headers["Retry-After"] == "7"
        assert answer.headers["Content-Type"] == "application/json"
    assert merchant.send().status_code == 202
    assert len(stub.orders()) == 1


def test_a_behaviour_happens_once_unless_told_otherwise(stub, merchant):
    stub.behave(status=500)
    assert [merchant.send().status_code for _ in range(2)] == [500, 202]


def test_a_behaviour_without_end_goes_on_until_it_is_cleared(stub, merchant):
    stub.behave(status=500, times=None)
    assert {merchant.send().status_code for _ in range(5)} == {500}
    stub.behave(times=0)
    assert merchant.send().status_code == 202


def test_a_status_alone_comes_with_the_error_envelope(stub, merchant):
    stub.behave(status=429)
    assert merchant.send().json()["error_code"] == "TOO_MANY_REQUESTS"


def test_a_string_goes_out_as_it_is(stub, merchant):
    stub.behave(status=200, body="<html>", headers={"Content-Type": "text/html"})
    answer = merchant.send()
    assert (answer.text, answer.headers["Content-Type"]) == ("<html>", "text/html")


def test_a_list_is_a_body_and_a_list_of_values_is_a_repeated_header(stub, merchant):
    stub.behave(status=200, body=[1, 2], headers={"Set-Cookie": ["a=1", "b=2"]})
    answer = merchant.send()
    assert answer.json() == [1, 2]
    assert answer.raw.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_a_behaviour_for_one_path_leaves_the_others_alone(stub, merchant):
    stub.behave(status=503, path=LOGIN)
    stub.behave(status=504, path=SENDS)
    assert merchant.send().status_code == 504
    assert requests.post(stub.url + LOGIN, json={}, timeout=10).status_code == 503


def test_clearing_one_path_leaves_the_behaviour_of_another(stub, merchant):
    stub.behave(status=503, path=LOGIN)
    stub.behave(status=504, path=SENDS)
    stub.behave(times=0, path=SENDS)
    assert merchant.send().status_code == 202
    assert requests.post(stub.url + LOGIN, json={}, timeout=10).status_code == 503


def test_a_delay_alone_lets_the_request_through_later(stub, merchant):
    stub.behave(delay_ms=300)
    started = time.monotonic()
    assert merchant.send().status_code == 202
    assert time.monotonic() - started >= 0.3


def test_the_body_can_come_later_than_the_head(stub, merchant):
    stub.behave(body_delay_ms=300)
    started = time.monotonic()
    answer = merchant.call("POST", SENDS, json={}, stream=True)
    assert answer.status_code == 422
    assert answer.json()["error_code"] == "VALIDATION_ERROR"
    assert time.monotonic() - started >= 0.3


def test_a_dropped_connection_gives_no_answer_and_makes_no_order(stub, merchant):
    stub.behave(drop_connection=True)
    with pytest.raises(requests.ConnectionError):
        merchant.send()
    assert stub.orders() == []
    assert stub.count(f"POST {SENDS}") == 1


def test_an_order_can_be_accepted_and_its_answer_lost(stub, merchant):
    stub.behave(drop_connection=True, accept=True)
    with pytest.raises(requests.ConnectionError):
        merchant.send()
    assert len(stub.orders()) == 1


def test_half_a_body_breaks_off(stub, merchant):
    stub.behave(half_body=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        merchant.send()
    assert len(stub.orders()) == 1, "half an answer is an answer: the order was made"


def test_half_of_a_given_body_breaks_off(stub, merchant):
    stub.behave(status=200, body={"data": {"order_id": "SDPS"}}, half_body=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        merchant.send()
    assert stub.orders() == []


def test_a_connection_can_be_reset(stub, merchant):
    stub.behave(reset=True)
    address = urlsplit(stub.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(b"GET /api/v1/auth/me HTTP/1.1\r\nHost: stub\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_raw_bytes_go_out_exactly(stub):
    stub.behave(raw="not http at all\xff\r\n\r\n")
    address = urlsplit(stub.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(b"GET /api/v1/auth/me HTTP/1.1\r\nHost: stub\r\n\r\n")
        received = b""
        while piece := connection.recv(100):
            received += piece
    assert received == b"not http at all\xff\r\n\r\n"


@pytest.mark.parametrize(
    ("behaviour", "named"),
    [
        ({"statsu": 503}, "statsu"),
        ({"status": 42}, "status"),
        ({"status": "503"}, "status"),
        ({"headers": ["a"]}, "headers"),
        ({"headers": {"A": "1\r\nB: 2"}}, "headers"),
        ({"times": -1}, "times"),
        ({"path": 1}, "path"),
        ({"raw": "☎"}, "raw"),
        ([], "behaviour"),
    ],
)
def test_a_behaviour_that_is_not_understood_is_refused_in_words(stub, behaviour, named):
    answer = requests.put(f"{stub.url}/__stub__/behaviour", json=behaviour, timeout=10)
    assert answer.status_code == 400
    assert named in answer.json()["details"]


def test_an_unknown_control_names_the_known_ones(stub):
    answer = requests.get(f"{stub.url}/__stub__/order", timeout=10)
    assert answer.status_code == 404
    assert "GET /__stub__/orders" in answer.json()["details"]


def test_every_request_is_kept_with_its_headers_and_body(stub, merchant):
    stub.clear_requests()
    merchant.send(var="ünïcode")
    [request] = stub.requests()
    assert (request["method"], request["path"]) == ("POST", SENDS)
    assert request["headers"]["authorization"] == f"Bearer {merchant.tokens['access_token']}"
    assert "\\u00fcn\\u00efcode" in request["body"]
    assert stub.requests(path=LOGIN) == []


def test_controls_are_not_among_the_requests(stub):
    stub.orders()
    assert stub.requests() == []


def test_counters_tell_calls_by_their_answer(stub, merchant):
    merchant.send()
    merchant.send(sender_id="AUTO")
    calls = stub.status()["calls"]
    assert calls[f"POST {SENDS} 202"] == 1
    assert calls[f"POST {SENDS} 403"] == 1
    assert stub.status()["orders"] == 1


def test_orders_and_requests_can_be_forgotten(stub, merchant):
    merchant.send(client_order_id="client-ord-0001")
    stub.clear_orders()
    stub.clear_requests()
    assert (stub.orders(), stub.requests()) == ([], [])
    assert merchant.send(client_order_id="client-ord-0001").status_code == 202


def test_requests_of_one_connection_are_answered_in_order_though_the_first_is_slow(stub):
    stub.behave(delay_ms=200, status=503, path="/api/v1/first")
    address = urlsplit(stub.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(
            b"GET /api/v1/first HTTP/1.1\r\nHost: stub\r\n\r\n"
            b"GET /api/v1/second HTTP/1.1\r\nHost: stub\r\nConnection: close\r\n\r\n"
        )
        received = b""
        while piece := connection.recv(4096):
            received += piece
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", received)]
    assert statuses == [503, 404]


def test_what_is_not_http_is_answered_400(stub):
    address = urlsplit(stub.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_chunked_body_is_read(merchant):
    answer = merchant.call(
        "POST",
        SENDS,
        data=iter(
            [b'{"phone_number": "+6391712', b'34567", "template_id": "TPL1000", "sender_id": "SID-1"}']
        ),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 202, answer.text
