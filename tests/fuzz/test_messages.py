"""Any body, any header line: the adapter alone, in this process, against what the contract says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.handler import Plugin

from . import bodies, oracle
from .cases import cases, count
from .pdk import KEY, SEND, Kong, as_kong_sends


@cases(short=150, long=40_000)
@given(body=bodies.any_body())
def test_a_body_is_an_order_or_the_refusal_that_the_contract_names(
    plugin: Plugin, turn: int, body: bytes
) -> None:
    kong = Kong(SEND, as_kong_sends(body)).run(plugin, "access")
    expected = oracle.of_body(body)
    if kong.path is None:
        assert kong.answer.code in expected
    else:
        assert oracle.ACCEPTED in expected
        assert kong.exits == []
        message, order = json.loads(body), json.loads(kong.order)
        assert order.pop("client_order_id")
        assert order == {
            "phone_number": message["to"],
            "template_id": "TPL1",
            "sender_id": "SID-1",
            "var": message["text"],
        }
    count("bodies, in process")


_lines = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda method, path, rest: b"%b /api/v1/integration/yeastar/sms/%b%b" % (method, path, rest),
        st.sampled_from([b"GET", b"POST", b"HEAD", b"", b"get", b"POST ", b"\xff"]),
        st.sampled_from([b"verify", b"sendmessage", b"%76erify", b"x/../verify", b"", b"//verify/", b"%ff"]),
        st.one_of(
            st.sampled_from([b"", b" HTTP/1.1", b"? HTTP/1.1", b"?a=b c HTTP/1.0"]), st.binary(max_size=20)
        ),
    ),
)
_authorizations = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.builds(
        lambda scheme, gap, key: b"%b%b%b" % (scheme, gap, key),
        st.sampled_from([b"Bearer", b"bearer", b"BEARER", b"Basic", b"Bearer:", b""]),
        st.sampled_from([b" ", b"  ", b"\t", b"", b" \xa0"]),
        st.one_of(
            st.just(KEY.encode()),
            st.sampled_from(
                [KEY.encode() + b" ", KEY.encode()[:-1], KEY.encode() + b"\0", KEY.upper().encode()]
            ),
            st.binary(max_size=40),
        ),
    ),
)


@cases(short=100, long=10_000)
@given(line=_lines, authorization=_authorizations)
def test_nothing_is_forwarded_without_the_key(
    plugin: Plugin, turn: int, line: bytes, authorization: bytes | None
) -> None:
    body: Any = b'{"from": "+63280000001", "to": "+639171234567", "text": "x"}'
    kong = Kong(
        as_kong_sends(line) or "",
        as_kong_sends(body),
        as_kong_sends(authorization),
    ).run(plugin, "access")
    given_key = (authorization or b"").partition(b" ")[2].strip(b" ")
    has_key = (
        given_key == KEY.encode() and authorization is not None and authorization[:7].lower() == b"bearer "
    )
    if kong.path is not None:
        assert has_key
        assert line.startswith(b"POST ")
        assert b"sendmessage" in line
    else:
        answer = kong.answer
        assert (answer.code == "10004") == (not has_key)
        assert answer.code in (None, "10002", "10004")
    count("request lines and keys, in process")
