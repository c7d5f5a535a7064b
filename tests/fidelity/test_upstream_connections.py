"""Connections to the service: kept, found closed, tried again; never a POST twice."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.fidelity.recording import ReplayGateway

_KONG_YML = """
_format_version: "3.0"
services:
  - {{name: s, url: "http://127.0.0.1:{port}", retries: 2, routes: [{{name: r, paths: [/], strip_path: false}}]}}
"""
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Service:
    """Answers each request with the next of `answers`, the last one again and again.

    `None` closes the connection instead of answering; `connections` has the request lines of each, in order.
    """

    def __init__(self) -> None:
        self.answers: list[bytes | None] = [_ANSWER]
        self.connections: list[list[str]] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                requests: list[str] = []
                self.connections.append(requests)
                threading.Thread(target=self._serve, args=(connection, requests), daemon=True).start()

    def _serve(self, connection: socket.socket, requests: list[str]) -> None:
        with connection, contextlib.suppress(OSError):
            received = b""
            while True:
                while b"\r\n\r\n" not in received:
                    data = connection.recv(65536)
                    if not data:
                        return
                    received += data
                head, _, received = received.partition(b"\r\n\r\n")
                requests.append(head.decode("latin-1").split(" HTTP/")[0])
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    return
                connection.sendall(answer)
                if b"Connection: close" in answer or b"HTTP/1.0" in answer:
                    return

    def hang_up(self) -> None:
        """Close every connection, as a service does with idle ones."""
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        # close() alone would leave the other thread in accept()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()


@pytest.fixture
def service() -> Iterator[_Service]:
    service = _Service()
    yield service
    service.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayGateway]:
    directory = tmp_path_factory.mktemp("connections")
    with ReplayGateway(directory, _KONG_YML.format(port=9), "accepting_plugin") as gateway:
        yield gateway


@pytest.fixture
def gateway(running: ReplayGateway, service: _Service) -> ReplayGateway:
    """The gateway in front of the test's own service, to which it has no connection yet."""
    running.load(_KONG_YML.format(port=service.port))
    return running


def _ask(gateway: ReplayGateway, method: str, path: str) -> tuple[int, bytes]:
    with gateway.connection() as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_connection_is_kept(gateway: ReplayGateway, service: _Service) -> None:
    assert [_ask(gateway, "POST", f"/{number}") for number in range(3)] == [(200, b"ok")] * 3
    assert service.connections == [["POST /0", "POST /1", "POST /2"]]


def test_a_kept_connection_that_the_service_closes_costs_nothing(
    gateway: ReplayGateway, service: _Service
) -> None:
    assert _ask(gateway, "POST", "/first") == (200, b"ok")
    service.hang_up()
    assert _ask(gateway, "POST", "/second") == (200, b"ok")
    assert service.connections == [["POST /first"], ["POST /second"]]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
    ],
    ids=["closed", "of HTTP/1.0", "without a length"],
)
def test_a_connection_that_the_service_will_close_is_not_kept(
    gateway: ReplayGateway, service: _Service, answer: bytes
) -> None:
    service.answers = [answer]
    assert _ask(gateway, "POST", "/first") == (200, b"ok")
    assert _ask(gateway, "POST", "/second") == (200, b"ok")
    assert service.connections == [["POST /first"], ["POST /second"]]


def test_a_get_on_a_connection_that_is_closing_is_sent_again(
    gateway: ReplayGateway, service: _Service
) -> None:
    service.answers = [_ANSWER, None, _ANSWER]
    assert _ask(gateway, "GET", "/first") == (200, b"ok")
    assert _ask(gateway, "GET", "/second") == (200, b"ok")
    assert service.connections == [["GET /first", "GET /second"], ["GET /second"]]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_have_been_done_is_not_sent_again(
    gateway: ReplayGateway, service: _Service, method: str
) -> None:
    service.answers = [_ANSWER, None, _ANSWER]
    assert _ask(gateway, "GET", "/first") == (200, b"ok")
    assert _ask(gateway, method, "/second")[0] == 502
    assert service.connections == [["GET /first", f"{method} /second"]]


def test_a_get_is_tried_again_as_often_as_the_service_allows(
    gateway: ReplayGateway, service: _Service
) -> None:
    service.answers = [None]
    assert _ask(gateway, "GET", "/first")[0] == 502
    assert service.connections == [["GET /first"]] * 3


def test_an_answer_that_comes_late_to_a_kept_connection_is_not_taken_for_another(
    gateway: ReplayGateway, service: _Service
) -> None:
    service.answers = [_ANSWER + b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nwrong", _ANSWER]
    assert _ask(gateway, "GET", "/first") == (200, b"ok")
    assert _ask(gateway, "GET", "/second") == (200, b"ok")
