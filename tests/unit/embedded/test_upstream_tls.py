"""The way to a service with HTTPS: whose certificate is trusted, and who says so."""

from __future__ import annotations

import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from tests.fidelity.recording import ReplayGateway

TRUSTED, OTHER = trustme.CA(), trustme.CA()


class _Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _service(authority: trustme.CA, name: str) -> http.server.ThreadingHTTPServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayGateway]:
    directory = tmp_path_factory.mktemp("upstream-tls")
    authority = directory / "ca.pem"
    TRUSTED.cert_pem.write_to_path(str(authority))
    servers = {
        "trusted": _service(TRUSTED, "localhost"),
        "stranger": _service(OTHER, "localhost"),
        "misnamed": _service(TRUSTED, "other.example.com"),
    }

    def service(name: str, server: str, **more: Any) -> dict[str, Any]:
        url = f"https://localhost:{servers[server].server_address[1]}"
        return {"name": name, "url": url, "routes": [{"name": name, "paths": [f"/{name}"]}], **more}

    configuration = {
        "_format_version": "3.0",
        "services": [
            *(service(name, name) for name in servers),
            service("unverified", "stranger", tls_verify=False),
        ],
    }
    settings = {
        "nginx_proxy_proxy_ssl_verify": "on",
        "nginx_proxy_proxy_ssl_trusted_certificate": str(authority),
        "headers": "latency_tokens",
    }
    with ReplayGateway(directory, json.dumps(configuration), "scripted_plugin", settings=settings) as running:
        yield running
    for server in servers.values():
        server.shutdown()
        server.server_close()


def _get(gateway: ReplayGateway, path: str) -> http.client.HTTPResponse:
    with gateway.connection() as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer


@pytest.mark.parametrize(
    ("name", "status"), [("trusted", 200), ("stranger", 502), ("misnamed", 502), ("unverified", 200)]
)
def test_a_service_is_verified_unless_it_says_otherwise(
    gateway: ReplayGateway, name: str, status: int
) -> None:
    assert _get(gateway, f"/{name}").status == status


def test_an_answer_of_kongs_own_names_no_server_without_server_tokens(gateway: ReplayGateway) -> None:
    for path in ("/nowhere", "/stranger"):
        assert _get(gateway, path).getheader("Server") is None
