"""The command line, and small HTTP servers that answer what a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result
from yeastarctl import main

KEY = "ystr_test_0123456789abcdefghijklmnopqrstuv"
Cli = Callable[..., Result]


@pytest.fixture
def cli() -> Cli:
    """`cli("verify", "--url", …, input=…, env={…})`: run yeastarctl, without the environment's own variables."""

    def run(*arguments: object, **options: Any) -> Result:
        clean = {"YEASTARCTL_KEY": None, "YEASTARCTL_URL": None, "KONG_PREFIX": None, "NO_COLOR": None}
        options["env"] = {**clean, **options.get("env", {})}
        return CliRunner().invoke(main, [str(argument) for argument in arguments], **options)

    return run


class AnsweringServer:
    """An HTTP server on loopback. `answer(request)` gives (status, headers, body) for each request.

    `requests`: what came in, oldest first, as (method, path, headers, body).
    """

    def __init__(self, answer: Callable[[Any], tuple[int, dict[str, str], bytes]]) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = (self.command, self.path, dict(self.headers), body)
                outer.requests.append(request)
                status, headers, content = answer(request)
                self.send_response_only(status)  # no Date of its own
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = handle_any  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def answering() -> Iterator[Callable[..., AnsweringServer]]:
    """`answering(200, {"data": …})` or `answering(function)`: start a server."""
    servers: list[AnsweringServer] = []

    def start(answer: Any, body: Any = None, headers: dict[str, str] | None = None) -> AnsweringServer:
        def fixed(_: Any) -> tuple[int, dict[str, str], bytes]:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return answer, {"Content-Type": "application/json", **(headers or {})}, content

        server = AnsweringServer(answer if callable(answer) else fixed)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def refusal(code: str, title: str, detail: str | None = None) -> dict[str, Any]:
    """A body in Yeastar's form."""
    return {"errors": [{"code": code, "title": title, "detail": detail or title}]}
