"""The HTTP/1.1 client towards a service: connections, and answers read as nginx reads them.

nginx's way with a broken answer is part of what a gateway promises: text that is not HTTP is an HTTP/0.9 body, a
header that is too large or contradicts itself is an invalid answer, a body that ends early is known to have done so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from kong.embedded.http.headers import Headers

HEAD_LIMIT = 4096  # proxy_buffer_size: one page
READ_AHEAD = 1 << 20  # bytes after which the upstream has to wait for the client
MOST_IDLE, MOST_REQUESTS = 512, 10_000  # upstream_keepalive_pool_size, upstream_keepalive_max_requests
_STATUS_LINE = re.compile(rb"HTTP/(\d)\.(\d) +(\d{3})(?: ([^\r\n]*))?\r?\n")
_STATUS_LINE_START = re.compile(rb"H(T(T(P(/(\d(\.(\d( +(\d{1,3}[^\r\n]*\r?)?)?)?)?)?)?)?)?)?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_HOSTNAME_MISMATCH = 62  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


class UpstreamFailure(Exception):
    """No usable answer.

    `kind` is nginx's reason: "error" (refused, reset, closed before an answer), "timeout", "invalid_header".
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class BodyBroken(Exception):
    """The answer's body ended before its announced end, or did not go on in time."""


@dataclass
class Head:
    """Status line and header of an answer. `version` 0.9: there was neither, only text."""

    status: int
    reason: str | None
    version: float
    headers: Headers = field(default_factory=Headers)


class Connection(asyncio.Protocol):
    """A connection to an upstream, with what it has sent and nobody has read."""

    def __init__(self, pool: Pool, key: object) -> None:
        self._pool = pool
        self.key = key
        self.buffer = bytearray()
        self.eof = False
        self.requests = 0
        self.idle_since = 0.0
        self.idle = False
        self._error: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.idle:  # nobody asked: such a connection cannot be trusted
            self.close()
            return
        self.buffer += data
        if len(self.buffer) > READ_AHEAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.eof = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof = True
        self._error = exc
        if self.idle:
            self._pool.discard(self)
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._wake()

    def pause_writing(self) -> None:
        self._drained = self._pool.loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def send(self, data: bytes, timeout: float) -> None:
        if self.eof or self._transport is None:
            raise UpstreamFailure("error", "connection closed before the request was sent")
        self.requests += 1
        self._transport.write(data)
        if self._drained is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._drained), timeout)
            except asyncio.TimeoutError:
                raise UpstreamFailure("timeout", "upstream timed out while sending request") from None

    async def more(self, timeout: float) -> bool:
        """Wait for more of the answer; False at its end. Raises asyncio.TimeoutError."""
        if self.eof:
            return False
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        loop = self._pool.loop
        self._waiter = waiter = loop.create_future()
        timer = loop.call_later(timeout, _expire, waiter)
        before = len(self.buffer)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        return len(self.buffer) > before

    def close(self) -> None:
        if self.idle:
            self._pool.discard(self)
        if self._transport is not None:
            self._transport.abort()

    async def read_head(self, timeout: float) -> Head:
        """The answer's head. Raises UpstreamFailure."""
        while True:
            head = self._parse_head()
            if head is not None:
                return head
            try:
                more = await self.more(timeout)
            except asyncio.TimeoutError:
                raise UpstreamFailure("timeout", "upstream timed out while reading response header") from None
            if not more:
                raise UpstreamFailure(
                    "error", "upstream prematurely closed connection while reading response header"
                )

    def _parse_head(self) -> Head | None:
        buffer = self.buffer
        if not buffer:
            return None
        line = _STATUS_LINE.match(buffer)
        if line is None:
            start = _STATUS_LINE_START.match(buffer)
            if start is not None and start.end() == len(buffer):
                if len(buffer) >= HEAD_LIMIT:
                    raise UpstreamFailure("invalid_header", "upstream sent too big header")
                return None
            return Head(200, None, 0.9)
        end = _END_OF_HEAD.search(buffer, line.end() - 2)
        if end is None or end.end() > HEAD_LIMIT:
            if len(buffer) >= HEAD_LIMIT:
                raise UpstreamFailure("invalid_header", "upstream sent too big header")
            return None
        version = float(f"{line[1].decode()}.{line[2].decode()}")
        head = Head(int(line[3]), (line[4] or b"").decode("latin-1"), version)
        for raw in bytes(buffer[line.end() : end.start()]).decode("latin-1").split("\n"):
            if raw.endswith("\r"):
                raw = raw[:-1]
            if not raw:
                continue
            name, colon, value = raw.partition(":")
            if not colon or not name or name[-1] in " \t" or name[0] in " \t":
                raise UpstreamFailure("invalid_header", f"upstream sent invalid header: {raw!r}")
            head.headers.add(name, value.strip(" \t"))
        del buffer[: end.end()]
        lengths = head.headers.get_all("content-length")
        chunked = _is_chunked(head)
        if lengths and (len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]) or chunked):
            raise UpstreamFailure("invalid_header", "upstream sent invalid Content-Length")
        return head

    async def body(self, head: Head, method: str, timeout: float) -> AsyncIterator[bytes]:
        """The parts of the body as they arrive. Raises BodyBroken. Afterwards `reusable` says what to do with this."""
        if method == "HEAD" or head.status in (204, 304):
            return
        if head.version < 1.0:
            while True:
                if self.buffer:
                    yield self._take(len(self.buffer))
                elif not await self._more(timeout):
                    return
        if _is_chunked(head):
            async for part in self._chunks(timeout):
                yield part
            return
        length = head.headers.get("content-length")
        if length is None:
            while True:
                if self.buffer:
                    yield self._take(len(self.buffer))
                elif not await self._more(timeout):
                    return
        left = int(length)
        while left:
            if not self.buffer and not await self._more(timeout):
                raise BodyBroken("upstream prematurely closed connection")
            part = self._take(min(left, len(self.buffer)))
            left -= len(part)
            yield part

    async def _chunks(self, timeout: float) -> AsyncIterator[bytes]:
        while True:
            size_line = await self._line(timeout)
            size_text = size_line.partition(b";")[0].strip()
            if not _CHUNK_SIZE.fullmatch(size_text):
                raise BodyBroken("upstream sent invalid chunked response")
            size = int(size_text, 16)
            if size == 0:
                while await self._line(timeout):
                    pass
                return
            while size:
                if not self.buffer and not await self._more(timeout):
                    raise BodyBroken("upstream prematurely closed connection")
                part = self._take(min(size, len(self.buffer)))
                size -= len(part)
                yield part
            if await self._line(timeout):
                raise BodyBroken("upstream sent invalid chunked response")

    async def _line(self, timeout: float) -> bytes:
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 1]
                return line[:-1] if line.endswith(b"\r") else line
            if len(self.buffer) > HEAD_LIMIT:
                raise BodyBroken("upstream sent invalid chunked response")
            if not await self._more(timeout):
                raise BodyBroken("upstream prematurely closed connection")

    async def _more(self, timeout: float) -> bool:
        try:
            return await self.more(timeout)
        except asyncio.TimeoutError:
            raise BodyBroken("upstream timed out while reading upstream") from None

    def _take(self, count: int) -> bytes:
        part = bytes(self.buffer[:count])
        del self.buffer[:count]
        return part

    def finish(self, head: Head) -> None:
        """The answer has been read to its end: keep the connection if it can serve another request."""
        connection = (head.headers.get("connection") or "").lower()
        framed = "content-length" in head.headers or _is_chunked(head) or head.status in (204, 304)
        if self.eof or self.buffer or head.version < 1.1 or "close" in connection or not framed:
            self.close()
        else:
            self._pool.give_back(self)


def _is_chunked(head: Head) -> bool:
    return (
        head.headers.variable("transfer_encoding") is not None
        and "chunked" in (head.headers.variable("transfer_encoding") or "").lower()
    )


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(asyncio.TimeoutError())


def _reason(problem: OSError) -> str:
    if isinstance(problem, ssl.SSLError):
        return f"SSL: {problem.reason or problem}"
    return os.strerror(problem.errno) if problem.errno else str(problem)


def _objection(problem: ssl.SSLCertVerificationError, name: str | None) -> str:
    """What nginx says of a certificate that it does not believe."""
    if problem.verify_code == _HOSTNAME_MISMATCH:
        return f'upstream SSL certificate does not match "{name}"'
    return f"upstream SSL certificate verify error: ({problem.verify_code}:{problem.verify_message})"


class Pool:
    """A worker's idle connections, by address; the one used last is used next, as nginx does it."""

    def __init__(self, idle_seconds: float, trusted_certificates: str | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self._idle_seconds = idle_seconds
        self._idle: dict[object, deque[Connection]] = {}
        self._trusted_certificates = trusted_certificates
        self._tls: dict[bool, ssl.SSLContext] = {}

    async def connect(
        self, address: tuple[str, int], timeout: float, tls_name: str | None = None, verify: bool = False
    ) -> tuple[Connection, bool]:
        """A connection, and whether it has served before. Raises UpstreamFailure."""
        key = (*address, tls_name, verify)
        idle = self._idle.get(key)
        now = self.loop.time()
        while idle:
            connection = idle.pop()
            connection.idle = False
            if not connection.eof and now - connection.idle_since < self._idle_seconds:
                return connection, True
            connection.close()
        try:
            connecting = self.loop.create_connection(
                lambda: Connection(self, key),
                *address,
                ssl=self._context(verify) if tls_name is not None else None,
                server_hostname=tls_name,
            )
            _, fresh = await asyncio.wait_for(connecting, timeout)
        except asyncio.TimeoutError:
            raise UpstreamFailure("timeout", "upstream timed out while connecting to upstream") from None
        except ssl.SSLCertVerificationError as problem:
            raise UpstreamFailure("error", f"{_objection(problem, tls_name)} while SSL handshaking") from None
        except OSError as problem:
            raise UpstreamFailure("error", f"connect() failed: {_reason(problem)}") from None
        return fresh, False

    def _context(self, verify: bool) -> ssl.SSLContext:
        context = self._tls.get(verify)
        if context is None:
            trusted = self._trusted_certificates
            context = ssl.create_default_context(
                cafile=trusted if trusted and Path(trusted).exists() else None
            )
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._tls[verify] = context
        return context

    def give_back(self, connection: Connection) -> None:
        idle = self._idle.setdefault(connection.key, deque())
        if connection.requests >= MOST_REQUESTS:
            connection.close()
            return
        if len(idle) >= MOST_IDLE:
            idle[0].close()
        connection.idle = True
        connection.idle_since = self.loop.time()
        idle.append(connection)

    def discard(self, connection: Connection) -> None:
        connection.idle = False
        idle = self._idle.get(connection.key)
        if idle is not None:
            with contextlib.suppress(ValueError):
                idle.remove(connection)

    def close(self) -> None:
        for idle in list(self._idle.values()):
            for connection in list(idle):
                connection.close()
