"""The service behind a replayed recording: answers as the recorded one did, and keeps what it received.

`X-Up` of a request asks for a way to answer (slow, drop, garbage, half, large, gzip, chunked), `X-Status` for a status.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

ANSWER_HEADERS = [
    ("Content-Type", "application/json"),
    ("Set-Cookie", "session=1"),
    ("X-Twice", "one"),
    ("X-Twice", "two"),
    ("Connection", "keep-alive"),
    ("Keep-Alive", "timeout=5"),
]


_UNIX = b"\x03"  # where gzip has been at work; some Pythons do not tell
_ERROR_PAGE = """\
<!DOCTYPE HTML>
<html lang="en">
    <head>
        <meta charset="utf-8">
        <title>Error response</title>
    </head>
    <body>
        <h1>Error response</h1>
        <p>Error code: %(code)d</p>
        <p>Message: %(message)s.</p>
        <p>Error code explanation: %(code)d - %(explain)s.</p>
    </body>
</html>
"""


class Upstream:
    """A server in this process. `received` is what has arrived since `forget`, oldest first."""

    def __init__(self, body: bytes, headers: list[tuple[str, str]], slow_seconds: float) -> None:
        self.received: list[dict[str, Any]] = []
        self.body = body
        self.headers = headers
        self.slow_seconds = slow_seconds
        self.released = threading.Event()
        handler = type("Handler", (_Handler,), {"upstream": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget(self) -> list[dict[str, Any]]:
        received, self.received = self.received, []
        return received


class _Handler(http.server.BaseHTTPRequestHandler):
    upstream: ClassVar[Upstream]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # What other versions of Python write differently from the one of the recordings.
    server_version = "BaseHTTP/0.6"
    sys_version = "Python/3.11.7"
    error_message_format = _ERROR_PAGE

    def _answer(self) -> None:
        body = self._read_body()
        text = body.decode("latin-1") if len(body) < 2000 else f"{len(body)} bytes"
        self.upstream.received.append(
            {
                "method": self.command,
                "path": self.path,
                "headers": [list(item) for item in self.headers.items()],
                "body": text,
            }
        )
        wanted = self.headers.get("x-up", "")
        if wanted == "slow":
            self.upstream.released.wait(self.upstream.slow_seconds)
        elif wanted == "drop":
            self._cut(b"")
            return
        elif wanted == "garbage":
            self._cut(b"not http at all\r\n\r\n")
            return
        elif wanted == "half":
            self._cut(
                b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"half":'
            )
            return
        self._send(int(self.headers.get("x-status", "202")), wanted)

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, wanted: str) -> None:
        body = b'{"x":"' + b"y" * 300000 + b'"}' if wanted == "large" else self.upstream.body
        self.send_response(status)
        if wanted == "gzip":
            body = gzip.compress(body, mtime=0)
            body = body[:9] + _UNIX + body[10:]
            self.send_header("Content-Encoding", "gzip")
        for name, value in self.upstream.headers:
            self.send_header(name, value)
        if status in (204, 304):
            self.end_headers()
        elif wanted == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (body[:4], body[4:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                with contextlib.suppress(ConnectionError):  # the gateway has given up waiting
                    self.wfile.write(body)

    def _cut(self, data: bytes) -> None:
        self.close_connection = True
        self.connection.sendall(data)
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at `received`."""


for _method in ("GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler._answer)


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port where nobody listens, held so that nobody else takes it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
