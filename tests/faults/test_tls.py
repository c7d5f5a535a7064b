"""FutureSMS over TLS, with all that can go wrong there: no order without a certificate that is trusted, none twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.authority import Authority, ServerCertificate
from tests.harness.gateway import EmbeddedGateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.link import Link
from tests.harness.pbx import Pbx
from tests.harness.stub import SENDS, StubServer


@dataclass
class Way:
    """A PBX, the gateway, a link that may hold up what goes to FutureSMS, and FutureSMS."""

    pbx: Pbx
    gateway: EmbeddedGateway
    link: Link
    stub: StubServer
    authority: Authority
    shown: ServerCertificate


@pytest.fixture
def way(
    tmp_path: Path,
    kong_yml: KongYml,
    start_gateway: Callable[..., EmbeddedGateway],
    pbx_at: Callable[..., Pbx],
) -> Iterator[Way]:
    authority = Authority(tmp_path / "authority")
    shown = authority.issue()
    stub = StubServer(tmp_path, tls=shown)
    link = Link(int(stub.tls_url.rpartition(":")[2]))
    kong_yml.use_upstream(f"https://localhost:{link.port}")
    kong_yml.config["merchant"]["ca_certificates"] = str(authority.certificate)
    trusted = {"KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE": str(authority.certificate)}
    try:
        gateway = start_gateway(kong_yml, environment={**os.environ, **trusted})
        yield Way(pbx_at(gateway.proxy_url), gateway, link, stub, authority, shown)
    finally:
        link.close()
        stub.stop()


def test_a_token_revoked_under_load_costs_no_message_and_makes_none_twice(way: Way) -> None:
    assert way.pbx.send().status == 200
    way.stub.behave(path=SENDS, times=40, delay_ms=300)
    with ThreadPoolExecutor(40) as senders:
        sent = [senders.submit(way.pbx.send, text=f"message {number}") for number in range(40)]
        wait_until(lambda: way.stub.count(f"POST {SENDS}") >= 1, 30, "the first order")
        way.stub.revoke_tokens()
        answers = [one.result() for one in sent]
    made = Counter(order["var"] for order in way.stub.orders())
    assert [answer.status for answer in answers] == [200] * 40
    assert all(made[f"message {number}"] == 1 for number in range(40))


def test_a_certificate_that_is_not_trusted_any_more_stops_every_order_until_it_is_replaced(
    way: Way, tmp_path: Path
) -> None:
    assert way.pbx.send().status == 200
    Authority(tmp_path / "other").replace(way.shown)
    way.stub.read_certificate()
    way.link.cut()
    made = len(way.stub.orders())
    assert way.pbx.send().code == "10007"
    assert len(way.stub.orders()) == made
    way.authority.replace(way.shown)
    way.stub.read_certificate()
    wait_until(lambda: way.pbx.send().status == 200, 60, "an order after the certificate is good again")


def test_a_log_in_to_somebody_who_is_not_trusted_gives_the_password_to_nobody(
    way: Way, tmp_path: Path
) -> None:
    Authority(tmp_path / "other").replace(way.shown)
    way.stub.read_certificate()
    assert way.pbx.send().code == "10007"
    assert way.stub.requests() == []
    assert "is not trusted" in way.gateway.log()


def test_a_handshake_that_stalls_is_given_up_and_nothing_was_sent(way: Way) -> None:
    way.link.hold()
    assert way.pbx.send().code == "10007"
    assert way.stub.requests() == []
    way.link.release()
    wait_until(lambda: way.pbx.send().status == 200, 60, "an order after the handshake goes on")
