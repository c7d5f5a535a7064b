"""Whatever FutureSMS answers, the PBX gets an answer in Yeastar's form, and its message goes out once at most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from yeastar_adapter.plugin import Plugin

from . import answers, oracle
from .cases import cases, count
from .pdk import SEND, Kong, as_kong_sends

MESSAGE = b'{"from": "+63280000001", "to": "+639171234567", "text": "x"}'


@cases(short=150, long=30_000)
@given(status=answers.statuses, body=answers.any_body, wait=answers.waits, as_text=st.booleans())
def test_an_answer_means_what_the_contract_says(
    plugin: Plugin, turn: int, status: int, body: bytes, wait: str | None, as_text: bool
) -> None:
    kong = Kong(SEND, MESSAGE, reader=False).run(plugin, "access")
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
