"""The Merchant API's calls against a server that behaves badly."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from yeastar_adapter.futuresms.merchant import Account, MerchantApi, Unreachable


@contextmanager
def server(*answer: bytes) -> Iterator[str]:
    """Answers the first request with these pieces and then says nothing more; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        connection, _ = listening.accept()
        held.append(connection)
        connection.recv(65536)
        for piece in answer:
            connection.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()
        for connection in held:
            connection.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"


@pytest.mark.parametrize("answer", [(), (b"HTTP/1.1 2",), (HEAD,), (HEAD + b"\r\n", b'{"data"')])
def test_an_answer_that_does_not_end_is_given_up(answer: tuple[bytes, ...]) -> None:
    with server(*answer) as url, pytest.raises(Unreachable):
        MerchantApi(Account(url, "u", "p", timeout=0.2)).log_in()


def test_neither_user_nor_password_is_in_what_goes_wrong() -> None:
    with server(b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n") as url, pytest.raises(Unreachable) as caught:
        MerchantApi(Account(url, "a-user", "a-password", timeout=2)).log_in()
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "a-password" not in shown
    assert "a-user" not in shown


TRICKLE = """
from gevent import monkey
monkey.patch_all()
import socket, threading, time
from yeastar_adapter.futuresms.merchant import Account, MerchantApi, Unreachable

listening = socket.create_server(("127.0.0.1", 0))

def serve():
    connection, _ = listening.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\n")
    while True:
        connection.sendall(b"X: y\\r\\n")
        time.sleep(0.05)

threading.Thread(target=serve, daemon=True).start()
try:
    MerchantApi(Account(f"http://127.0.0.1:{listening.getsockname()[1]}", "u", "p", timeout=0.5)).log_in()
except Unreachable:
    print("given up")
"""


def test_an_answer_that_trickles_for_ever_is_given_up_in_the_plugin_server() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TRICKLE], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout == "given up\n", ended.stderr
