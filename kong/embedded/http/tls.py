"""TLS towards clients: the listener, and which certificate a server name gets (kong/runloop/certificate.lua).

HTTP/2 is not offered: a client that can speak it falls back to HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kong_declarative.certificate import load
from kong_declarative.vault import EnvironmentVault, is_reference

if TYPE_CHECKING:
    from kong_declarative.configuration import Configuration

HANDSHAKE_SECONDS = 60.0  # nginx's client_header_timeout


class CertificateError(Exception):
    """A certificate and key that do not go together, or are none; `str()` is one line that says so."""


class TlsListener:
    """Accepts until `close`. A client that does not open with TLS is accepted without: it gets an answer that says so.

    `protocol` makes the one of a new connection; its argument tells whether the client speaks TLS.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        protocol: Callable[[bool], asyncio.BaseProtocol],
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._context = context
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._start(self._accept())

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._listener.close()

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listener)
            except OSError:  # noqa: PERF203  no descriptor is left
                await asyncio.sleep(1)
            else:
                self._start(self._greet(connection))

    async def _greet(self, connection: socket.socket) -> None:
        try:
            await asyncio.wait_for(self._readable(connection), HANDSHAKE_SECONDS)
            first = connection.recv(1, socket.MSG_PEEK)
        except (OSError, asyncio.TimeoutError):
            first = b""
        except asyncio.CancelledError:
            connection.close()
            raise
        if not first:
            connection.close()
            return
        tls = first[0] == 0x16 or first[0] >= 0x80  # a handshake, or one of SSL 2
        with contextlib.suppress(OSError):  # a handshake that fails; asyncio has closed the connection
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(tls),
                connection,
                ssl=self._context if tls else None,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
            )

    async def _readable(self, connection: socket.socket) -> None:
        readable = asyncio.Event()
        self._loop.add_reader(connection, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(connection)


class ServerCertificates:
    """The listener's TLS context; `use` and `default` change at once what new handshakes get."""

    def __init__(self, certificate: str, key: str) -> None:
        """`certificate` and `key` are the files of the default. Raises CertificateError."""
        self._files = certificate, key
        self._by_name: dict[str, ssl.SSLContext] = {}
        self.default = self.read_default()
        """For a client that asks for no name, or for one that nobody has a certificate of."""
        self.context = self.read_default()
        self.context.sni_callback = self._choose

    def read_default(self) -> ssl.SSLContext:
        """The default as its files are now. Raises CertificateError."""
        context = _context()
        try:
            context.load_cert_chain(*self._files)
        except OSError as problem:  # ssl.SSLError is one
            raise CertificateError(f"cannot use {' with '.join(self._files)}: {problem}") from None
        return context

    def use(self, configuration: Configuration, environ: Mapping[str, str] | None = None) -> None:
        """Serve the `certificates` of a configuration by their `snis` from now on. Raises CertificateError."""
        vault = EnvironmentVault(environ)
        tables = configuration.tables
        contexts: dict[str, ssl.SSLContext] = {}
        for entity in tables.get("certificates", {}).values():
            cert, key = (
                vault(value) if is_reference(value) else value for value in (entity["cert"], entity["key"])
            )
            contexts[entity["id"]] = context = _context()
            try:
                load(context, cert, key)
            except ValueError as fault:
                raise CertificateError(str(fault)) from None
        self._by_name = {
            entity["name"]: contexts[entity["certificate"]["id"]]
            for entity in tables.get("snis", {}).values()
        }

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        for candidate in _candidates(name):
            found = self._by_name.get(candidate)
            if found is not None:
                connection.context = found
                return
        connection.context = self.default


def _candidates(name: str | None) -> list[str]:
    """The server name itself, then with its first and its last label for any, then the name for all."""
    if not name:
        return ["*"]
    name = name.lower()
    _, _, parent = name.partition(".")
    stem, _, _ = name.rpartition(".")
    return [name, *([f"*.{parent}"] if parent else []), *([f"{stem}.*"] if stem else []), "*"]


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
