"""The proxy with TLS: which certificate a client is shown, and who waits for whom."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.harness.gateway import CA, EmbeddedGateway, wait_until

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedGateway]:
    gateway = EmbeddedGateway(tmp_path_factory.mktemp("tls"), json.dumps(_configuration()), workers=1)
    yield gateway
    gateway.stop()


def _configuration(*certificates: dict[str, Any]) -> dict[str, Any]:
    answer = {
        "name": "pre-function",
        "config": {
            "access": [
                "kong.response.exit(200, kong.request.get_scheme() .. ' ' .. ngx.var.https .. ' ' .. "
                "ngx.var.server_port)"
            ]
        },
    }
    service = {"name": "s", "url": "http://127.0.0.1:9", "routes": [{"name": "r", "paths": ["/"]}]}
    return {
        "_format_version": "3.0",
        "services": [service],
        "plugins": [answer],
        "certificates": list(certificates),
    }


def _certificate(*names: str, key_of: trustme.LeafCert | None = None) -> dict[str, Any]:
    leaf = AUTHORITY.issue_cert(*names)
    return {
        "cert": leaf.cert_chain_pems[0].bytes().decode(),
        "key": (key_of or leaf).private_key_pem.bytes().decode(),
        "snis": [{"name": name} for name in names],
    }


def _port(gateway: EmbeddedGateway) -> int:
    return int(gateway.proxy_ssl_url.rpartition(":")[2])


def _trusting(*, suite: bool = True, own: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(CA) if suite else None)
    if own:
        AUTHORITY.configure_trust(context)
    return context


def _get(gateway: EmbeddedGateway, name: str, context: ssl.SSLContext) -> tuple[str, str]:
    """The answer's body, and the serial number of the certificate that was shown."""
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", _port(gateway)), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        assert secured.selected_alpn_protocol() == "http/1.1"
        secured.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := secured.recv(65536):
            answer += data
        certificate = secured.getpeercert() or {}
    return answer.partition(b"\r\n\r\n")[2].decode(), str(certificate["serialNumber"])


def test_the_default_certificate_is_that_of_kong_conf(gateway: EmbeddedGateway) -> None:
    gateway.load(_configuration())
    body, _ = _get(gateway, "localhost", _trusting(own=False))
    assert body == f"https on {_port(gateway)}"


def test_a_certificate_is_chosen_by_the_server_name(gateway: EmbeddedGateway) -> None:
    gateway.load(_configuration(_certificate("sms.example.com"), _certificate("*.example.org")))
    for name in ("sms.example.com", "any.example.org"):
        assert _get(gateway, name, _trusting(suite=False))[0].startswith("https")
    with pytest.raises(ssl.SSLCertVerificationError):
        _get(gateway, "other.example.com", _trusting())


def test_a_renewed_certificate_is_shown_without_a_restart(gateway: EmbeddedGateway) -> None:
    serials = []
    for _ in range(2):
        gateway.load(_configuration(_certificate("sms.example.com")))
        serials.append(_get(gateway, "sms.example.com", _trusting(suite=False))[1])
    assert serials[0] != serials[1]


def test_a_certificate_that_does_not_match_its_key_is_refused(gateway: EmbeddedGateway) -> None:
    wrong = _certificate("sms.example.com", key_of=AUTHORITY.issue_cert("other.example.com"))
    answer = gateway.try_load(_configuration(wrong))
    assert answer.status_code == 400
    assert "certificate does not match key" in answer.text


def test_stalling_handshakes_hold_nobody_up(gateway: EmbeddedGateway) -> None:
    gateway.load(_configuration())
    stalling = [socket.create_connection(("127.0.0.1", _port(gateway))) for _ in range(50)]
    try:
        stalling[0].sendall(b"\x16\x03\x01\x02\x00\x01")
        assert _get(gateway, "localhost", _trusting())[0].startswith("https")
        gateway.reload()
        assert _get(gateway, "localhost", _trusting())[0].startswith("https")
    finally:
        for connection in stalling:
            connection.close()


@pytest.mark.parametrize(
    ("request_line", "body"),
    [
        (
            "GET / HTTP/1.1",
            "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n"
            "<center><h1>400 Bad Request</h1></center>\r\n"
            "<center>The plain HTTP request was sent to HTTPS port</center>\r\n</body>\r\n</html>\r\n",
        ),
        ("HEAD / HTTP/1.1", ""),
        ("rubbish", "Bad request\nrequest_id: "),
    ],
)
def test_what_is_not_tls_is_told_so_and_harms_nobody(
    gateway: EmbeddedGateway, request_line: str, body: str
) -> None:
    """As a Kong 3.9.1 answered."""
    gateway.load(_configuration())
    with socket.create_connection(("127.0.0.1", _port(gateway)), timeout=30) as plain:
        plain.sendall(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while data := plain.recv(65536):
            answer += data
    head, _, shown = answer.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert "\r\nConnection: close" in head
    assert shown == body if body.endswith("\n") or not body else shown.startswith(body)
    assert _get(gateway, "localhost", _trusting())[0].startswith("https")


def test_a_gateway_without_a_certificate_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="TLS needs ssl_cert and ssl_cert_key"):
        EmbeddedGateway(
            tmp_path, json.dumps(_configuration()), environment={"KONG_SSL_CERT": "", "PATH": "/usr/bin:/bin"}
        )


def test_a_handshake_that_outlasts_the_workers_it_began_with_is_served(gateway: EmbeddedGateway) -> None:
    gateway.load(_configuration())
    context = _trusting()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", _port(gateway)), timeout=30) as plain:

        def step(action: Callable[[], Any]) -> Any:
            """Until TLS can do it, with what comes and goes meanwhile."""
            while True:
                try:
                    done = action()
                except ssl.SSLWantReadError:  # noqa: PERF203
                    plain.sendall(outgoing.read())
                    received = plain.recv(65536)
                    assert received, "the gateway has closed the connection"
                    incoming.write(received)
                else:
                    plain.sendall(outgoing.read())
                    return done

        with pytest.raises(ssl.SSLWantReadError):
            secured.do_handshake()
        hello = outgoing.read()
        plain.sendall(hello[:50])
        servers = gateway.plugin_server_pids()
        gateway.reload()
        wait_until(lambda: not set(servers) & set(gateway.plugin_server_pids()), 30, "the old workers' end")
        plain.sendall(hello[50:])
        step(secured.do_handshake)
        step(lambda: secured.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert step(lambda: secured.read(65536)).startswith(b"HTTP/1.1 200 OK\r\n")
