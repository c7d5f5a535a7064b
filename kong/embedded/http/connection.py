"""The HTTP/1.1 server that clients talk to: connections, bodies, pipelining, keep-alive."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from collections.abc import Awaitable, Callable

from kong.embedded.http import errors, request_head
from kong.embedded.http.exchange import BodyError, Exchange, Worker

KEEPALIVE_SECONDS = 75.0
HEAD_SECONDS = 60.0
BODY_SECONDS = 60.0
KEEPALIVE_REQUESTS = 10_000
LINGER_SECONDS = 5.0
READ_AHEAD = 256 * 1024
_MOST_HEAD = request_head.FIRST_BUFFER + (request_head.BUFFERS + 1) * request_head.BUFFER
_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*?)?\r?")
_serial = itertools.count(1)


class ClientConnection(asyncio.Protocol):
    """One client's connection. Its requests are served one after the other, each by one task."""

    def __init__(
        self,
        serve: Callable[[Exchange], Awaitable[None]],
        on_open: Callable[[ClientConnection], Worker | None],
        on_close: Callable[[ClientConnection], None],
        plain_on_tls: bool = False,
    ) -> None:
        """`serve` answers a request; `on_open` says who does, once the connection can be used: after the handshake.
        None: nobody, it is closed.

        `plain_on_tls`: the client has not spoken TLS to a listener that wants it.
        """
        self._worker: Worker
        self._answer = serve
        self._on_open = on_open
        self._plain_on_tls = plain_on_tls
        self.tls_version: str | None = None  # "TLSv1.3"
        self._on_close = on_close
        self._serial = next(_serial)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._scanned = 0
        self._requests = 0
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._eof = False
        self._paused = False
        self._lingering = False
        self._closing_after_answer = False
        self._remote = ("", 0)
        self._port = 0
        self._body_left: int | None = 0  # of the request under way, unread; None: chunked
        self._decoder = _ChunkedBody(0)

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername") or ("", 0)
        name = transport.get_extra_info("sockname") or ("", 0)
        self._remote = (peer[0], peer[1])
        self._port = name[1]
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.tls_version = tls.version()
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        worker = self._on_open(self)
        if worker is None:
            transport.abort()
            return
        self._worker = worker
        self._arm(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self._buffer += data
        if self._exchange is None:
            self._next_request()
            return
        if len(self._buffer) > READ_AHEAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        # A client that has finished sending may still read; nginx, though, takes it for gone.
        self._eof = True
        self._wake()
        if self._exchange is None:
            return False
        self._gone()
        return self.tls_version is None  # with TLS there is nothing half open

    def connection_lost(self, exc: Exception | None) -> None:
        self._eof = True
        self._disarm()
        self._gone()
        self._transport = None
        self._wake()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._on_close(self)

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _gone(self) -> None:
        exchange = self._exchange
        if exchange is not None and not exchange.client_gone:
            exchange.client_gone = True
            if exchange.proxying and self._task is not None:
                self._task.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        if self._exchange is None or self._lingering:
            self.abort()

    # -- requests

    def _next_request(self) -> None:
        """Begin with the next request if its head is there."""
        while self._exchange is None and self._transport is not None:
            buffer = self._buffer
            while buffer.startswith((b"\r\n", b"\n")):  # nginx skips empty lines before a request
                del buffer[: 2 if buffer[0] == 13 else 1]
                self._scanned = 0
            if not buffer:
                return
            end = _END.search(buffer, max(0, self._scanned - 3))
            if end is None:
                self._scanned = len(buffer)
                first = buffer.find(b"\n")
                if len(buffer) > _MOST_HEAD or (first < 0 and len(buffer) > request_head.BUFFER):
                    self._start(bytes(buffer), 414 if first < 0 else 494)
                elif first >= 0 and _is_whole(
                    buffer[:first]
                ):  # not HTTP, or HTTP/0.9: nothing follows the line
                    line = bytes(buffer[:first])
                    del buffer[: first + 1]
                    self._start(line, 0)
                return
            head = bytes(buffer[: end.start()])
            del buffer[: end.end()]
            self._scanned = 0
            self._start(head, 0)

    def _start(self, head: bytes, refusal: int) -> None:
        self._disarm()
        self._requests += 1
        exchange = Exchange(self._worker)
        exchange.client = self
        exchange.connection_id = self._serial
        exchange.connection_requests = self._requests
        exchange.remote_addr, exchange.remote_port = self._remote
        exchange.port = self._port
        exchange.scheme = "http" if self.tls_version is None else "https"
        exchange.request_length = len(head) + 4
        exchange.keepalive = self._requests < KEEPALIVE_REQUESTS
        exchange.body_reader = self._read_body
        status = request_head.read(exchange, head.decode("latin-1"))
        exchange.status = status or refusal or (errors.PLAIN_ON_TLS if self._plain_on_tls else 0)
        if exchange.status:
            exchange.keepalive = False
        self._body_left = None if exchange.chunked else exchange.body_length or 0
        if exchange.chunked:
            self._decoder = _ChunkedBody(self._worker.settings.client_max_body_size)
        self._exchange = exchange
        self._task = self._loop.create_task(self._serve(exchange))

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
            if exchange.keepalive and not exchange.client_gone:
                await self._discard_body()
        except (BodyError, ConnectionError, asyncio.CancelledError):
            self.abort()
            return
        except BaseException:
            self.abort()
            raise
        finally:
            self._exchange = None
            self._task = None
        if self._transport is None:
            return
        if self._closing_after_answer or self._eof or not exchange.keepalive:
            self._linger()
            return
        self._arm(KEEPALIVE_SECONDS if not self._buffer else HEAD_SECONDS)
        self._next_request()

    def _linger(self) -> None:
        """Close so that the client can read the answer first, though it may still be sending."""
        transport = self._transport
        if transport is None:
            return
        if self._paused:
            transport.resume_reading()
            self._paused = False
        if self._eof or not transport.can_write_eof():
            transport.close()
            return
        self._lingering = True
        if self._body_left == 0 and not self._buffer:
            transport.close()
            return
        transport.write_eof()
        self._arm(LINGER_SECONDS)

    def finish(self, *, unused: bool) -> None:
        """Close when idle, or after the next answer (`kong reload`, shutdown).

        `unused`: one that has not brought a request yet counts as idle. At a reload nginx waits for its request.
        """
        self._closing_after_answer = True
        if self._exchange is None and self._transport is not None:
            waited_for = not self._requests or self._buffer
            if unused or not waited_for:
                self._transport.close()

    # -- what an exchange uses

    def write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the client is slower than the answer. Raises ConnectionError when it has gone."""
        if self._drained is not None:
            await self._drained
        if self._transport is None:
            raise ConnectionError("client closed the connection")

    def abort(self) -> None:
        """Close at once; what has been written still goes out."""
        if self._transport is not None:
            self._transport.close()

    async def _more(self) -> None:
        if self._eof:
            raise ConnectionError("client prematurely closed connection")
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        self._waiter = waiter = self._loop.create_future()
        timer = self._loop.call_later(BODY_SECONDS, _expire, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    async def _read_body(self) -> bytes:
        """Raises BodyError, ConnectionError."""
        exchange = self._exchange
        if exchange is None or self._body_left == 0:
            return b""
        self._continue(exchange)
        if self._body_left is None:
            decoder = self._decoder
            while not decoder.feed(self._buffer):
                await self._more()
            self._body_left = 0
            return bytes(decoder.body)
        length = self._body_left
        buffer = self._buffer
        while len(buffer) < length:
            await self._more()
        body = bytes(buffer[:length])
        del buffer[:length]
        self._body_left = 0
        exchange.request_length += length
        return body

    def _continue(self, exchange: Exchange) -> None:
        expect = exchange.request.get("expect")
        if expect is not None and expect.lower() == "100-continue" and exchange.http_version >= 1.1:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def check_unread_body(self) -> None:
        """nginx drops a request body that nobody has read while it answers, and gives up on one that is broken.

        Raises ConnectionError: the client gets no answer.
        """
        exchange = self._exchange
        if exchange is None or exchange.body is not None or self._body_left == 0 or exchange.errored:
            return
        self._continue(exchange)
        if self._body_left is None:
            try:
                if self._decoder.feed(self._buffer):
                    self._body_left = 0
            except BodyError as problem:
                raise ConnectionError(str(problem)) from None

    async def _discard_body(self) -> None:
        """What nobody read of the request's body has to go before the next request."""
        if self._body_left is None:
            while not self._decoder.feed(self._buffer):
                await self._more()
            self._body_left = 0
        while self._body_left:
            if not self._buffer:
                await self._more()
            gone = min(self._body_left, len(self._buffer))
            del self._buffer[:gone]
            self._body_left -= gone


class _ChunkedBody:
    """A body in chunks, taken out of a buffer as it arrives."""

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit
        self._left = 0  # of the present chunk, without the line break behind it
        self._state = "size"

    def feed(self, buffer: bytearray) -> bool:
        """Whether the body is complete. Raises BodyError: 400 for broken chunks, 413 for too much."""
        while True:
            if self._state == "data":
                part = buffer[: self._left]
                self.body += part
                del buffer[: len(part)]
                self._left -= len(part)
                if self._left:
                    return False
                self._state = "end"
            if self._state == "end":
                if len(buffer) < 2 and not buffer.startswith(b"\n"):
                    return False
                if not buffer.startswith((b"\r\n", b"\n")):
                    raise BodyError(400, "client sent invalid chunked body")
                del buffer[: 2 if buffer[0] == 13 else 1]
                self._state = "size"
            end = buffer.find(b"\n")
            if end < 0:
                self._check_size_line(bytes(buffer), complete=False)
                return False
            line = bytes(buffer[: end - 1 if end and buffer[end - 1] == 13 else end])
            if self._state == "trailer":
                del buffer[: end + 1]
                if not line:
                    return True
                continue
            size = self._check_size_line(line, complete=True)
            del buffer[: end + 1]
            if self._limit and len(self.body) + size > self._limit:
                raise BodyError(413, "client intended to send too large chunked body")
            self._left = size
            self._state = "data" if size else "trailer"

    def _check_size_line(self, line: bytes, *, complete: bool) -> int:
        if self._state == "trailer":
            if len(line) > request_head.BUFFER:
                raise BodyError(400, "client sent too long trailer")
            return 0
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            if complete or line.strip():
                raise BodyError(400, "client sent invalid chunked body")
            return 0
        return int(match[1], 16)


def _is_whole(line: bytes | bytearray) -> bool:
    """Whether this first line cannot be one of HTTP/1, behind which a header follows."""
    return re.search(rb" HTTP/\d\.\d+ *\r?$", line) is None


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(BodyError(408, "client timed out"))
