"""TLS on every hop, and all that can go wrong there: no order and no password without trust, no message twice."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import socket
import ssl
import struct
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
from tests.harness.load import Load
from tests.harness.pbx import DEMO_KEY, SENDMESSAGE, Journal, Pbx
from tests.harness.redis import RedisServer
from tests.harness.secrets import Secrets
from tests.harness.stub import PASSWORD, SENDS, USERNAME, StubServer

_merchants = itertools.count(1)


@dataclass
class Site:
    """A gateway that speaks nothing but TLS, with a link that may hold up what goes to FutureSMS, or to Redis."""

    gateway: EmbeddedGateway
    stub: StubServer
    redis: RedisServer
    to_stub: Link
    to_redis: Link
    authority: Authority
    certificates: dict[str, ServerCertificate]
    """What `gateway`, `stub` and `redis` show."""
    trusted: Path
    """Whom the adapter believes at FutureSMS."""
    kong_yml: KongYml
    pbx: Pbx
    _read: int = 0

    def mend(self) -> None:
        """Everything as at the start, but for what the plugin server remembers."""
        self.to_stub.release()
        self.to_redis.release()
        self.redis.start()
        for name in self.certificates:
            self.show(name)
        self.trust(self.authority)
        self.stub.reset()
        self.gateway.load(self.kong_yml)
        wait_until(lambda: self.pbx.send(text="first").status == 200, 60, "a message of the mended gateway")
        self.stub.clear_orders()
        self.stub.clear_requests()
        self._read = len(self.gateway.log())

    def log(self) -> str:
        """What gateway and plugin server have logged in this test."""
        return self.gateway.log()[self._read :]

    def load(self) -> Load:
        return Load(self.pbx, self.stub)

    def trust(self, authority: Authority) -> None:
        self.trusted.write_bytes(authority.certificate.read_bytes())

    def show(self, name: str, by: Authority | None = None, *names: str, expired: bool = False) -> None:
        """Another certificate for `gateway` (from its next reload on), `stub` or `redis`."""
        (by or self.authority).replace(self.certificates[name], *names, expired=expired)
        if name == "stub":
            self.stub.read_certificate()
        elif name == "redis":
            self.redis.read_certificate()

    def use_another_merchant(self) -> str:
        """Send with an account that has no token yet. Returns its user name."""
        username = f"user-{next(_merchants)}"
        self.stub.merchant(username, password=PASSWORD)
        changed = self.kong_yml.copy()
        changed.config["merchant"]["username"] = username
        self.gateway.load(changed)
        return username


@pytest.fixture(scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory, journal: Journal, secrets: Secrets) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory / "authority")
    certificates = {name: authority.issue() for name in ("gateway", "stub", "redis")}
    trusted = directory / "trusted.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    with contextlib.ExitStack() as stack:
        stub = StubServer(directory, tls=certificates["stub"], trusted=authority.certificate)
        stack.callback(stub.stop)
        redis = RedisServer(directory, tls=certificates["redis"])
        stack.callback(redis.stop)
        to_stub = stack.enter_context(Link(int(stub.tls_url.rpartition(":")[2])))
        to_redis = stack.enter_context(Link(redis.tls_port))
        gateway = EmbeddedGateway(
            directory,
            kong_yml := _configuration(to_stub, to_redis, trusted, authority),
            probe_url=f"{stub.url}/__stub__/status",
            environment={
                **os.environ,
                "KONG_SSL_CERT": str(certificates["gateway"].chain),
                "KONG_SSL_CERT_KEY": str(certificates["gateway"].key),
                "KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE": str(authority.certificate),
                # More than all that the adapter waits for here.
                "KONG_NGINX_HTTP_LUA_SOCKET_READ_TIMEOUT": "60s",
            },
        )
        stack.callback(gateway.stop)
        pbx = Pbx(gateway.proxy_ssl_url, journal=journal, secrets=secrets, ca=authority.certificate)
        site = Site(gateway, stub, redis, to_stub, to_redis, authority, certificates, trusted, kong_yml, pbx)
        yield site
        assert not secrets.found_in(gateway.log_ever())


def _configuration(to_stub: Link, to_redis: Link, trusted: Path, authority: Authority) -> KongYml:
    kong_yml = KongYml.read()
    kong_yml.use_upstream(f"https://localhost:{to_stub.port}")
    # A handshake takes seconds on a busy machine: who is late is not away, but where a test is about that.
    kong_yml.service["connect_timeout"] = 10_000
    kong_yml.limit(minute=1_000_000)
    kong_yml.config["rate_limit"]["policy"] = "redis"
    kong_yml.use_redis(
        {
            "host": "127.0.0.1",
            "port": to_redis.port,
            "ssl": True,
            "ssl_verify": True,
            "ca_certificates": str(authority.certificate),
            "timeout_ms": 10_000,
        }
    )
    kong_yml.resolve_vaults()
    kong_yml.config["merchant"].update(
        username=USERNAME, password=PASSWORD, ca_certificates=str(trusted), timeout_ms=10_000
    )
    return kong_yml


@pytest.fixture
def site(_site: Site, secrets: Secrets) -> Iterator[Site]:
    _site.mend()
    yield _site
    secrets.guard_all(_site.stub.tokens())


Wrong = Callable[[Site, str, Path], None]


def of_another_authority(site: Site, name: str, directory: Path) -> None:
    site.show(name, Authority(directory / "other"))


def for_another_host(site: Site, name: str, directory: Path) -> None:
    site.show(name, None, "elsewhere.example")


def expired(site: Site, name: str, directory: Path) -> None:
    site.show(name, expired=True)


WRONG_CERTIFICATES = [of_another_authority, for_another_host, expired]


# --- from the PBX to the gateway ----------------------------------------------------------------------------------


def serial_number(site: Site) -> str:
    """That of the certificate that the gateway shows."""
    context = ssl.create_default_context(cafile=site.authority.certificate)
    with (
        socket.create_connection(_listening(site), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return str((secured.getpeercert() or {})["serialNumber"])


def _listening(site: Site) -> tuple[str, int]:
    return "127.0.0.1", int(site.gateway.proxy_ssl_url.rpartition(":")[2])


def test_a_certificate_that_is_renewed_with_a_reload_costs_no_message(site: Site) -> None:
    shown = {serial_number(site)}
    load = site.load()
    with load.running():
        for _ in range(2):
            site.show("gateway")
            site.gateway.reload()
            load.wait_for(20)
            shown.add(serial_number(site))
    assert load.statuses.keys() == {200}
    assert len(shown) == 3
    load.verdict()


def test_clients_that_stall_or_break_off_in_the_handshake_cost_no_message(site: Site) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    load = site.load()
    with contextlib.ExitStack() as stalling, load.running():
        for number in range(60):
            client = stalling.enter_context(socket.create_connection(_listening(site), timeout=30))
            client.sendall((hello, b"", b"\x16\x03\x03\xff\xff" + b"x" * 1000)[number % 3])
            if number % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
        load.wait_for(60)
    assert load.statuses.keys() == {200}
    load.verdict()


def test_a_message_that_breaks_off_is_no_order(site: Site) -> None:
    context = ssl.create_default_context(cafile=site.authority.certificate)
    head = f"POST {SENDMESSAGE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {DEMO_KEY}\r\n"
    for reset in (True, False):
        with socket.create_connection(_listening(site), timeout=30) as plain:
            secured = context.wrap_socket(plain, server_hostname="localhost")
            secured.sendall(f'{head}Content-Length: 80\r\n\r\n{{"from": "+6328'.encode())
            if reset:
                secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            secured.close()
    assert site.pbx.send(text="whole").status == 200
    assert [order["var"] for order in site.stub.orders()] == ["whole"]


def test_a_message_in_clear_to_the_tls_port_is_no_order(site: Site, pbx_at: Callable[..., Pbx]) -> None:
    in_clear = pbx_at(site.gateway.proxy_ssl_url.replace("https:", "http:"))
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert in_clear.send(checked=False).status == 400  # nginx's own page; ours hangs up
    assert site.stub.requests() == []
    assert site.pbx.send().status == 200


# --- from the adapter to Redis ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", WRONG_CERTIFICATES)
def test_a_redis_that_is_not_trusted_counts_as_away_until_it_is(
    site: Site, wrong: Wrong, tmp_path: Path
) -> None:
    load = site.load()
    with load.running():
        load.wait_for(10)
        wrong(site, "redis", tmp_path)
        wait_until(lambda: " is unavailable (" in site.log(), 30, "a line about Redis")
        load.wait_for(10)
        site.show("redis")
        wait_until(lambda: " is back after " in site.log(), 30, "Redis again")
    assert load.statuses.keys() == {200}
    assert f"Redis 127.0.0.1:{site.to_redis.port} is unavailable (" in site.log()
    assert "certificate verify failed" in site.log()
    load.verdict()


def test_a_redis_that_is_not_trusted_stops_messages_that_have_to_be_counted(
    site: Site, tmp_path: Path
) -> None:
    strict = site.kong_yml.copy()
    strict.config["rate_limit"]["fault_tolerant"] = False
    site.gateway.load(strict)
    load = site.load()
    with load.running():
        load.wait_for_status(200)
        of_another_authority(site, "redis", tmp_path)
        load.wait_for_status(500)
        site.show("redis")
        load.wait_for_status(200)
    assert load.statuses.keys() == {200, 500}
    assert "certificate verify failed" in site.log()
    load.verdict()


def test_a_handshake_with_redis_that_stalls_costs_no_message(site: Site) -> None:
    hasty = site.kong_yml.copy()
    hasty.config["rate_limit"]["redis"]["timeout_ms"] = 1000
    site.gateway.load(hasty)
    load = site.load()
    with load.running():
        load.wait_for(10)
        site.to_redis.hold()
        site.to_redis.cut()
        wait_until(lambda: " is unavailable (" in site.log(), 30, "a line about Redis")
        load.wait_for(10)
        site.to_redis.release()
        wait_until(lambda: " is back after " in site.log(), 30, "Redis again")
    assert load.statuses.keys() == {200}
    load.verdict()


def test_a_redis_with_another_good_certificate_is_asked_on_and_nobody_notices(site: Site) -> None:
    load = site.load()
    with load.running():
        load.wait_for(15)  # a connection that is still being made when it is cut would be a fault
        for _ in range(3):
            site.show("redis")
            load.wait_for(15)
    assert load.statuses.keys() == {200}
    assert " is unavailable (" not in site.log()
    load.verdict()


def test_a_redis_that_is_started_again_under_load_costs_no_message(site: Site) -> None:
    load = site.load()
    with load.running():
        load.wait_for(10)
        site.redis.kill()
        wait_until(lambda: " is unavailable (" in site.log(), 30, "a line about Redis")
        site.redis.start()
        wait_until(lambda: " is back after " in site.log(), 30, "Redis again")
        load.wait_for(10)
    assert load.statuses.keys() == {200}
    load.verdict()


# --- from Kong and the adapter to FutureSMS -----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", WRONG_CERTIFICATES)
def test_a_futuresms_that_is_not_trusted_gets_no_order_until_it_is(
    site: Site, wrong: Wrong, tmp_path: Path
) -> None:
    wrong(site, "stub", tmp_path)
    site.to_stub.cut()
    load = site.load()
    with load.running():
        load.wait_for_status(500)
    assert site.stub.orders() == []
    assert "upstream SSL certificate " in site.log()
    site.show("stub")
    assert site.pbx.send().status == 200


@pytest.mark.parametrize("wrong", WRONG_CERTIFICATES)
def test_a_futuresms_that_is_not_trusted_gets_no_password(site: Site, wrong: Wrong, tmp_path: Path) -> None:
    wrong(site, "stub", tmp_path)
    # A server that knew the session of an earlier connection would be the same one still.
    site.stub.kill()
    site.stub.start()
    username = site.use_another_merchant()
    assert site.pbx.send().code == "10007"
    assert site.stub.requests() == []
    assert f"merchant {username} at https://localhost:{site.to_stub.port}: no session" in site.log()
    assert "localhost is not trusted: " in site.log()


def test_a_handshake_with_futuresms_that_stalls_is_given_up_and_nothing_was_sent(site: Site) -> None:
    hasty = site.kong_yml.copy()
    hasty.service["connect_timeout"] = 1000
    site.gateway.load(hasty)
    site.to_stub.cut()
    site.to_stub.hold()
    load = site.load()
    with load.running():
        load.wait_for_status(500, 2)
        assert site.stub.requests() == []
        site.to_stub.release()
        load.wait_for_status(200)
    assert load.statuses.keys() == {200, 500}
    load.verdict()


def test_a_futuresms_with_another_good_certificate_is_believed_and_no_message_lost(site: Site) -> None:
    load = site.load()
    with load.running():
        for _ in range(3):
            site.show("stub")
            site.stub.expire_tokens()
            load.wait_for_each()
    assert load.statuses.keys() == {200}
    load.verdict()


def test_tokens_that_are_revoked_in_a_storm_cost_no_message_and_make_none_twice(site: Site) -> None:
    site.stub.behave(path=SENDS, times=40, delay_ms=300)
    with ThreadPoolExecutor(40) as senders:
        sent = [senders.submit(site.pbx.send, text=f"message {number}") for number in range(40)]
        wait_until(lambda: site.stub.count(f"POST {SENDS}") >= 1, 30, "the first order")
        site.stub.revoke_tokens()
        answers = [one.result() for one in sent]
    made = Counter(order["var"] for order in site.stub.orders())
    assert [answer.status for answer in answers] == [200] * 40
    assert all(made[f"message {number}"] == 1 for number in range(40))


def test_tokens_that_are_revoked_while_the_adapter_trusts_nobody_lose_messages_and_make_none_twice(
    site: Site, tmp_path: Path
) -> None:
    """Kong's own connections stand: each order is answered 401, and no new token can be had."""
    load = site.load()
    with load.running():
        load.wait_for_status(200)
        site.trust(Authority(tmp_path / "other"))
        site.stub.revoke_tokens()
        load.wait_for_status(500)
        site.trust(site.authority)
        load.wait_for_status(200)
    assert load.statuses.keys() == {200, 500}
    assert "localhost is not trusted: " in site.log()
    load.verdict()


# --- from FutureSMS to the gateway: delivery reports --------------------------------------------------------------


def test_a_report_is_taken_over_tls_and_one_that_a_bad_certificate_has_kept_back_is_taken_once_it_is_mended(
    site: Site, tmp_path: Path
) -> None:
    reporting = site.kong_yml.copy()
    reporting.take_reports(site.gateway.proxy_ssl_url)
    site.gateway.load(reporting)
    site.stub.report(allow_private=True, charge_ms=0, delay_ms=0, retry_ms=50, attempts=1000)
    assert site.pbx.send().status == 200
    wait_until(lambda: site.stub.reports()["counts"].get("stored DELIVRD") == 1, 30, "the first report")

    site.show("gateway", Authority(tmp_path / "other"))
    site.gateway.reload()
    site.gateway.load(reporting)
    in_clear = Pbx(site.gateway.proxy_url, journal=site.pbx.journal, secrets=site.pbx.secrets)
    assert in_clear.send().status == 200
    wait_until(
        lambda: site.stub.reports()["counts"]["attempts"] >= 3,
        30,
        "reports that nobody trusts enough to send",
    )
    assert site.stub.reports()["counts"]["stored"] == 1

    site.show("gateway")
    site.gateway.reload()
    site.gateway.load(reporting)
    wait_until(lambda: site.stub.reports()["waiting"] == 0, 30, "the second report")
    assert site.stub.reports()["counts"]["stored DELIVRD"] == 2
