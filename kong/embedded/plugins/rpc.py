"""Kong's side of the plugin-server protocol: MessagePack RPC over a Unix socket.

A call takes an idle connection of the pool, or opens one, and gives it back with the answer. As nginx's pool does
(`ngx_http_lua_socket_tcp.c`), it hands out the connection that was used last: while one plugin server takes over from
another, what one of them has answered goes on with the same one. The steps of one event still travel over several
connections when something comes between them; a plugin server must not tie an event to a connection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import msgpack

from kong.embedded.http.exchange import BodyError, Exchange
from kong.embedded.pdk import ABSENT, FUNCTIONS, absent, invoke
from kong.embedded.phases import LuaError, PhaseEnd
from kong.embedded.values import length_with_holes, narrow, octets, text, widen, without_nils

POOL_SIZE = 256
IDLE_SECONDS = 60.0

# on_answer(error, result): `error` is what the server said, or why there is no answer
OnAnswer = Callable[[Any, Any], None]

_STEPS = {
    "kong.client.get_credential": "plugin.StepCredential",
    "kong.client.load_consumer": "plugin.StepConsumer",
    "kong.client.get_consumer": "plugin.StepConsumer",
    "kong.client.authenticate": "plugin.StepCredential",
    "kong.router.get_route": "plugin.StepRoute",
    "kong.router.get_service": "plugin.StepService",
    "kong.request.get_query": "plugin.StepMultiMap",
    "kong.request.get_headers": "plugin.StepMultiMap",
    "kong.response.get_headers": "plugin.StepMultiMap",
    "kong.service.response.get_headers": "plugin.StepMultiMap",
}
_MULTI_MAPS = frozenset(name for name, step in _STEPS.items() if step == "plugin.StepMultiMap")
_RAW_BODIES = frozenset(
    ("kong.request.get_raw_body", "kong.response.get_raw_body", "kong.service.response.get_raw_body")
)
_WORD = re.compile(r"\w+")

# What has a name and is no function: tables, versions, and what only Lua can call.
_NOT_CALLABLE = frozenset(
    (
        *(
            "",
            "get_saved_req_data",
            "kong",
            "kong.log.new",
            "kong.table.new",
            "kong.version",
            "kong.version_num",
        ),
        *("kong.configuration", "kong.ctx", "kong.ctx.plugin", "kong.db", "kong.service", "kong.table"),
        *("kong.tracing", *(name.rpartition(".")[0] for name in FUNCTIONS)),
    )
)

_packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogateescape")


def pack(message: Any) -> bytes:
    """A message as Kong packs it. Raises TypeError, ValueError or OverflowError for what cannot be packed."""
    try:
        packed: bytes = _packer.pack(message)
    except BaseException:
        _packer.reset()
        raise
    return packed


class Connection(asyncio.Protocol):
    """One connection to a plugin server. At most one call is under way on it."""

    def __init__(self, client: RpcClient) -> None:
        self._client = client
        self._unpacker = msgpack.Unpacker(
            raw=False, unicode_errors="surrogateescape", strict_map_key=False, max_buffer_size=0
        )
        self._transport: asyncio.Transport | None = None
        self._on_answer: OnAnswer | None = None
        self._message_id = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def call(self, message_id: int, packed: bytes, on_answer: OnAnswer) -> None:
        assert self._transport is not None
        self._message_id = message_id
        self._on_answer = on_answer
        self._transport.write(packed)
        self._deadline = self._client.loop.time() + self._client.read_timeout
        if self._timer is not None and self._timer.when() > self._deadline:
            # It was waiting for the end of an idle time, which is longer.
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._client.loop.call_later(self._client.read_timeout, self._on_timer)

    def _on_timer(self) -> None:
        # One timer serves many calls: it looks at the deadline of the call that is under way when it fires.
        self._timer = None
        loop = self._client.loop
        if self._on_answer is None:
            idle_until = self._deadline - self._client.read_timeout + IDLE_SECONDS
            if idle_until <= loop.time():
                self.close()
            else:
                self._timer = loop.call_at(idle_until, self._on_timer)
        elif self._deadline <= loop.time():
            self._fail()
        else:
            self._timer = loop.call_at(self._deadline, self._on_timer)

    def data_received(self, data: bytes) -> None:
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                if message[0] == 2:
                    self._client.notified(message[1], message[2])
                elif message[0] == 1 and message[1] == self._message_id and self._on_answer is not None:
                    on_answer, self._on_answer = self._on_answer, None
                    self._client.release(self)
                    on_answer(message[2], message[3])
                else:
                    raise ValueError("unexpected RPC response")
        except (ValueError, IndexError, TypeError, KeyError, msgpack.UnpackException):
            self._fail(LuaError("unexpected RPC response ID from Go plugin server"))

    def eof_received(self) -> None:
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail()

    def _fail(self, reason: Any = "no data") -> None:
        self.close()
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            on_answer(reason, None)

    def close(self) -> None:
        self.closed = True
        self._client.forget(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()


class RpcClient:
    """What one worker has with one plugin server: message ids, and a pool of connections."""

    def __init__(self, socket_path: str, connect_timeout: float, read_timeout: float) -> None:
        self.socket_path = socket_path
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.loop = asyncio.get_running_loop()
        self.notified: Callable[[Any, Any], None] = lambda _label, _args: None
        self._message_id = 0
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start_call(self, method: str, argument: Any, on_answer: OnAnswer) -> None:
        """Send a request; `on_answer` is called once, later.

        Raises LuaError when the argument cannot be packed; the message id is spent all the same, as Kong spends it.
        """
        self._message_id += 1
        message_id = self._message_id
        try:
            packed = pack([0, message_id, method, [argument]])
        except (TypeError, ValueError, OverflowError) as problem:
            raise LuaError(f"pack: {problem}") from problem
        if self._idle:
            self._idle.pop().call(message_id, packed, on_answer)
            return
        task = self.loop.create_task(self._connect_and_call(message_id, packed, on_answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect_and_call(self, message_id: int, packed: bytes, on_answer: OnAnswer) -> None:
        try:
            connecting = self.loop.create_unix_connection(lambda: Connection(self), self.socket_path)
            _, connection = await asyncio.wait_for(connecting, self.connect_timeout)
        except (OSError, asyncio.TimeoutError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else "timeout"
            on_answer(f"trying to connect: {reason.lower()}", None)
            return
        self._open.add(connection)
        connection.call(message_id, packed, on_answer)

    async def call(self, method: str, argument: Any) -> Any:
        """The result. Raises RpcError with what the server, or the lack of one, says."""
        future: asyncio.Future[Any] = self.loop.create_future()

        def on_answer(error: Any, result: Any) -> None:
            if future.done():
                return
            if isinstance(error, LuaError):
                future.set_exception(error)
            elif error is not None:
                future.set_exception(RpcError(error))
            else:
                future.set_result(result)

        self.start_call(method, argument, on_answer)
        return await future

    def release(self, connection: Connection) -> None:
        if connection.closed:
            return
        self._idle.append(connection)
        if len(self._idle) > POOL_SIZE:
            self._idle[0].close()

    def forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        for connection in list(self._open):
            connection.close()


class RpcError(Exception):
    """A call without a result: `str()` is the reason."""


class Event:
    """One phase of one plugin instance: HandleEvent, then a step for every PDK call, until the handler returns."""

    __slots__ = ("_client", "_event_id", "_exchange", "_future", "_method")

    def __init__(self, client: RpcClient, exchange: Exchange) -> None:
        self._client = client
        self._exchange = exchange
        self._event_id: Any = None
        self._method = ""
        self._future: asyncio.Future[str | None] = client.loop.create_future()

    def run(self, instance_id: Any, phase: str) -> asyncio.Future[str | None]:
        """Resolves to None, or to the reason why the event broke off.

        Raises LuaError for a PDK call that failed, PhaseEnd for one that ended the phase, BodyError for one that
        wanted a body which cannot be read; of none of them the plugin server hears anything.
        """
        self._client.start_call(
            "plugin.HandleEvent", {"InstanceId": instance_id, "EventName": phase}, self._on_first
        )
        return self._future

    def _on_first(self, error: Any, result: Any) -> None:
        if error is None and isinstance(result, dict):
            self._event_id = result.get("EventId")
        self._on_step(error, result)

    def _on_step(self, error: Any, result: Any) -> None:
        if self._future.done():
            return
        if error is not None:
            if isinstance(error, LuaError):
                self._future.set_exception(error)
            else:
                self._future.set_result(_words(error))
            return
        data = result.get("Data") if isinstance(result, dict) else None
        if data == "ret":
            self._future.set_result(None)
            return
        try:
            self._method = data["Method"]  # type: ignore[index]
            args = arguments(data.get("Args") or [])  # type: ignore[union-attr]
        except (TypeError, KeyError, AttributeError):
            self._future.set_exception(LuaError("attempt to index field 'Data' (a nil value)"))
            return
        function = FUNCTIONS.get(self._method)
        if function is not None and function.reads_body and self._exchange.body is None:
            task = self._client.loop.create_task(self._after_body(args))
            self._exchange.worker.keep(task)
            return
        self._step(args)

    async def _after_body(self, args: list[Any]) -> None:
        try:
            await self._exchange.read_body()
        except (
            BodyError,
            ConnectionError,
        ) as problem:  # nginx ends the request; the plugin server hears no more
            self._future.set_exception(problem)
            return
        self._step(args)

    def _step(self, args: list[Any]) -> None:
        exchange, method = self._exchange, self._method
        function = FUNCTIONS.get(method)
        try:
            if function is None and method == "kong.log" and args:  # a table, but one that can be called
                function = FUNCTIONS["kong.log.notice"]
            if function is not None:
                data = result(method, invoke(exchange, function, args))
            elif (of_a_plugin := exchange.worker.lua.named(method, args)) is not None:
                data = result(method, of_a_plugin.run(exchange))
            elif method in ABSENT:
                raise absent(method)
            else:
                _check_name(method)
                exchange.worker.log.error(f"[{exchange.plugin.name}] could not find pdk method: {method}")
                data = None
            payload = {"EventId": self._event_id}
            if data is not None:
                payload["Data"] = data
            self._client.start_call(_STEPS.get(method, "plugin.Step"), payload, self._on_step)
        except (LuaError, PhaseEnd) as end:
            self._future.set_exception(end)


def _check_name(method: str) -> None:
    """A name that Kong does not know is nothing to worry about; one that names something else than a function is."""
    parts = _WORD.findall(method)
    prefixes = [".".join(parts[:count]) for count in range(1, len(parts))]
    if method in _NOT_CALLABLE or any(prefix in FUNCTIONS for prefix in prefixes):
        raise LuaError(f"attempt to call or index '{method}'")


def arguments(args: list[Any]) -> list[Any]:
    """Arguments as Lua's `unpack` passes them on: where a nil leaves a hole, those behind it may be lost."""
    if None in args:
        args = args[: length_with_holes(args)]
    return [without_nils(narrow(arg)) for arg in args]


def result(method: str, value: Any) -> Any:
    """A PDK result as Kong packs it; of several values only the first arrives."""
    if isinstance(value, tuple):
        value = value[0]
    if method in _MULTI_MAPS:
        return {
            widen(name): [] if item is True else [widen(item)] if isinstance(item, str) else widen(item)
            for name, item in (value or {}).items()
        }
    if method in _RAW_BODIES:
        return octets(value) if value is not None else _Unpackable()
    if isinstance(value, bytes):
        return widen(text(value))
    return widen(value)


class _Unpackable:
    """A nil where Kong packs binary data: packing it fails."""


def _words(error: Any) -> str:
    return error if isinstance(error, str) else repr(error)
