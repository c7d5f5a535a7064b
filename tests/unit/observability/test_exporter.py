"""Where and how long metrics are served."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest
from gevent import socket as gevent_socket
from yeastar_adapter.observability import exporter
from yeastar_adapter.observability.exporter import Address, exporter_at

from tests.harness.gateway import wait_until

from .conftest import PluginServer
from .scrape import scrape, value

PLACES = ["tcp", "unix"]


@pytest.fixture(params=PLACES)
def listen(request: pytest.FixtureRequest, prefix: Path, free_port: int) -> str:
    """A place to listen at, as the configuration names it."""
    return f"127.0.0.1:{free_port}" if request.param == "tcp" else f"unix:{prefix}/metrics.socket"


def reached(address: str) -> bool:
    try:
        scrape(address)
    except OSError:
        return False
    return True


def test_nothing_is_served_unless_it_is_configured(server: PluginServer) -> None:
    server.start()
    server.start("")
    process = psutil.Process(server.child.pid)
    assert [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []
    assert "metrics" not in server.log


def test_what_is_configured_is_served(server: PluginServer, listen: str) -> None:
    server.start(listen)
    text = scrape(server.exported_at())
    assert value(text, "instances") == 1
    assert value(text, "redis_losses_total") == 0
    assert "process_resident_memory_bytes" in text


def test_all_instances_share_one_exporter_which_ends_with_the_last(server: PluginServer, listen: str) -> None:
    first, second = server.start(listen), server.start(listen, consumer_cache_seconds=1)
    address = server.exported_at()
    assert value(scrape(address), "instances") == 2
    server.close_instance(first)
    assert value(scrape(address), "instances") == 1
    server.close_instance(second)
    wait_until(lambda: not reached(address), 20, "nobody serves metrics")
    assert server.log.count("metrics are served") == 1


def test_a_configuration_that_cannot_be_used_is_counted_where_it_says(
    server: PluginServer, listen: str
) -> None:
    """Served until another takes its place: there may be no other instance to serve it."""
    key = "sha256:" + "a" * 64
    unusable = [{"username": name, "api_keys": [key]} for name in ("acme-manila", "globex-cebu")]
    server.start(listen, consumers=unusable)
    assert value(scrape(server.exported_at()), "instances_failed_total") == 1


def test_a_changed_configuration_goes_on_without_a_gap(server: PluginServer, listen: str) -> None:
    old = server.start(listen)
    address = server.exported_at()
    server.start(listen, consumer_cache_seconds=1)
    server.close_instance(old)
    assert value(scrape(address), "instances_started_total") == 2
    assert server.log.count("metrics are served") == 1


def test_another_address_replaces_the_first(server: PluginServer, prefix: Path) -> None:
    old = server.start(f"unix:{prefix}/old.socket")
    assert server.exported_at() == f"unix:{prefix}/old.socket"
    server.start(f"unix:{prefix}/new.socket")
    server.close_instance(old)
    wait_until(lambda: not (prefix / "old.socket").exists(), 20, "the old socket is removed")
    wait_until(lambda: reached(f"unix:{prefix}/new.socket"), 20, "the new address is served")


def test_the_server_of_a_reloaded_kong_takes_the_address_over(
    serve: Callable[[], PluginServer], listen: str
) -> None:
    old = serve()
    old.start(listen)
    old.start(listen)
    address = old.exported_at()
    assert value(scrape(address), "instances") == 2
    new = serve()
    new.start(listen)
    assert new.exported_at() == address
    wait_until(lambda: value(scrape(address), "instances") == 1, 20, "the new server answers")
    old.child.wait_for("now served by the new plugin server", 20)
    old.child.stop()
    assert value(scrape(address), "instances") == 1
    assert "cannot be served" not in new.log


def test_a_socket_that_was_removed_is_there_again(server: PluginServer, prefix: Path) -> None:
    server.start(f"unix:{prefix}/metrics.socket")
    address = server.exported_at()
    (prefix / "metrics.socket").unlink()
    wait_until(lambda: reached(address), 20, "the metrics are served again")
    assert "cannot be served" not in server.log


def test_the_socket_of_somebody_else_is_left_alone(server: PluginServer, prefix: Path) -> None:
    somebody = subprocess.Popen(
        ["bash", "-c", '"$@"; exit $?', "bash", sys.executable, "-c", LISTENS, f"{prefix}/metrics.socket"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with somebody:
        assert somebody.stdout is not None
        assert somebody.stdin is not None
        somebody.stdout.readline()
        before = os.lstat(prefix / "metrics.socket").st_ino
        server.start(f"unix:{prefix}/metrics.socket")
        server.child.wait_for("metrics cannot be served at .*: process [0-9]+ listens there", 20)
        assert os.lstat(prefix / "metrics.socket").st_ino == before
        somebody.stdin.close()
    assert scrape(server.exported_at())


LISTENS = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print(flush=True)
    sys.stdin.read()
"""


def test_a_taken_port_is_one_warning_and_served_once_it_is_free(server: PluginServer, free_port: int) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", free_port))
        somebody.listen()
        server.start(f"127.0.0.1:{free_port}")
        server.child.wait_for("metrics cannot be served at .*: Address already in use", 20)
    assert scrape(server.exported_at())
    assert server.log.count("cannot be served") == 1


def test_a_directory_that_does_not_exist_is_one_warning_and_served_once_it_does(
    server: PluginServer, prefix: Path
) -> None:
    server.start(f"unix:{prefix}/later/metrics.socket")
    server.child.wait_for("metrics cannot be served at .*: No such file or directory", 20)
    (prefix / "later").mkdir()
    assert scrape(server.exported_at())
    assert server.log.count("cannot be served") == 1


def test_a_file_in_the_way_is_left_alone(server: PluginServer, prefix: Path) -> None:
    precious = prefix / "precious"
    precious.write_text("x")
    server.start(f"unix:{precious}")
    server.child.wait_for(
        "metrics cannot be served at .*: there is a file of that name which is not a socket", 20
    )
    assert precious.read_text() == "x"


@pytest.mark.parametrize(
    "listen", ["9542", "127.0.0.1", "localhost:http", ":9542", "unix:metrics", "::1:9542", "a:70000"]
)
def test_an_address_that_is_none_is_a_warning_and_the_instance_works(
    listen: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert exporter_at(listen) is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"'{listen}'" in record.getMessage()


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:9542", "127.0.0.1", 9542), ("[::1]:1", "::1", 1), ("localhost:9", "localhost", 9)],
)
def test_host_and_port_are_read(listen: str, host: str, port: int) -> None:
    address = Address.parse(listen)
    assert (address.host, address.port) == (host, port)


@pytest.fixture
def silent() -> Iterator[Callable[[str], Any]]:
    """Connections that say nothing."""
    opened = []

    def connect(address: str) -> None:
        host, _, port = address.partition(":")
        opened.append(gevent_socket.create_connection((host, int(port))))

    yield connect
    for connection in opened:
        connection.close()


def test_connections_that_say_nothing_do_not_keep_a_scrape_out(
    monkeypatch: pytest.MonkeyPatch, free_port: int, silent: Callable[[str], Any]
) -> None:
    monkeypatch.setattr(exporter, "_SCRAPE_SECONDS", 0.2)
    address = f"127.0.0.1:{free_port}"
    held = exporter_at(address)
    assert held is not None
    with gevent.Timeout(20):
        while True:
            try:
                silent(address)
                break
            except OSError:
                gevent.sleep(0.01)
        for _ in range(10):
            silent(address)
        with gevent_socket.create_connection(("127.0.0.1", free_port)) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"yeastar_adapter_orders_accepted_total" in answer
