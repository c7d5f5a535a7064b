"""A socket whose bytes are taken as they come."""

from __future__ import annotations

import _socket
from collections.abc import Callable
from typing import Any

READ_BYTES = 65536


class Incoming:
    """Reads a non-blocking socket in a callback of the event loop, not a greenlet: a message costs one call of it."""

    __slots__ = ("_recv", "_socket", "_watcher", "closed")

    def __init__(self, sock: _socket.socket, loop: Any) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._recv: Callable[[int], bytes] = sock.recv
        self.closed = False
        self._watcher = loop.io(sock.fileno(), 1)
        self._watcher.start(self._readable)

    def _readable(self) -> None:
        try:
            chunk = self._recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk = b""
        if chunk:
            self._received(chunk)
        else:
            self.close()

    def _received(self, chunk: bytes) -> None:
        """Take what has come; a message may end anywhere in it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket; it is also called when the peer has."""
        self.closed = True
        self._watcher.stop()
        self._watcher.close()
        self._socket.close()
