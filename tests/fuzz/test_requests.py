"""Any request, over raw sockets, through the gateway: answered in form, or refused by Kong before it knows the route.

No order without a valid key; as many orders as answers that name one, and these; nothing left behind.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.harness.pbx import DEMO_KEY, Answer

from . import requests
from .cases import cases, count
from .line import Line, in_form
from .requests import Request


def outcome_of(answer: Answer) -> str:
    if answer.status != 200:
        return str(answer.code)
    return "accepted" if "id" in answer.json["data"] else "verified"


@cases(short=60, long=10_000)
@given(data=st.data(), batch=st.lists(requests.whole(), min_size=1, max_size=3))
def test_whole_requests_are_answered_as_the_contract_says(
    line: Line, turn: int, data: Any, batch: list[Request]
) -> None:
    sent = data.draw(requests.pieces(b"".join(request.raw for request in batch)))
    outcome = line.send(batch, sent, "read")
    ids = []
    for request, answer in zip(batch, outcome.answers, strict=False):
        in_form(answer, request.method, own=request.own)
        if answer.status == 200 and request.method != "HEAD":
            assert request.has_key
            if "id" in answer.json["data"]:
                ids.append(answer.order_id)
        if request.expected is not None and request.method != "HEAD":
            assert outcome_of(answer) in request.expected
    assert len(outcome.answers) == len(batch) or outcome.closed
    assert outcome.rest == b""
    assert [order["order_id"] for order in line.new_orders()] == ids
    count("whole requests, through the gateway", len(batch))


@cases(short=30, long=4_000)
@given(
    data=st.data(),
    raw=requests.broken(),
    ending=st.sampled_from(["read", "read", "half close", "close", "reset"]),
)
def test_broken_requests_cost_nothing(line: Line, turn: int, data: Any, raw: bytes, ending: Any) -> None:
    outcome = line.send_bytes(data.draw(requests.pieces(raw)), ending)
    ids = set()
    for answer in outcome.answers:
        in_form(answer, "GET", own=True)
        if answer.status == 200 and "id" in answer.json["data"]:
            ids.add(answer.order_id)
    allowed = raw.count(b"POST") if DEMO_KEY.encode() in raw else 0
    assert ids <= {order["order_id"] for order in line.orders_at_most(allowed)}
    count("broken requests, through the gateway")


@cases(short=25, long=2_000)
@given(
    data=st.data(),
    batch=st.lists(requests.whole(), min_size=1, max_size=3),
    ending=st.sampled_from(["close", "reset"]),
)
def test_a_client_that_leaves_half_way_has_sent_at_most_what_it_sent_whole(
    line: Line, turn: int, data: Any, batch: list[Request], ending: Any
) -> None:
    raw = b"".join(request.raw for request in batch)
    sent = raw[: data.draw(st.integers(0, len(raw)))]
    line.send(batch, data.draw(requests.pieces(sent)), ending)
    whole, end = 0, 0
    for request in batch:
        end += len(request.raw)
        whole += request.has_key and end <= len(sent)
    line.orders_at_most(whole)
    count("requests left half way, through the gateway")
