"""The wire between Kong and a plugin server: MessagePack RPC as `kong_pdk.listener` speaks it.

A request is `[0, message id, "plugin.<Method>", [argument]]`, its answer `[1, message id, error, result]`,
a notification `[2, label, arguments]`. Kong has one request under way on a connection and waits for its
answer.

Lua strings need not be UTF-8 (a caller may send any byte in a header), so text is decoded and encoded with
`surrogateescape`: such a byte arrives as a lone surrogate and goes back as the byte that it was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack

FROM_NEW_SERVER = "multiplexed"
FROM_OLD_SERVER = "multiplexed, from the old server"
"""Notifications that requests on this connection do not wait for each other, and come from another plugin server: the
one that has taken this one's place, or the one whose place this one has taken. Kong's never comes with them."""

TAKE_CONNECTION = "server.TakeConnection"
"""Notification of the old server's that a connection of Kong's comes with it: its descriptor (`SCM_RIGHTS`)."""

IDENTIFY = "server.Identify"
"""What one plugin server asks another: `{"Pid": process id, "Gateway": process id of what it was started by,
"TakesConnections": whether TAKE_CONNECTION is understood}`. Kong does not ask."""

READ_AHEAD = 4096
"""Bytes that a decoder sets aside at first."""

REQUEST = 0
NOTIFICATION = 2

decode: Callable[[bytes], Any] = partial(
    msgpack.unpackb, strict_map_key=False, unicode_errors="surrogateescape"
)
encode: Callable[[Any], bytes] = msgpack.Packer(unicode_errors="surrogateescape").pack


def decoder(message_bytes: int) -> Any:
    """A decoder of messages that arrive in pieces; `feed` raises `msgpack.BufferFull` beyond
    `message_bytes`."""
    return msgpack.Unpacker(
        strict_map_key=False,
        unicode_errors="surrogateescape",
        max_buffer_size=message_bytes,
        read_size=min(READ_AHEAD, message_bytes),
    )


def result(message_id: Any, value: Any) -> bytes:
    return encode([1, message_id, None, value])


def error(message_id: Any, message: str) -> bytes:
    return encode([1, message_id, message, None])


def pdk_call(message_id: Any, event_id: int, method: str, arguments: Any) -> bytes:
    """The answer to a message of an event that asks Kong for a PDK call."""
    return encode([1, message_id, None, {"Data": {"Method": method, "Args": arguments}, "EventId": event_id}])


def end_of_handler(message_id: Any, event_id: int) -> bytes:
    """The answer to the last message of an event whose handler has returned."""
    return encode([1, message_id, None, {"Data": "ret", "EventId": event_id}])
