"""The wire between Kong and a plugin server: MessagePack RPC as `kong_pdk.listener` speaks it.

A request is `[0, message id, "plugin.<Method>", [argument]]`, its answer `[1, message id, error, result]`,
a notification `[2, label, arguments]`. Kong has one request under way on a connection and waits for its
answer.

Lua strings need not be UTF-8 (a caller may send any byte in a header), so text is decoded and encoded with
`surrogateescape`: such a byte arrives as a lone surrogate and goes back as the byte that it was.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack

MULTIPLEXED = "multiplexed"
"""The notification that requests on this connection do not wait for each other. Kong's never comes with
it."""

IDENTIFY = "server.Identify"
"""What one plugin server asks another: `{"Pid": process id, "Gateway": process id of what it was started by}`. Kong
does not ask."""

READ_AHEAD = 4096
"""Bytes that a decoder sets aside at first."""

REQUEST = 0
NOTIFICATION = 2

decode: Callable[[bytes], Any] = partial(
    msgpack.unpackb, strict_map_key=False, unicode_errors="surrogateescape"
)
encode: Callable[[Any], bytes] = msgpack.Packer(unicode_errors="surrogateescape").pack

_ANSWER = struct.Struct(">3sIc").pack
_EVENT = struct.Struct(">9sQ").pack


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


# A PDK call is the answer `[1, id, nil, {"Data": {"Method": …, "Args": […]}, "EventId": …}]`. It is put
# together from parts of which all but the message id and the arguments are made once: a third of the time
# of packing the whole.


def answer_head(message_id: Any) -> bytes:
    """The start of an answer without an error, up to its result."""
    try:
        return _ANSWER(b"\x94\x01\xce", message_id, b"\xc0")
    except struct.error:
        return b"\x94\x01" + encode(message_id) + b"\xc0"


def call_head(method: str) -> bytes:
    """The start of a result that asks Kong for a PDK call, up to its arguments."""
    return b"\x82\xa4Data\x82\xa6Method" + encode(method) + b"\xa4Args"


def event_tail(event_id: int) -> bytes:
    """The end of a result: the event it belongs to."""
    return _EVENT(b"\xa7EventId\xcf", event_id)


END_OF_HANDLER = b"\x82\xa4Data" + encode("ret")
