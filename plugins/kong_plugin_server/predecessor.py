"""The server that had the socket's path before this one, while it still runs.

After `kong reload` Kong's old workers finish their requests. What they open is a connection to the new
server, and one of them may bring a step for an event of the old one. Such a step goes on to the old server,
and its answer back.
"""

from __future__ import annotations

import _socket
import contextlib
import logging
from typing import Any

from .connection import READ_BYTES, Connection
from .rpc import MULTIPLEXED, decoder, encode, error, result

log = logging.getLogger(__name__)


class Predecessor:
    """One connection to the old server, for everything that is sent on to it."""

    def __init__(self, sock: _socket.socket, loop: Any, message_bytes: int) -> None:
        self._socket = sock
        self._decoder = decoder(message_bytes)
        self._waiting: dict[int, tuple[Connection, Any]] = {}
        self._next_id = 1
        self._closed = False
        self._watcher = loop.io(sock.fileno(), 1)
        self._watcher.start(self._readable)
        self._send(encode([2, MULTIPLEXED, []]))

    def forward(self, connection: Connection, message_id: Any, method: str, arguments: Any) -> bool:
        """Send a request on, to be answered on its connection later. False when nobody is there to take
        it."""
        if self._closed:
            return False
        self._waiting[self._next_id] = (connection, message_id)
        sent = self._send(encode([0, self._next_id, method, arguments]))
        if not sent:
            self._waiting.pop(self._next_id, None)
        self._next_id += 1
        return sent

    def _send(self, message: bytes) -> bool:
        # All or nothing: the other end is a server on this machine that reads at once.
        try:
            if self._socket.send(message) == len(message):
                return True
        except OSError:
            pass
        self.close()
        return False

    def _readable(self) -> None:
        try:
            chunk = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return
        try:
            self._decoder.feed(chunk)
            for _, message_id, failure, value in self._decoder:
                connection, asked = self._waiting.pop(message_id)
                connection.send(error(asked, failure) if failure is not None else result(asked, value))
        except Exception as problem:  # noqa: BLE001 - it talks nonsense: do without it
            log.warning("the server before this one is not understood: %s", type(problem).__name__)
            self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._watcher.stop()
        self._watcher.close()
        self._socket.close()
        for connection, message_id in self._waiting.values():
            connection.send(error(message_id, "the plugin server of this event is gone"))
        self._waiting.clear()


def connect(path: str) -> _socket.socket | None:
    """A connection to the server that listens at `path`; None when there is none."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        sock.connect(path)
        return sock
    sock.close()
    return None
