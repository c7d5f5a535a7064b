"""The Merchant API over TLS: whom it believes, and what it does on connections that were kept."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from urllib3.connection import HTTPConnection
from yeastar_adapter.futuresms import connections
from yeastar_adapter.futuresms.connections import Connections, Failed, Stale, connections_to
from yeastar_adapter.futuresms.merchant import Account, MerchantApi, Unreachable

from tests.harness.authority import Authority, ServerCertificate
from tests.harness.link import Link
from tests.harness.stub import LOGIN, PASSWORD, SENDS, USERNAME, StubServer

ORDER = b'{"phone_number": "+639171234567", "template_id": "TPL1001", "sender_id": "SID-1", "var": "x",'


def order(number: int) -> bytes:
    return ORDER + b'"client_order_id": "client-order-%d"}' % number


@pytest.fixture
def api(tls_stub: StubServer, authority: Authority) -> Callable[..., MerchantApi]:
    """The calls at the stub's TLS address; `api(base_url=…, ca_certificates=…)`."""

    def at(
        base_url: str = tls_stub.tls_url, ca_certificates: Path | None = authority.certificate
    ) -> MerchantApi:
        trusted = None if ca_certificates is None else str(ca_certificates)
        return MerchantApi(Account(base_url, USERNAME, PASSWORD, 30.0, trusted))

    return at


def test_log_in_order_and_log_out_go_over_tls(api: Callable[..., MerchantApi], tls_stub: StubServer) -> None:
    merchant = api()
    tokens = merchant.log_in()
    answer, _ = merchant.submit(SENDS, order(1), tokens.access, 30.0)
    assert answer.is_order
    merchant.log_out(tokens.access)
    assert merchant.submit(SENDS, order(2), tokens.access, 30.0)[0].status == 401


def test_a_certificate_of_an_unknown_authority_ends_the_call_before_the_password_is_sent(
    api: Callable[..., MerchantApi], tls_stub: StubServer
) -> None:
    with pytest.raises(Unreachable, match=r"localhost is not trusted: .*\(trusted is .*\)"):
        api(ca_certificates=None).log_in()
    assert tls_stub.requests() == []


def test_a_certificate_for_another_host_ends_the_call(
    api: Callable[..., MerchantApi], tls_stub: StubServer, authority: Authority, shown: ServerCertificate
) -> None:
    authority.replace(shown, "futuresms.example")
    tls_stub.read_certificate()
    with pytest.raises(Unreachable, match=r"(?i)hostname mismatch"):
        api().log_in()
    assert tls_stub.requests() == []


def test_a_certificate_that_has_expired_ends_the_call(
    api: Callable[..., MerchantApi], tls_stub: StubServer, authority: Authority, shown: ServerCertificate
) -> None:
    authority.replace(shown, "localhost", expired=True)
    tls_stub.read_certificate()
    with pytest.raises(Unreachable, match="certificate has expired"):
        api().log_in()
    assert tls_stub.requests() == []


def test_a_certificate_that_changes_meanwhile_is_verified_anew(
    api: Callable[..., MerchantApi], tls_stub: StubServer, tmp_path: Path, shown: ServerCertificate
) -> None:
    """With the old authority's word, a resumed session included, nobody is believed for longer."""
    merchant = api()
    tokens = merchant.log_in()
    Authority(tmp_path / "other").replace(shown)
    tls_stub.kill()
    tls_stub.start()
    with pytest.raises(Unreachable, match="is not trusted"):
        merchant.submit(SENDS, order(1), tokens.access, 30.0)
    assert tls_stub.orders() == []


def test_a_bundle_that_changes_is_read_again(
    api: Callable[..., MerchantApi], tls_stub: StubServer, tmp_path: Path, authority: Authority
) -> None:
    merchant = api()
    merchant.log_in()
    other = Authority(tmp_path / "other")
    other.certificate.replace(authority.certificate)
    with pytest.raises(Unreachable, match="is not trusted"):
        merchant.log_in()


def test_a_server_that_does_not_speak_tls_is_told_from_one_that_is_not_trusted(
    tls_stub: StubServer, api: Callable[..., MerchantApi]
) -> None:
    plain = tls_stub.url.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(Unreachable, match=r"TLS failed|SSL"):
        api(plain).log_in()


def test_a_handshake_that_stalls_ends_with_the_time_limit(tls_stub: StubServer, authority: Authority) -> None:
    with Link(int(tls_stub.tls_url.rpartition(":")[2])) as link:
        link.hold()
        account = Account(
            f"https://localhost:{link.port}", USERNAME, PASSWORD, 0.3, str(authority.certificate)
        )
        with pytest.raises(Unreachable):
            MerchantApi(account).log_in()
        link.release()
    assert tls_stub.orders() == []


def test_a_redirect_is_not_followed_with_the_password(
    api: Callable[..., MerchantApi], tls_stub: StubServer
) -> None:
    elsewhere = f"{tls_stub.url}/elsewhere"
    for status in (301, 302, 307, 308):
        tls_stub.behave(path=LOGIN, status=status, headers={"Location": elsewhere})
        with pytest.raises(Unreachable, match=str(status)):
            api().log_in()
    assert {request["path"] for request in tls_stub.requests()} == {LOGIN}


def test_proxies_and_netrc_of_the_environment_are_not_used(
    api: Callable[..., MerchantApi], tls_stub: StubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy)
            monkeypatch.setenv(variable.lower(), proxy)
        (tmp_path / "netrc").write_text("machine localhost login other password other\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        api().log_in()
        MerchantApi(Account(tls_stub.url, USERNAME, PASSWORD)).log_in()
    assert all("authorization" not in request["headers"] for request in tls_stub.requests(LOGIN))


def test_variables_that_switch_verification_off_elsewhere_do_nothing_here(
    api: Callable[..., MerchantApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    with pytest.raises(Unreachable, match="is not trusted"):
        api(ca_certificates=None).log_in()


PAIR = b'{"data": {"access_token": "access", "refresh_token": "refresh"}}'


class Server:
    """Answers every request with a pair of tokens."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.all_closed = threading.Event()
        """Set whenever no connection is open any more."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.close_after_answer = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def break_off(self) -> None:
        """Close the open connections."""
        for connection in list(self._open):
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.close()
        for connection in list(self._open):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self.all_closed.clear()
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as received:
            while request := _request(received):
                self.requests.append(request)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAIR), PAIR))
                if self.close_after_answer:
                    break
        connection.close()
        self._open.remove(connection)
        if not self._open:
            self.all_closed.set()


def _request(received: BinaryIO) -> bytes:
    """A whole request, which may come in pieces; empty at the end of the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = received.readline()
        if not line:
            return b""
        head += line
    length = re.search(rb"(?im)^content-length: (\d+)", head)
    return head + (received.read(int(length[1])) if length else b"")


@contextmanager
def _server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with _server() as one:
        yield one


def post(to: Connections, idle: float) -> int:
    return to.post("/p", b"{}", {}, 30.0, idle).status


def test_calls_share_a_connection_as_long_as_it_is_not_idle_for_too_long(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "KEPT_FOR", 600.0)  # however slow this machine is
    way = connections_to(server.url)
    assert [post(way, idle=600) for _ in range(3)] == [200, 200, 200]
    assert server.connections == 1
    assert [post(way, idle=0) for _ in range(3)] == [200, 200, 200]
    assert server.connections == 4


def test_an_order_uses_no_connection_that_has_been_idle(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server closes it in that moment, nobody could tell whether the order has arrived."""
    merchant = MerchantApi(Account(server.url, USERNAME, PASSWORD))
    now = time.monotonic()
    for later in (0.0, 0.2, 0.4, 3.0):
        monkeypatch.setattr(connections.time, "monotonic", lambda later=later: now + later)
        merchant.submit(SENDS, order(1), "token", 30.0)
    assert server.connections == 4


def test_an_order_after_a_connection_was_closed_without_a_word_has_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = connections_to(server.url)
    post(way, idle=0)
    with monkeypatch.context() as patch:
        patch.setattr(HTTPConnection, "is_connected", True)
        server.break_off()
        with pytest.raises(Stale):
            post(way, idle=1)
    before = server.connections
    assert [post(way, idle=1) for _ in range(3)] == [200] * 3
    assert server.connections == before + 3


CONNECTING = """
from gevent import monkey
monkey.patch_all()
import gevent, socket, threading
from urllib3.connection import HTTPConnection
from yeastar_adapter.futuresms.connections import Failed, connections_to
connecting, given_up = 0, threading.Event()
def connect(self):
    global connecting
    connecting += 1
    given_up.wait()
    raise OSError
def post():
    try:
        way.post("/p", b"", {}, 60.0)
    except Failed:
        pass
HTTPConnection.connect = connect
socket.getaddrinfo = lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 9))]
way = connections_to("http://127.0.0.1:9")
calls = [gevent.spawn(post) for _ in range(20)]
while any(not call.started for call in calls):
    gevent.sleep(0)
for _ in range(1000):
    gevent.sleep(0)
print(connecting)
given_up.set()
gevent.joinall(calls)
print(connecting)
"""


def test_few_connections_are_made_at_once(run_python: Callable[..., str]) -> None:
    """A storm's handshakes all at once would keep everybody else waiting."""
    assert run_python(CONNECTING) == "8\n20\n"


GIVING_WAY = """
from gevent import monkey
monkey.patch_all()
import gevent, time
from yeastar_adapter.futuresms.connections import _give_way
turns = 0
def somebody_else():
    global turns
    while True:
        gevent.sleep(0.001)
        turns += 1
def answer():
    _give_way()
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.001:
        pass
gevent.spawn(somebody_else)
gevent.joinall([gevent.spawn(answer) for _ in range(100)])
print(turns)
"""


def test_answers_that_come_together_leave_turns_to_others(run_python: Callable[..., str]) -> None:
    assert int(run_python(GIVING_WAY)) >= 10


def test_connections_that_nobody_uses_are_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEPT_FOR", 0.05)
    way = connections_to(server.url)
    for _ in range(3):
        post(way, idle=0)
    assert server.all_closed.wait(20)


def test_a_log_in_on_a_connection_that_the_server_has_closed_is_made_on_a_new_one(server: Server) -> None:
    server.close_after_answer = True
    merchant = MerchantApi(Account(server.url, USERNAME, PASSWORD))
    assert [merchant.log_in().access for _ in range(20)] == ["access"] * 20
    assert len(server.requests) == 20


def test_what_is_no_address_fails_in_words() -> None:
    with pytest.raises(Failed):
        connections_to("http://[::1").post("/p", b"", {}, 1.0)


def test_an_order_goes_to_the_path_that_kong_has_and_a_log_in_below_that_of_base_url(
    tls_stub: StubServer,
) -> None:
    """The order's path is a whole one: with the path of `base_url` before it, it was doubled."""
    merchant = MerchantApi(Account(f"{tls_stub.url}/futuresms", USERNAME, PASSWORD))
    with pytest.raises(Unreachable):
        merchant.log_in()
    merchant.submit("/futuresms" + SENDS, order(1), "token", 30.0)
    assert [request["path"] for request in tls_stub.requests()] == [
        "/futuresms" + LOGIN,
        "/futuresms" + SENDS,
    ]


RESUMED = """
from gevent import monkey
monkey.patch_all()
import sys
from yeastar_adapter import trust
from yeastar_adapter.futuresms import connections
from yeastar_adapter.futuresms import merchant as merchant_module
from yeastar_adapter.futuresms.merchant import Account, MerchantApi

reused = []
remember = trust.remember_session
def note(sock):
    reused.append(sock.session_reused)
    remember(sock)
connections.remember_session = note
merchant = MerchantApi(Account(sys.argv[1], "yeastar-gateway", "stub-password", 30.0, sys.argv[2]))
merchant_module._ORDER_IDLE = 0.0
for _ in range(3):
    merchant.submit("/api/v1/sms/sends", b"{}", "token", 30.0)
print(reused)
"""


def test_a_handshake_is_shortened_after_the_first_one(
    tls_stub: StubServer, authority: Authority, run_python: Callable[..., str]
) -> None:
    shown = run_python(RESUMED, tls_stub.tls_url, str(authority.certificate))
    assert shown == "[False, True, True]\n"


LOADED = """
from gevent import monkey
monkey.patch_all()
import ssl, sys
from yeastar_adapter.futuresms.merchant import Account, MerchantApi
loaded = []
load = ssl.SSLContext.load_verify_locations
def counted(self, *arguments, **options):
    loaded.append(options)
    return load(self, *arguments, **options)
ssl.SSLContext.load_verify_locations = counted
for user in range(5):
    merchant = MerchantApi(Account(sys.argv[1], f"user-{user}", "p", 30.0, sys.argv[2]))
    for _ in range(4):
        merchant.submit("/api/v1/sms/sends", b"{}", "token", 30.0)
print(len(loaded))
"""


def test_a_bundle_is_read_once_for_all_connections_of_the_process(
    tls_stub: StubServer, authority: Authority, run_python: Callable[..., str]
) -> None:
    assert run_python(LOADED, tls_stub.tls_url, str(authority.certificate)) == "1\n"


@pytest.fixture
def run_python() -> Callable[..., str]:
    """A process of its own, as gevent patches the whole of one; what it has printed."""

    def run(program: str, *arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=dict(os.environ),
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run
