from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from kong.embedded.child import Child
from tests.harness.merchant import Merchant
from tests.harness.stub import ROOT, StubServer


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "upstream_stub", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_said_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("--listen", f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "--listen" in line


@pytest.mark.parametrize("option", [("--listen", "8080"), ("--listen", "x:y"), ("--merchant", "nobody")])
def test_an_option_that_cannot_be_is_refused(option):
    ended = run(*option)
    assert ended.returncode == 2
    assert option[0] in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_when_told_to(tmp_path, number):
    child = Child(
        "upstream_stub",
        [sys.executable, "-m", "upstream_stub", "--listen", "127.0.0.1:0"],
        log=tmp_path / "log",
        directory=ROOT,
    )
    try:
        child.wait_for(r"^upstream_stub ready http://127\.0\.0\.1:\d+$", 30)
        child.send(number)
        assert child.wait(20) == 0
    finally:
        child.stop()
    assert len(child.output().splitlines()) == 1


def test_its_memory_of_requests_and_orders_is_bounded(tmp_path):
    stub = StubServer(tmp_path, options=["--keep-orders", "2", "--keep-requests", "3", "--merchant", "a:b"])
    try:
        merchant = Merchant(stub.url, "a", "b")
        for number in range(5):
            assert merchant.send(client_order_id=f"client-ord-{number:04}").status_code == 202
        assert [order["client_order_id"] for order in stub.orders()] == ["client-ord-0003", "client-ord-0004"]
        assert len(stub.requests()) == 3
        assert stub.status()["orders"] == 5
        assert merchant.send(client_order_id="client-ord-0000").status_code == 409
    finally:
        stub.stop()
