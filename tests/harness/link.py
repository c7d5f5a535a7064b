"""A TCP link between a client and a server on 127.0.0.1 that can be slow, hang, break, or be TLS in front."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from .authority import ServerCertificate

T = TypeVar("T")

TLS = Path(__file__).parent / "tls"
CA_CERTIFICATE = TLS / "ca.pem"
"""The authority of the link's certificate, which names `localhost` and `127.0.0.1`."""


_SHOWN = ServerCertificate(TLS / "server.pem", TLS / "server.key")


class Link:
    """Listens on a free `port` and carries bytes to and from `target_port`, in a thread of its own."""

    def __init__(self, target_port: int, *, tls: bool | ServerCertificate = False) -> None:
        self.target_port = target_port
        self.connections = 0
        """Connections accepted so far."""
        self.delay_seconds = 0.0
        """How long each piece from the client waits before it is passed on."""
        self.held = 0
        """How many pieces have been held up so far."""
        self._forgotten = 0
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        self._server = self._run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        """Take connections and bytes, and pass nothing on."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def release(self) -> None:
        """Pass on again, what was held included."""
        self._loop.call_soon_threadsafe(self._passing.set)

    def forget(self) -> None:
        """Drop what comes on the present connections, and tell neither side; new ones are carried."""
        self._forgotten = self.connections

    def cut(self) -> None:
        """Break every connection. New ones are still accepted."""
        self._run(self._cut())

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def read_certificate(self) -> None:
        """Connections that come now see what the files of the certificate hold now."""
        assert self._context is not None, "make the link with tls=…"
        shown = self._tls if isinstance(self._tls, ServerCertificate) else _SHOWN
        self._context.load_cert_chain(shown.chain, shown.key)

    async def _listen(self) -> asyncio.Server:
        if self._tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.read_certificate()
        return await asyncio.start_server(self._carry, "127.0.0.1", 0, ssl=self._context)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._writers.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._writers.add(there_writer)
            try:
                await asyncio.gather(
                    self._pump(number, reader, there_writer, delayed=True),
                    self._pump(number, there_reader, writer, delayed=False),
                )
            finally:
                self._writers.discard(there_writer)
                there_writer.close()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pump(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delayed: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                if delayed and self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if not self._passing.is_set():
                    self.held += 1
                    await self._passing.wait()
                if number <= self._forgotten:
                    continue
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
