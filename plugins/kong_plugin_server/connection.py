"""One connection of Kong's: bytes in, messages out, and back."""

from __future__ import annotations

import _socket
import logging
from array import array
from collections.abc import Callable, Mapping
from typing import Any

from .counters import ServerCounters
from .incoming import Incoming
from .limits import Limits
from .rpc import (
    FROM_NEW_SERVER,
    FROM_OLD_SERVER,
    NOTIFICATION,
    REQUEST,
    TAKE_CONNECTION,
    decode,
    decoder,
)

log = logging.getLogger(__name__)

Method = Callable[["Connection", Any, Any], object]
"""What is called with a request: the connection, its message id and its arguments."""

Failed = Callable[["Connection", Any, Any, Any, Exception], object]
"""What is called when that raised, or there is no such method, with method and exception."""

_DESCRIPTORS = 8
"""More than come at once: Linux never puts those of two messages together."""


class Connection(Incoming):
    """Reads requests as they come and sends answers without ever waiting."""

    __slots__ = (
        "_counters",
        "_decoder",
        "_failed",
        "_fed",
        "_limits",
        "_methods",
        "_on_close",
        "_send",
        "_taken",
        "_unsent",
        "_write_watcher",
        "handed_over",
        "latest",
        "peer",
    )

    def __init__(
        self,
        sock: _socket.socket,
        loop: Any,
        methods: Mapping[str, Method],
        failed: Failed,
        on_close: Callable[[Connection], object],
        limits: Limits,
        counters: ServerCounters,
    ) -> None:
        self._send = sock.send
        self._methods = methods
        self._failed = failed
        self._on_close = on_close
        self._limits = limits
        self._counters = counters
        self._decoder: Any = None
        self._fed = 0
        self._unsent = bytearray()
        self._taken: list[_socket.socket] = []
        self._write_watcher = loop.io(sock.fileno(), 2)
        self.peer: str | None = None
        """Which server's it is: `FROM_NEW_SERVER`, `FROM_OLD_SERVER`, None for Kong's."""
        self.latest: Any = None
        """The id of the last request."""
        self.handed_over = False
        """Whether it is closed here because another server has it now."""
        super().__init__(sock, loop)

    def _received(self, chunk: bytes) -> None:
        if self._decoder is None:
            try:
                message = decode(chunk)
            except Exception:  # noqa: BLE001 - incomplete, several at once, or malformed: the slow way tells
                self._read_pieces(chunk)
            else:
                self._take(message)
        else:
            self._read_pieces(chunk)

    def _read_pieces(self, chunk: bytes) -> None:
        if self._decoder is None:
            self._decoder = decoder(self._limits.max_message_bytes)
            self._fed = 0
        pieces = self._decoder
        try:
            pieces.feed(chunk)
            self._fed += len(chunk)
            complete = 0
            for message in pieces:
                complete = pieces.tell()
                self._take(message)
                if self.closed:
                    return
        except Exception as error:  # noqa: BLE001 - msgpack raises many kinds, and all mean the same
            self._refuse(type(error).__name__)
            return
        if complete == self._fed:
            self._decoder = None

    def _take(self, message: Any) -> None:
        if message.__class__ is list:
            if len(message) == 4 and message[0] == REQUEST:
                _, message_id, method, arguments = message
                self.latest = message_id
                try:
                    self._methods[method](self, message_id, arguments)
                except Exception as failure:  # noqa: BLE001 - Kong must have an answer, or it waits
                    self._failed(self, message_id, arguments, method, failure)
                return
            if len(message) == 3 and message[0] == NOTIFICATION:
                if message[1] in (FROM_NEW_SERVER, FROM_OLD_SERVER):
                    self.peer = message[1]
                    self._recv = self._receive_connections
                elif message[1] == TAKE_CONNECTION and self._taken:
                    self._methods[TAKE_CONNECTION](self, None, self._taken.pop(0))
                return
        self._refuse("not a request")

    def _receive_connections(self, size: int) -> bytes:
        """Receive what another server sends, and the connections that come with it."""
        room = _socket.CMSG_SPACE(_DESCRIPTORS * array("i").itemsize)
        chunk, ancillary, _, _ = self._socket.recvmsg(size, room, getattr(_socket, "MSG_CMSG_CLOEXEC", 0))
        for level, kind, content in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                self._taken.extend(_socket.socket(fileno=number) for number in array("i", content))
        return chunk

    def _refuse(self, reason: str) -> None:
        self._counters.malformed += 1
        log.warning("connection closed: it does not speak MessagePack RPC (%s)", reason)
        self.close()

    def send(self, data: bytes) -> bool:
        """Send, or keep what the socket does not take now. False when the peer is gone."""
        if self._unsent:
            self._unsent += data
            if len(self._unsent) > self._limits.max_unsent_bytes:
                log.warning("connection closed: its peer does not read")
                self.close()
            return not self.closed
        try:
            sent = self._send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return False
        if sent != len(data):
            self._unsent += data[sent:]
            self._write_watcher.start(self._writable)
        return True

    @property
    def multiplexed(self) -> bool:
        """Whether a request may come before the one before it is answered."""
        return self.peer is not None

    @property
    def is_between_messages(self) -> bool:
        """Whether no message has been read or sent in part."""
        return not self._unsent and self._decoder is None

    def fileno(self) -> int:
        return self._socket.fileno()

    def _writable(self) -> None:
        try:
            sent = self._send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._write_watcher.stop()

    def close(self) -> None:
        if self.closed:
            return
        self._write_watcher.stop()
        self._write_watcher.close()
        super().close()
        # An event may hold on to its connection for a while yet.
        self._unsent.clear()
        self._decoder = None
        for sock in self._taken:
            sock.close()
        self._taken.clear()
        self._on_close(self)
