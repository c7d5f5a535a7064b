"""Answers that the adapter does not make: Kong's own and those of other plugins, all in Yeastar's words."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY, SENDMESSAGE, VERIFY, Pbx
from tests.harness.stub import SENDS, StubClient

AUTHORIZED = {"Authorization": f"Bearer {DEMO_KEY}", "Content-Type": "application/json"}
MESSAGE = json.dumps({"from": "+63280000001", "to": "+639171234567", "text": "Your table is ready"}).encode()


def with_plugin(kong_yml: KongYml, name: str, **config: Any) -> KongYml:
    kong_yml.service["routes"][0]["plugins"].append({"name": name, "config": config})
    return kong_yml


def new_pbx(kong_yml: KongYml) -> str:
    """A consumer that no gateway has counted before; its key."""
    name = uuid.uuid4().hex
    kong_yml.add_pbx(f"pbx-{name}", f"ystr_test_{name}")
    return f"ystr_test_{name}"


def closed_port() -> int:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_nothing_listens_at_futuresms_s_address(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    kong_yml.config["merchant"]["base_url"] = kong_yml.service["url"]
    kong_yml.service["url"] = f"http://127.0.0.1:{closed_port()}"
    gateway.load(kong_yml)
    assert pbx.send().code == "10007"
    assert stub.orders() == []


def test_futuresms_s_name_does_not_resolve(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    kong_yml.config["merchant"]["base_url"] = kong_yml.service["url"]
    kong_yml.service["url"] = "http://nowhere.invalid"
    gateway.load(kong_yml)
    assert pbx.send().code == "10007"


def test_futuresms_answers_too_late(gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient) -> None:
    kong_yml.service["read_timeout"] = 300
    gateway.load(kong_yml)
    assert pbx.send().status == 200
    stub.clear_requests()
    stub.behave(path=SENDS, delay_ms=1500)
    assert pbx.send().code == "10007"
    assert len(stub.requests(path=SENDS)) == 1


def test_another_plugin_limits_the_rate(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    key = new_pbx(kong_yml)
    gateway.load(with_plugin(kong_yml, "rate-limiting", day=1, policy="local"))
    assert pbx.send(key=key).status == 200
    answer = pbx.send(key=key)
    assert answer.code == "10006"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["x-ratelimit-limit-day"] == "1"


def test_a_plugin_that_counts_by_consumer_knows_who_is_calling(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx
) -> None:
    one, other = new_pbx(kong_yml), new_pbx(kong_yml)
    gateway.load(with_plugin(kong_yml, "rate-limiting", day=1, policy="local", limit_by="consumer"))
    assert [pbx.send(key=key).code for key in (one, other, one)] == [None, None, "10006"]


@pytest.mark.parametrize("list_name", ["allow", "deny"])
def test_another_plugin_asks_for_a_group(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, list_name: str
) -> None:
    kong_yml.consumer("acme-manila")["acls"] = [{"group": "sms"}]
    gateway.load(with_plugin(kong_yml, "acl", **{list_name: ["sms"]}))
    assert pbx.send().code == (None if list_name == "allow" else "10005")


def test_another_plugin_refuses_the_address(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    gateway.load(with_plugin(kong_yml, "ip-restriction", deny=["0.0.0.0/0"]))
    assert pbx.send().code == "10005"


def test_another_plugin_refuses_the_size(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    limits = {"allowed_payload_size": 1, "size_unit": "kilobytes"}
    gateway.load(with_plugin(kong_yml, "request-size-limiting", **limits))
    assert pbx.send().status == 200
    assert pbx.send(text="x" * 1500).code == "10002"
    assert len(stub.orders()) == 1


def test_another_plugin_names_the_request(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    config = {"header_name": "X-Correlation-ID", "generator": "uuid", "echo_downstream": True}
    gateway.load(with_plugin(kong_yml, "correlation-id", **config))
    for answer in (pbx.send(), pbx.verify(), pbx.verify(key=None)):
        assert len(answer.headers["x-correlation-id"]) == 36


def test_another_plugin_wants_a_key_of_its_own(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    gateway.load(with_plugin(kong_yml, "key-auth"))
    assert pbx.send().code == "10004"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (402, "10002"),
        (404, "10002"),
        (418, "10002"),
        (429, "10006"),
        (500, "10007"),
        (503, "10007"),
        (599, "10007"),
    ],
)
def test_another_plugin_ends_the_request(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient, status: int, code: str
) -> None:
    terminate = {"status_code": status, "message": "closed", "trigger": "X-Close"}
    gateway.load(with_plugin(kong_yml, "request-termination", **terminate))
    assert pbx.send(headers={"X-Close": "1"}).code == code
    assert stub.orders() == []


HOP_BY_HOP = [
    {"Connection": "close, Authorization, Content-Type"},
    {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "eA==",
    },
    {"Upgrade": "h2c"},
    {"TE": "trailers"},
    {"Expect": "100-continue"},
    {"X-HTTP-Method-Override": "GET"},
    {"Accept-Encoding": "gzip"},
    {"If-Match": "x"},
    {"If-None-Match": "*"},
    {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
    {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT", "Range": "bytes=0-1"},
    {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Prefix": "/x", "X-Forwarded-Host": "evil"},
    {"Via": "1.1 evil", "Content-Encoding": "gzip"},
]


@pytest.mark.parametrize("headers", HOP_BY_HOP, ids=lambda h: ",".join(h))
def test_no_header_of_the_pbx_changes_the_order_or_its_answer(
    pbx: Pbx, stub: StubClient, headers: dict[str, str]
) -> None:
    verified = pbx.request("GET", VERIFY, headers={**AUTHORIZED, **headers})
    assert (verified.status, verified.json) == (200, {"data": {"status": "ok"}})
    answer = pbx.post(MESSAGE, headers=headers)
    assert answer.status == 200
    assert answer.order_id == stub.orders()[-1]["order_id"]
    assert len(stub.orders()) == 1
    seen = stub.requests(path=SENDS)[-1]["headers"]
    for name in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "upgrade", "te", "expect"):
        assert name not in seen
    assert seen["authorization"].startswith("Bearer ")


@pytest.mark.parametrize(
    "path", [f"{SENDMESSAGE}?", f"{SENDMESSAGE}?a=b#c", SENDMESSAGE.replace("sendmessage", "%73endmessage")]
)
def test_every_spelling_of_the_path_that_kong_routes_is_served(pbx: Pbx, stub: StubClient, path: str) -> None:
    assert pbx.request("POST", path, headers=AUTHORIZED, body=MESSAGE).status == 200
    assert len(stub.orders()) == 1


@pytest.mark.parametrize(
    "path", ["/api/v1/sms/sends", f"{VERIFY}/", f"{VERIFY}x", f"{SENDMESSAGE}/../../../../../sms/sends", "/"]
)
def test_no_other_path_is_routed(pbx: Pbx, stub: StubClient, path: str) -> None:
    answer = pbx.request("POST", path, headers=AUTHORIZED, body=MESSAGE, checked=False)
    assert answer.status == 404
    assert stub.requests() == []


def raw(gateway: Gateway, *parts: bytes) -> bytes:
    """Send bytes as they are; what comes back until the gateway closes or 5 s are over."""
    address = urlsplit(gateway.proxy_url)
    received = b""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(
            socket.create_connection((address.hostname, address.port), timeout=5)
        )
        if address.scheme == "https":
            tls = ssl.create_default_context()
            connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=address.hostname))
        for part in parts:
            connection.sendall(part)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := connection.recv(65536):
                received += chunk
    return received


def request_bytes(body: bytes, *headers: str) -> bytes:
    head = [f"POST {SENDMESSAGE} HTTP/1.1", "Host: gateway", "Connection: close", *headers]
    head += [f"{name}: {value}" for name, value in AUTHORIZED.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


def test_a_chunked_message_is_a_message(gateway: Gateway, stub: StubClient) -> None:
    chunked = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (10, MESSAGE[:10], len(MESSAGE) - 10, MESSAGE[10:])
    assert raw(gateway, request_bytes(chunked, "Transfer-Encoding: chunked")).startswith(b"HTTP/1.1 200")
    assert len(stub.orders()) == 1


@pytest.mark.parametrize(
    "broken",
    [
        request_bytes(b"zz\r\nno\r\n", "Transfer-Encoding: chunked"),
        request_bytes(MESSAGE, "Transfer-Encoding: chunked"),
        request_bytes(MESSAGE, f"Content-Length: {len(MESSAGE)}", "Transfer-Encoding: chunked"),
        request_bytes(MESSAGE, "Transfer-Encoding: identity"),
        request_bytes(MESSAGE, "Content-Length: -1"),
        request_bytes(MESSAGE, "Content-Length: 10", "Content-Length: 20"),
        request_bytes(MESSAGE, f"Content-Length: {len(MESSAGE)}", "Authorization: Bearer another"),
        request_bytes(MESSAGE, f"Content-Length: {len(MESSAGE)}", "X-Long: " + "x" * 40_000),
        b"hello there\r\n\r\n",
    ],
)
def test_broken_http_makes_no_order(gateway: Gateway, stub: StubClient, broken: bytes) -> None:
    answer = raw(gateway, broken)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert stub.orders() == []


@pytest.mark.parametrize("key", [DEMO_KEY, "nobody"])
def test_a_body_that_breaks_off_is_10002(gateway: Gateway, stub: StubClient, key: str) -> None:
    whole = request_bytes(b"5\r\nhello\r\nzz\r\nno\r\n", "Transfer-Encoding: chunked")
    answer = raw(gateway, whole.replace(DEMO_KEY.encode(), key.encode()))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Type: application/json\r\n" in answer
    detail = b"the body could not be read"
    assert b'{"errors": [{"code": "10002", "title": "Invalid parameter", "detail": "%s"}]}' % detail in answer
    assert stub.orders() == []


def test_a_client_that_leaves_in_mid_request_makes_no_order(
    gateway: Gateway, pbx: Pbx, stub: StubClient
) -> None:
    whole = request_bytes(MESSAGE, f"Content-Length: {len(MESSAGE)}")
    address = urlsplit(gateway.proxy_url)
    for cut in (10, len(whole) // 2, len(whole) - 1):
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(whole[:cut])
    assert pbx.send().status == 200
    assert len(stub.orders()) == 1


def test_pipelined_messages_are_answered_one_after_the_other(gateway: Gateway, stub: StubClient) -> None:
    one = request_bytes(MESSAGE, f"Content-Length: {len(MESSAGE)}").replace(b"Connection: close\r\n", b"")
    last = request_bytes(MESSAGE, f"Content-Length: {len(MESSAGE)}")
    answer = raw(gateway, one + one + last)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert len(stub.orders()) == 3
