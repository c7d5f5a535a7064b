"""HTTP as bytes on a socket: pieces of requests out, whole answers back."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.harness.pbx import Answer

Ending = Literal["read", "close", "reset", "half close"]
"""What the client does after its last byte: reads all answers, or goes away."""

PATIENCE = 20.0
"""Seconds within which every answer has to be there."""

QUIET = 0.1
"""Seconds without a byte after which nothing more is expected for a request that nobody could call whole."""

_RESET = struct.pack("ii", 1, 0)
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) [^\r\n]*")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*")


@dataclass(frozen=True)
class Outcome:
    """The complete answers, in order; `closed`: the gateway has closed the connection; `rest`: half an answer."""

    answers: list[Answer]
    closed: bool
    rest: bytes


def exchange(
    address: tuple[str, int],
    pieces: Sequence[bytes],
    methods: Sequence[str],
    ending: Ending,
    *,
    whole: bool = True,
) -> Outcome:
    """Send the pieces over a new connection and read.

    `methods` are those of the requests in the pieces. `whole`: each request is complete, so as many answers have to
    come before the gateway closes the connection. Raises AssertionError for an answer that is not HTTP, or too late.
    """
    with socket.create_connection(address, PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = _Reader(methods)
        try:
            for piece in pieces:
                connection.sendall(piece)
                if len(pieces) > 1:
                    reader.take(connection, 0)
        except OSError:
            # It was refused before it was all sent: the refusal may be there to be read.
            whole = False
        if ending == "close":
            return reader.outcome
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return reader.outcome
        if ending == "half close":
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + PATIENCE
        while len(reader.answers) < len(methods) and not reader.closed:
            left = deadline - time.monotonic()
            if not reader.take(connection, max(left, 0) if whole else QUIET):
                break
        if whole and not reader.closed:
            number = f"{len(reader.answers)} of {len(methods)} answers in {PATIENCE:g} s"
            assert len(reader.answers) == len(methods), f"{number}, then {bytes(reader.buffer)[:200]!r}"
        return reader.outcome


class _Reader:
    """Takes answers out of what arrives."""

    def __init__(self, methods: Sequence[str]) -> None:
        self.buffer = bytearray()
        self.answers: list[Answer] = []
        self.closed = False
        self._methods = methods

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.answers, self.closed, bytes(self.buffer))

    def take(self, connection: socket.socket, seconds: float) -> bool:
        """Read once, waiting so long at most. False when nothing came."""
        connection.settimeout(seconds)
        try:
            chunk = connection.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError:
            chunk = b""
        finally:
            connection.settimeout(PATIENCE)
        self.buffer += chunk
        self.closed = not chunk
        while self._one():
            pass
        return True

    def _one(self) -> bool:
        head, separator, after = bytes(self.buffer).partition(b"\r\n\r\n")
        if not separator:
            return False
        line, *lines = head.split(b"\r\n")
        status = _STATUS_LINE.fullmatch(line)
        assert status, f"no status line: {line[:200]!r}"
        if status[1] == b"100":
            self.buffer = bytearray(after)
            return True
        headers: dict[str, str] = {}
        for each in lines:
            header = _HEADER.fullmatch(each)
            assert header, f"no header: {each[:200]!r}"
            name, value = header[1].decode().lower(), header[2].decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        number = len(self.answers)
        method = self._methods[number] if number < len(self._methods) else "GET"
        body = self._body(method, int(status[1]), headers, after)
        if body is None:
            return False
        content, taken = body
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = None
        self.answers.append(Answer(int(status[1]), headers, content, parsed))
        self.buffer = bytearray(after[taken:])
        return bool(self.buffer)

    def _body(
        self, method: str, status: int, headers: dict[str, str], after: bytes
    ) -> tuple[bytes, int] | None:
        """The body and how many bytes it took; None: not all of it is there."""
        if method == "HEAD" or status in (204, 304):
            return b"", 0
        if "transfer-encoding" in headers:
            assert headers["transfer-encoding"] == "chunked"
            assert "content-length" not in headers
            return _unchunked(after)
        if "content-length" in headers:
            length = int(headers["content-length"])
            return (after[:length], length) if len(after) >= length else None
        return (after, len(after)) if self.closed else None


def _unchunked(after: bytes) -> tuple[bytes, int] | None:
    body, at = b"", 0
    while True:
        end = after.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(after[at:end], 16)
        at = end + 2
        if len(after) < at + size + 2:
            return None
        body += after[at : at + size]
        at += size + 2
        if not size:
            return body, at
