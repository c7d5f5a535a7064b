"""HTTP on the wire: a lean asyncio protocol on httptools, one object a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

import httptools

from . import clock
from .answers import Answer, error
from .controls import PREFIX, Controls
from .faults import Fault, Faults
from .journal import Journal
from .merchant_api import MerchantApi
from .orders import Book
from .reports import Reports
from .sessions import Sessions
from .world import Merchant

_MOST_BODY = 1 << 20
"""Largest body of a Merchant API call, in bytes; larger is answered 413. Controls take any size."""
_WAITING_REQUESTS = 32

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_RESET = struct.pack("ii", 1, 0)


class Stub:
    """The whole stub, apart from its connections."""

    def __init__(
        self,
        merchants: list[tuple[str, str]],
        *,
        keep_orders: int = 200_000,
        keep_requests: int = 10_000,
        access_seconds: float = 1800,
    ) -> None:
        known = {username: Merchant(username, password) for username, password in merchants}
        self.sessions = Sessions()
        self.sessions.access_seconds = access_seconds
        self.reports = Reports()
        self.book = Book(keep_orders, self.reports)
        self.faults = Faults()
        self.journal = Journal(keep_requests)
        self.api = MerchantApi(known, self.sessions, self.book)
        self.controls = Controls(known, self.sessions, self.book, self.reports, self.faults, self.journal)


class Connection(asyncio.Protocol):
    """One client connection. Requests are answered in order; one that is delayed holds up those behind it."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._transport.close()
        except httptools.HttpParserError:
            self._queue(lambda: self._finish(error(400, "", "not HTTP"), None, b"GET", keep_alive=False))

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._named: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        if len(name) in (13, 12, 6):
            lower = name.lower()
            if lower in (b"authorization", b"content-type"):
                self._named[lower.decode()] = value.decode("latin-1")
            elif lower == b"expect":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= _MOST_BODY or self._target.startswith(PREFIX.encode()):
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        method, target, headers, named = self._parser.get_method(), self._target, self._headers, self._named
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        too_large = self._size > len(body)
        keep_alive = self._parser.should_keep_alive()
        if self._busy or self._waiting:
            self._queue(lambda: self._handle(method, target, headers, named, body, too_large, keep_alive))
        else:
            self._handle(method, target, headers, named, body, too_large, keep_alive)

    # One request after the other.

    def _queue(self, job: Callable[[], None]) -> None:
        self._waiting.append(job)
        if len(self._waiting) > _WAITING_REQUESTS:
            self._transport.pause_reading()
        self._next()

    def _next(self) -> None:
        while self._waiting and not self._busy and not self._transport.is_closing():
            self._waiting.popleft()()
        if not self._waiting and not self._transport.is_closing():
            self._transport.resume_reading()

    def _handle(
        self,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        named: dict[str, str],
        body: bytes,
        too_large: bool,
        keep_alive: bool,
    ) -> None:
        path, _, query = target.decode("latin-1").partition("?")
        verb = method.decode("latin-1")
        stub = self._stub
        if path.startswith(PREFIX):
            self._finish(stub.controls.answer(verb, path, query, body), None, method, keep_alive=keep_alive)
            return
        stub.journal.note(method, target, headers, body)
        fault = stub.faults.take(verb, path) if stub.faults else None
        if too_large:
            answer = error(413, path, f"at most {_MOST_BODY} bytes")
        elif fault is None:
            answer = stub.api.answer(verb, path, named, body)
        else:
            self._busy = True
            self._loop.call_later(fault.delay, self._misbehave, fault, verb, path, named, body, keep_alive)
            return
        stub.journal.count(verb, path, answer.status)
        self._finish(answer, None, method, keep_alive=keep_alive)

    def _misbehave(
        self, fault: Fault, verb: str, path: str, named: dict[str, str], body: bytes, keep_alive: bool
    ) -> None:
        self._busy = False
        answer = fault.answer(path)
        silent = fault.silences() or fault.raw is not None
        if fault.accept or (answer is None and not silent):
            proper = self._stub.api.answer(verb, path, named, body)
            if answer is None:
                answer = proper
                answer.headers = [*answer.headers, *fault.headers]
        self._stub.journal.count(verb, path, 0 if silent or answer is None else answer.status)
        if self._transport.is_closing():
            return
        if fault.raw is not None:
            self._transport.write(fault.raw)
            self._transport.close()
        elif fault.silences():
            self._hang_up(reset=fault.reset)
        elif answer is not None:
            self._finish(answer, fault, verb.encode(), keep_alive=keep_alive)

    def _finish(self, answer: Answer, fault: Fault | None, method: bytes, *, keep_alive: bool) -> None:
        head, body = _head(answer, keep_alive=keep_alive), answer.body
        if method == b"HEAD" or answer.status < 200 or answer.status in (204, 304):
            body = b""
        if fault is None:
            self._transport.write(head + body)
            if not keep_alive:
                self._transport.close()
        elif fault.half_body:
            self._transport.write(head + body[: len(body) // 2])
            self._busy = True
            self._loop.call_later(0.05, lambda: self._hang_up(reset=fault.reset))
        elif fault.body_delay:
            self._transport.write(head)
            self._busy = True
            self._loop.call_later(fault.body_delay, self._late_body, body, keep_alive)
        else:
            self._transport.write(head + body)
            if not keep_alive:
                self._transport.close()
            self._next()

    def _late_body(self, body: bytes, keep_alive: bool) -> None:
        self._busy = False
        if self._transport.is_closing():
            return
        self._transport.write(body)
        if not keep_alive:
            self._transport.close()
        self._next()

    def _hang_up(self, *, reset: bool) -> None:
        if reset:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self._transport.close()


_date = ("", "")


def _head(answer: Answer, *, keep_alive: bool) -> bytes:
    global _date
    second = clock.now()[0]
    if _date[0] != second:
        _date = (second, formatdate(usegmt=True))
    status = answer.status
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n",
        f"Server: futuresms-stub\r\nDate: {_date[1]}\r\n",
    ]
    given = {name.lower() for name, _ in answer.headers} if answer.headers else ()
    if answer.content_type is not None and "content-type" not in given:
        lines.append(f"Content-Type: {answer.content_type}\r\n")
    if (
        status >= 200
        and status not in (204, 304)
        and not {"content-length", "transfer-encoding"} & set(given)
    ):
        lines.append(f"Content-Length: {len(answer.body)}\r\n")
    if not keep_alive and "connection" not in given:
        lines.append("Connection: close\r\n")
    lines.extend(f"{name}: {value}\r\n" for name, value in answer.headers)
    lines.append("\r\n")
    return "".join(lines).encode("latin-1", "replace")
