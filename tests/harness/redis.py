"""A real Redis server that a test may stop, hang and start again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from kong.embedded.child import Child
from kong.embedded.redis_server import start_redis

from .authority import ServerCertificate
from .link import CA_CERTIFICATE, Link


class RedisServer:
    """One server on 127.0.0.1 that keeps its port from start to start.

    `password` sets `requirepass`; `users` are ACL users, name → rules; `tls` puts a TLS link in front
    (`tls_port`), with the harness's certificate or the one given.
    """

    def __init__(
        self,
        directory: Path,
        *,
        password: str | None = None,
        users: Mapping[str, str] | None = None,
        tls: bool | ServerCertificate = False,
        options: Sequence[str] = (),
    ) -> None:
        self.host = "127.0.0.1"
        self.password = password
        self._directory = directory
        self._users = users
        self._options = options
        self._child, self.port = self._start(0)
        self._link = Link(self.port, tls=tls) if tls else None

    @property
    def tls_port(self) -> int:
        assert self._link is not None, "start the server with tls=True"
        return self._link.port

    @property
    def url(self) -> str:
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}{self.host}:{self.port}/0"

    def settings(self) -> dict[str, Any]:
        """The server as `config.rate_limit.redis` names it. A TLS server's certificate is not of a known authority."""
        found: dict[str, Any] = {"host": self.host, "port": self.port}
        if self.password is not None:
            found["password"] = self.password
        if self._link is not None:
            found |= {"port": self.tls_port, "ssl": True, "ssl_verify": False}
        return found

    def client(self, **options: Any) -> redis.Redis:
        """A connection of the test's own."""
        return redis.Redis.from_url(self.url, **options)

    def tls_client(self) -> redis.Redis:
        return redis.Redis(
            port=self.tls_port, password=self.password, ssl=True, ssl_ca_certs=str(CA_CERTIFICATE)
        )

    def read_certificate(self) -> None:
        """TLS connections that come now see what the files of the certificate hold now; those there are end."""
        assert self._link is not None, "start the server with tls=…"
        self._link.read_certificate()
        self._link.cut()

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    @property
    def alive(self) -> bool:
        return self._child.alive

    def kill(self) -> None:
        """SIGKILL: everything in it is gone."""
        self._child.kill()

    def start(self) -> None:
        """Start it again, empty, on the same port."""
        if not self.alive:
            self._child, _ = self._start(self.port)

    def pause(self) -> None:
        """SIGSTOP: it takes connections and answers nothing."""
        self._child.suspend()

    def resume(self) -> None:
        self._child.resume()

    def stop(self) -> None:
        if self._link is not None:
            self._link.close()
        self._child.stop()

    def _start(self, port: int) -> tuple[Child, int]:
        return start_redis(
            self._directory, port=port, password=self.password, users=self._users, options=self._options
        )
