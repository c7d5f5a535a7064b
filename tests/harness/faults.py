"""What can go wrong around the plugin, each as a block: `with faults.redis_down(): …`."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgpack
import psutil

from .gateway import EmbeddedGateway, wait_until
from .redis import RedisServer
from .stub import SENDS, StubServer

_message_ids = itertools.count(1)


@dataclass
class Faults:
    """Breaks things for real: processes are killed and stopped, servers misbehave."""

    gateway: EmbeddedGateway
    stub: StubServer
    redis: RedisServer

    @contextmanager
    def redis_down(self) -> Iterator[None]:
        """Nobody listens at its address; afterwards it is back, empty."""
        self.redis.kill()
        try:
            yield
        finally:
            self.redis.start()

    @contextmanager
    def redis_hung(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        self.redis.pause()
        try:
            yield
        finally:
            self.redis.resume()

    @contextmanager
    def redis_configured(self, **settings: str) -> Iterator[None]:
        """`CONFIG SET` for a while, such as `maxmemory="1"`."""
        names = {name.replace("_", "-"): value for name, value in settings.items()}
        with self.redis.client() as client:
            before = {name: client.config_get(name)[name] for name in names}
            for name, value in names.items():
                client.config_set(name, value)
        try:
            yield
        finally:
            with self.redis.client() as client:
                for name, value in before.items():
                    client.config_set(name, value)

    @contextmanager
    def redis_read_only(self) -> Iterator[None]:
        """It is the replica of a server that is not there, as during a fail-over."""
        with self.redis.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            with self.redis.client() as client:
                client.execute_command("REPLICAOF", "NO", "ONE")

    @contextmanager
    def futuresms(self, **behaviour: Any) -> Iterator[None]:
        """It misbehaves on orders: `status=503`, `drop_connection=True`, `delay_ms=…`, `accept=True` …"""
        self.stub.behave(**{"path": SENDS, "times": None, **behaviour})
        try:
            yield
        finally:
            self.stub.behave_well()

    @contextmanager
    def futuresms_hung(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        self.stub.pause()
        try:
            yield
        finally:
            self.stub.resume()

    @contextmanager
    def killed_plugin_server(self) -> Iterator[None]:
        """SIGKILL; Kong starts it again."""
        assert self.gateway.kill_plugin_server()
        yield
        self.gateway.wait_for_plugin_server()

    @contextmanager
    def hung_plugin_server(self) -> Iterator[None]:
        """SIGSTOP."""
        assert self.gateway.stop_plugin_server()
        try:
            yield
        finally:
            self.gateway.cont_plugin_server()

    def plugin_server(self) -> PluginServer:
        """What the plugin server that runs now holds."""
        pids = wait_until(self.gateway.plugin_server_pids, 30, "a plugin server")
        return PluginServer(pids[-1], str(self.gateway.prefix / "yeastar-adapter.socket"))


@dataclass(frozen=True)
class PluginServer:
    """A running plugin server, seen from outside."""

    pid: int
    socket: str

    def status(self) -> Mapping[str, Any]:
        """Its answer to the RPC `plugin.GetStatus`."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self.socket)
            connection.sendall(msgpack.packb([0, next(_message_ids), "plugin.GetStatus", []]))
            unpacker = msgpack.Unpacker(strict_map_key=False)
            while chunk := connection.recv(65536):
                unpacker.feed(chunk)
                for message in unpacker:
                    assert message[2] is None, message
                    status: Mapping[str, Any] = message[3]
                    return status
        raise AssertionError("the plugin server closed the connection")

    def open_events(self) -> int:
        return int(self.status()["OpenEvents"])

    def descriptors(self) -> int:
        return int(psutil.Process(self.pid).num_fds())

    def resident_bytes(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)
