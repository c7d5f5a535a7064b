"""Two plugin servers of one Kong on one socket path: the old one and the new one, as after `kong reload`.

The new server takes the path only from a server of the same gateway (`TakeoverRule`). Kong's old workers finish
their requests meanwhile; what they open is a connection to the new server, and one of them may bring a step for an
event of the old one. Such a step goes on to the old server, and its answer back (`OldServer`).

The old server counts on the new one only when that has answered (`NewServer`). From then on it hands Kong's
connections over, each between two messages: the descriptor goes to the new server, with whatever Kong is sending on
it, and Kong notices nothing. It cannot close them instead: Kong's pool keeps them, takes the one that was used last,
and a request on a connection that is being closed is lost. What begins anew on those that are not handed over yet
goes on to the new server: else workers that have connections to both would start their instances at each of them
again and again.
"""

from __future__ import annotations

import _socket
import logging
import select
import socket
import struct
from array import array
from collections.abc import Callable
from time import monotonic
from typing import Any

from gevent.monkey import get_original

from .connection import Connection
from .incoming import READ_BYTES, Incoming
from .process_tree import exists, gateway_of
from .rpc import FROM_NEW_SERVER, FROM_OLD_SERVER, IDENTIFY, TAKE_CONNECTION, decoder, encode

log = logging.getLogger(__name__)

ANSWER_BYTES = 65536
"""More than any answer to `IDENTIFY` has."""

_QUESTION = encode([0, 0, IDENTIFY, []])
_TAKE_CONNECTION = encode([2, TAKE_CONNECTION, []])


class TakeoverRule:
    """Whose place a server may take: that of a server of the same gateway, which is the same nginx master or, where
    none is, the same parent process; of one whose gateway has ended; or of any, on demand.

    A `listener.MayReplace` for a socket that speaks the plugin-server protocol.
    """

    def __init__(self, gateway: int | None, on_demand: bool = False, patience: float = 2.0) -> None:
        """gateway: process id, None where it cannot be seen. patience: seconds that the other server may take to
        answer."""
        self.gateway = gateway
        self._on_demand = on_demand
        self._patience = patience

    def __call__(self, connection: _socket.socket) -> str | None:
        """Ask the other server, and the operating system where it does not answer. Holds up the whole process."""
        pid = peer_pid(connection)
        try:
            connection.send(encode([2, FROM_NEW_SERVER, []]) + _QUESTION)
            answer = _answer(connection, self._patience)
        except OSError:
            answer = {}
        gateway = None
        # Process ids of another namespace say nothing here.
        if pid is None or answer.get("Pid") == pid:
            # What it was started by. Its parent may be init by now.
            gateway = answer.get("Gateway")
        if gateway is None and pid:
            gateway = gateway_of(pid)
        return self._judge(pid, gateway)

    def of_any_socket(self, connection: _socket.socket) -> str | None:
        """The same for a socket with another protocol: only the operating system is asked."""
        pid = peer_pid(connection)
        return self._judge(pid, gateway_of(pid) if pid else None)

    def _judge(self, pid: int | None, gateway: int | None) -> str | None:
        if self._on_demand:
            return None
        if gateway is not None and (gateway == self.gateway or not exists(gateway)):
            return None
        who = f"process {pid}" if pid else "another process"
        return (
            f"{who} listens there, and was not started by the same Kong: stop it, or give another prefix, or "
            "--take-over to take its place"
        )


def peer_pid(connection: _socket.socket) -> int | None:
    """The process that listens at the other end; 0 in another PID namespace; None where the system does not tell."""
    credentials = struct.Struct("3i")
    try:
        pid: int = credentials.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        )[0]
    except (AttributeError, OSError):
        return None
    return pid


def _answer(connection: _socket.socket, seconds: float) -> dict[str, Any]:
    """The answer to `_QUESTION`; empty when there is none in time. Raises OSError."""
    # The event loop must not run before the socket is taken, and gevent's own would let it.
    poll = get_original("select", "poll")()
    poll.register(connection.fileno(), select.POLLIN)
    messages = decoder(ANSWER_BYTES)
    deadline = monotonic() + seconds
    while poll.poll(max(0.0, deadline - monotonic()) * 1000):
        chunk = connection.recv(READ_BYTES)
        if not chunk:
            break
        try:
            messages.feed(chunk)
            for message in messages:
                value = message[3]
                return value if isinstance(value, dict) else {}
        except Exception:  # noqa: BLE001 - whatever it is, it is no plugin server of ours
            break
    return {}


Reply = Callable[[Any, Any], object]
"""Is called with the other server's answer: error and result, one of them None."""


class OtherServer(Incoming):
    """A connection to another server of the same Kong, for requests that are sent on to it."""

    def __init__(self, sock: _socket.socket, loop: Any, message_bytes: int) -> None:
        super().__init__(sock, loop)
        self._decoder = decoder(message_bytes)
        self._waiting: dict[int, tuple[Connection, Reply]] = {}
        self._next_id = 1

    def forward(self, connection: Connection, method: str, arguments: Any, reply: Reply) -> bool:
        """Send a request on that came on a connection. False when nobody is there to take it."""
        if self.closed:
            return False
        self._waiting[self._next_id] = (connection, reply)
        sent = self._send(encode([0, self._next_id, method, arguments]))
        if not sent:
            self._waiting.pop(self._next_id, None)
        self._next_id += 1
        return sent

    def waiting_connections(self) -> set[Connection]:
        """Those whose request has been sent on and is not answered."""
        return {connection for connection, _ in self._waiting.values()}

    def _send(self, message: bytes) -> bool:
        # All or nothing: the other end is a server on this machine that reads at once.
        try:
            if self._socket.send(message) == len(message):
                return True
        except OSError:
            pass
        self.close()
        return False

    def _received(self, chunk: bytes) -> None:
        try:
            self._decoder.feed(chunk)
            for _, message_id, failure, value in self._decoder:
                if message_id == 0:
                    self._identified(value)
                else:
                    _, reply = self._waiting.pop(message_id)
                    reply(failure, value)
        except Exception as problem:  # noqa: BLE001 - it talks nonsense: do without it
            log.warning("cannot talk to the other plugin server: %s", type(problem).__name__)
            self.close()

    def _identified(self, answer: Any) -> None:
        """The answer to `_QUESTION` has come."""

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        waiting, self._waiting = self._waiting, {}
        for _, reply in waiting.values():
            reply("the plugin server of this event is gone", None)


class OldServer(OtherServer):
    """The server whose path this one has taken."""


class NewServer(OtherServer):
    """The server that has taken this one's path."""

    def __init__(
        self, sock: _socket.socket, loop: Any, message_bytes: int, on_change: Callable[[], object]
    ) -> None:
        """on_change: called when it has begun to serve, and when it has ended then."""
        super().__init__(sock, loop, message_bytes)
        self._on_change = on_change
        self.serves = False
        """It has answered: Kong is in good hands."""
        self.takes_connections = False
        self._send(encode([2, FROM_OLD_SERVER, []]) + _QUESTION)

    def _identified(self, answer: Any) -> None:
        log.info("another server listens at the socket's path now")
        self.serves = True
        self.takes_connections = isinstance(answer, dict) and bool(answer.get("TakesConnections"))
        self._on_change()

    def hand_over(self, connection: Connection) -> None:
        """Give it a connection of Kong's, which is closed here; not where it takes none now."""
        descriptor = array("i", [connection.fileno()])
        try:
            self._socket.sendmsg([_TAKE_CONNECTION], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)])
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        connection.handed_over = True
        connection.close()

    def close(self) -> None:
        super().close()
        if self.serves:
            self.serves = False
            self._on_change()
