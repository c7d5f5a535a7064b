"""`kong reload`: what clients and the Admin API see while new workers take over."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fidelity.prefix import HOLD
from tests.fidelity.recording import ReplayGateway
from tests.harness.gateway import wait_until


def _configuration(text: str, path: str = "/") -> str:
    plugin = {"name": "request-termination", "config": {"status_code": 200, "message": text}}
    route = {"name": "all", "paths": [path], "plugins": [plugin]}
    service = {"name": "nowhere", "url": "http://127.0.0.1:9", "routes": [route]}
    adapter = {"name": "yeastar-adapter"}
    return json.dumps({"_format_version": "3.0", "services": [service], "plugins": [adapter]})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayGateway]:
    directory = tmp_path_factory.mktemp("reload")
    with ReplayGateway(directory, _configuration("of the file"), "scripted_plugin") as running:
        yield running


def _answer(gateway: ReplayGateway) -> str:
    with gateway.connection() as connection:
        connection.request("GET", "/")
        return str(json.loads(connection.getresponse().read())["message"])


def test_a_reload_brings_the_files_configuration_back(gateway: ReplayGateway) -> None:
    gateway.load(_configuration("posted"))
    assert _answer(gateway) == "posted"
    gateway.reload()
    assert _answer(gateway) == "of the file"


def test_a_configuration_posted_during_a_reload_is_kept(gateway: ReplayGateway) -> None:
    hold = gateway.prefix / HOLD
    hold.touch()  # the reload waits for its plugin server
    starting = "starting pluginserver process"
    started = gateway.child.output().count(starting)
    with ThreadPoolExecutor() as pool:
        reloading = pool.submit(gateway.reload)
        wait_until(lambda: gateway.child.output().count(starting) > started, 30, "a plugin server")
        gateway.load(_configuration("posted"))
        assert _answer(gateway) == "posted"
        hold.unlink()
        assert "reloaded" in reloading.result()
    assert _answer(gateway) == "posted"


def test_a_connection_that_has_sent_nothing_yet_is_served_after_a_reload(gateway: ReplayGateway) -> None:
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as silent,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as half,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as idle,
    ):
        half.sendall(b"GET / HTTP/1.1\r\n")
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        gateway.reload()
        assert idle.recv(65536) == b""
        silent.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        half.sendall(b"Host: x\r\n\r\n")
        for connection in (silent, half):
            with connection.makefile("rb") as answer:
                read = answer.read()  # to the end: the connection is closed behind it
            assert read.startswith(b"HTTP/1.1 200")
