"""FutureSMS answers while nobody is there to translate it: the plugin server has died since it made the order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness.gateway import EmbeddedGateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.link import Link
from tests.harness.pbx import Pbx
from tests.harness.stub import SENDS, StubClient


@pytest.fixture
def link(embedded_gateway: EmbeddedGateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient) -> Iterator[Link]:
    """The gateway's way to FutureSMS, which can be held up; a message has passed over it."""
    with Link(int(stub.url.rpartition(":")[2])) as link:
        kong_yml.use_upstream(f"http://127.0.0.1:{link.port}")
        kong_yml.service["read_timeout"] = 60_000
        embedded_gateway.load(kong_yml)
        assert pbx.send(text="before").status == 200
        yield link


@pytest.mark.parametrize(
    "answer",
    [{}, *({"status": status} for status in (400, 401, 403, 409, 422, 429, 503))],
    ids=lambda answer: str(answer.get("status", 202)),
)
def test_what_nobody_has_translated_is_10007_and_never_blames_the_pbx(
    embedded_gateway: EmbeddedGateway, link: Link, pbx: Pbx, stub: StubClient, answer: dict[str, Any]
) -> None:
    """A 401 is about the order's token: told as 10004, it would make a PBX throw away a good key."""
    stub.behave(path=SENDS, **answer)
    link.hold()
    with ThreadPoolExecutor() as pool:
        answered = pool.submit(pbx.send, text="in between")
        wait_until(lambda: link.held, 30, "the order on its way")
        embedded_gateway.kill_plugin_server()
        link.release()
        while not answered.done():
            embedded_gateway.kill_plugin_server()  # and the next one, should Kong have started it in time
        assert answered.result(30).code == "10007"
    assert [order["var"] for order in stub.orders()].count("in between") == (0 if answer else 1)
    embedded_gateway.wait_for_plugin_server()
    wait_until(lambda: pbx.send(text="afterwards").status == 200, 30, "messages to go out again")


def test_a_401_for_a_token_of_the_plugin_server_before_is_mended_by_the_next_one(
    embedded_gateway: EmbeddedGateway, link: Link, pbx: Pbx, stub: StubClient
) -> None:
    """It has created nothing, whoever had fetched the token: the order goes out once more."""
    stub.revoke_tokens()
    link.hold()
    with ThreadPoolExecutor() as pool:
        answered = pool.submit(pbx.send, text="in between")
        wait_until(lambda: link.held, 30, "the order on its way")
        embedded_gateway.kill_plugin_server()
        embedded_gateway.wait_for_plugin_server()
        wait_until(lambda: pbx.verify().status == 200, 30, "the next plugin server")
        link.release()
        assert answered.result(60).status == 200
    assert [order["var"] for order in stub.orders()].count("in between") == 1
