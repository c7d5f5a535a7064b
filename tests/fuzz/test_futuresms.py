"""Whatever FutureSMS answers, the PBX gets an answer in Yeastar's form, and its message goes out once at most."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from yeastar_adapter.futuresms.merchant import Account, LoginRefused, MerchantApi, Unreachable
from yeastar_adapter.handler import Plugin

from tests.harness.gateway import EmbeddedGateway
from tests.harness.pbx import Pbx
from tests.harness.stub import LOGIN, PASSWORD, REFRESH, SENDS, USERNAME, StubClient

from . import answers, bodies, oracle
from .cases import cases, count
from .line import Line
from .pdk import SEND, Kong, as_kong_sends

MESSAGE = b'{"from": "+63280000001", "to": "+639171234567", "text": "x"}'


@cases(short=150, long=30_000)
@given(status=answers.statuses, body=answers.any_body, wait=answers.waits, as_text=st.booleans())
def test_an_answer_means_what_the_contract_says(
    plugin: Plugin, turn: int, status: int, body: bytes, wait: str | None, as_text: bool
) -> None:
    kong = Kong(SEND, as_kong_sends(MESSAGE)).run(plugin, "access")
    assert kong.path == "/api/v1/sms/sends"
    kong.status, kong.wait = status, wait
    kong.upstream_body = as_kong_sends(body) if as_text else body
    answer = kong.run(plugin, "response").answer
    expected = oracle.of_futuresms(status, body)
    if answer.status == 200:
        assert expected == f"order {answer.order_id}"
    else:
        assert answer.code == expected
    count("answers of FutureSMS, in process")


_behaviours = st.one_of(
    st.fixed_dictionaries(
        {"status": st.one_of(answers.statuses, answers.statuses, st.sampled_from([100, 101, 103, 199]))},
        optional={
            "body": st.one_of(
                answers.envelopes.map(json.dumps),
                st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
            ),
            "headers": answers.headers,
            "half_body": st.booleans(),
            "body_delay_ms": st.integers(0, 20),
            "delay_ms": st.integers(0, 20),
        },
    ),
    st.builds(lambda raw: {"raw": raw.decode("latin-1")}, answers.raw()),
    st.sampled_from(
        [{"drop_connection": True}, {"reset": True}, {"half_body": True}, {"body": "x" * 3_000_000}]
    ),
)


@cases(short=40, long=6_000)
@given(behaviour=_behaviours, accept=st.booleans(), times=st.integers(1, 2))
def test_whatever_comes_back_through_the_gateway_is_told_in_form_and_sent_once(
    impatient_line: Line, pbx: Pbx, turn: int, behaviour: dict[str, Any], accept: bool, times: int
) -> None:
    line = impatient_line
    if not isinstance(line.gateway, EmbeddedGateway):
        assume(not _leaves_kong_speechless(behaviour))
    says_401 = behaviour.get("status") == 401 or " 401" in behaviour.get("raw", "")[:40]
    # A 401 has created nothing, says FutureSMS; an order that was taken is not answered with one.
    line.stub.behave(path=SENDS, times=times, accept=accept and not says_401, **behaviour)
    line.begin()
    answer = pbx.send()
    orders = line.new_orders()
    line.stub.behave_well()
    assert len(orders) <= 1
    if answer.status == 200 and "body" not in behaviour and "raw" not in behaviour:
        assert [order["order_id"] for order in orders] == [answer.order_id]
    # What one answer has left on a connection must not become the answer to the next message; that FutureSMS is about
    # to close it, the next message cannot know.
    after = pbx.send()
    assert [order["order_id"] for order in line.new_orders()] == (
        [after.order_id] if after.status == 200 else []
    )
    assert after.code in (None, "10007")
    count("answers of FutureSMS, through the gateway")


def _leaves_kong_speechless(behaviour: dict[str, Any]) -> bool:
    """Whether Kong 3.9 closes the PBX's connection without an answer.

    When an answer breaks off, Kong ends the request with the status that it began with; and to nginx 408, 444 and 499
    mean that there is nobody to be answered. The same goes for a status below 200, after which nginx waits for more.
    """
    status = behaviour.get("status") or re.sub(r"\D", "", behaviour.get("raw", "")[8:13])
    return str(status) in ("408", "444", "499") or str(status).startswith("1")


_tokens = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", " ", "a b", "a\r\nX: y", "\x00", "é", "\ud83d", "x" * 100_000]),
    bodies.values,
)
_ends = st.one_of(
    st.sampled_from(
        ["2026-11-23T10:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
    ),
    st.sampled_from(
        ["soon", "", "2026-11-23", "2026-11-23T10:00:00.123456789Z", "2026-11-23T10:00:00+99:99"]
    ),
    bodies.values,
)
_pairs = st.fixed_dictionaries(
    {"access_token": _tokens, "refresh_token": _tokens},
    optional={"access_token_expires_at": _ends, "refresh_token_expires_at": _ends},
)
_log_ins = st.one_of(
    st.fixed_dictionaries(
        {
            "status": st.one_of(st.just(200), answers.statuses),
            "body": st.one_of(
                _pairs.map(lambda pair: json.dumps({"data": pair})), answers.envelopes.map(json.dumps)
            ),
        },
        optional={"headers": answers.headers, "half_body": st.booleans()},
    ),
    st.builds(lambda raw: {"raw": raw.decode("latin-1")}, answers.raw()),
    st.sampled_from(
        [{"drop_connection": True}, {"reset": True}, {"body": "x" * 3_000_000}, {"body": "[" * 100_000}]
    ),
)


@cases(short=30, long=4_000)
@given(behaviour=_log_ins, refresh=st.booleans())
def test_whatever_a_log_in_is_answered_there_is_a_token_for_a_header_or_none(
    stub: StubClient, turn: int, behaviour: dict[str, Any], refresh: bool
) -> None:
    api = MerchantApi(Account(stub.url, USERNAME, PASSWORD, timeout=0.5))
    stub.behave(path=REFRESH if refresh else LOGIN, **behaviour)
    try:
        tokens = api.refresh("rt") if refresh else api.log_in()
    except (LoginRefused, Unreachable):
        pass
    else:
        assert tokens.access.isascii()
        assert tokens.access.isprintable()
        assert tokens.access.strip()
        assert isinstance(tokens.access_life, float)
        assert isinstance(tokens.refresh_life, float)
    finally:
        stub.behave_well()
    count("answers to log-ins")
