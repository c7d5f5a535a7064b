"""One connection to one Redis server, shared by all greenlets that wait for a result."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.monkey import is_module_patched
from redis.connection import Connection
from redis.exceptions import (
    AskError,
    ConnectionError,
    InvalidResponse,
    NoScriptError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from .limiter import LimiterCounters
from .settings import RateLimits, RedisSettings
from .tls import TlsConnection
from .window import RateLimitResult

log = logging.getLogger(__name__)

SCRIPT = files(__package__).joinpath("sliding_window.lua").read_bytes()
_SHA = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()

# A connection that was idle for longer may have been dropped in silence by what stands between: it is asked first.
_TRUSTED_SECONDS = 1.0

# The kernel notices a connection that is gone after half a minute, and what stands between sees it used.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}

Answer = RateLimitResult | Exception
"""A result; or why there is none: AskError and MovedError, any other RedisError, OSError."""


class ScriptCall:
    """What one request asks of Redis, and the place where its greenlet waits for the answer.

    `longest_wait` is that of the request for its turn, in microseconds; `deadline` is when to have given up, on
    `time.monotonic()`; `asking` is for a node of a Redis Cluster to which
    the key is just being moved.
    """

    __slots__ = ("answer", "asking", "deadline", "key", "limits", "longest_wait")

    def __init__(
        self, key: str, limits: RateLimits, longest_wait: int, deadline: float, asking: bool = False
    ) -> None:
        self.key = key
        self.limits = limits
        self.longest_wait = longest_wait
        self.deadline = deadline
        self.asking = asking
        self.answer: AsyncResult[Answer] = AsyncResult()


class SharedConnection:
    """Asks one Redis server, in the name of all greenlets, over one connection.

    Whoever finds it idle carries out an exchange; those who come meanwhile go together into the next one. redis-py
    makes the connection (TLS, AUTH, SELECT) and speaks the protocol; its client and pool would take more time than
    all the rest of an accepted request.

    If the server has closed an established connection, it is connected to and asked once more. What it had counted
    before it did is then counted twice, which errs on the safe side. A connection that was idle is sent a PING first:
    without an answer in a quarter of the time limit it is made anew.

    Where a server does not tell scripts the time, this process tells its own.
    """

    def __init__(self, settings: RedisSettings, counters: LimiterCounters) -> None:
        self._counters = counters
        self._connection = _connection(settings)
        self._connected = False
        self._grace = settings.timeout_ms / 1000 / 4
        self._busy = False
        self._waiting: list[ScriptCall] = []
        self._unread: deque[ScriptCall] = deque()
        self._script_unknown: list[ScriptCall] = []
        self._time_unknown: list[ScriptCall] = []
        self._tells_time = False
        self._refused = False
        self._used = 0.0

    def ask(self, call: ScriptCall) -> Answer:
        """Wait for the answer, at most until the call's deadline."""
        if self._busy:
            self._waiting.append(call)
        else:
            self._busy = True
            try:
                self._serve([call])
            finally:
                self._pass_on()
        answer: Answer = call.answer.get()
        return answer

    def _pass_on(self) -> None:
        """Let the next exchange begin, for all who have come since this one began."""
        if self._waiting:
            gevent.spawn(self._serve_waiting)
        else:
            self._busy = False

    def _serve_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            self._serve(batch)
        finally:
            self._pass_on()

    def _serve(self, batch: list[ScriptCall]) -> None:
        try:
            self._exchange(batch)
        except Exception as error:  # noqa: BLE001  whatever it was, nobody may wait for ever
            self._disconnect()
            failed, self._waiting = batch + self._waiting, []
            for call in _unanswered(failed):
                call.answer.set(error)
        except BaseException:
            # The greenlet that was to serve all was killed: somebody else has to.
            self._disconnect()
            self._waiting = _unanswered(batch) + self._waiting
            raise

    def _exchange(self, batch: list[ScriptCall]) -> None:
        """Have all of the batch answered before the first deadline in it."""
        patience = min([call.deadline for call in batch]) - time.monotonic()
        if patience <= 0:
            # An exchange that fails takes all who wait with it, so nobody waits that long for one to end: it was this
            # process that was busy with something else, which is no reason to think that Redis is away.
            patience = self._grace
        if not _within(patience, lambda: self._put(batch)):
            raise TimeoutError("no answer in time")
        if self._refused:
            # A master become a replica, a full or a loading one: by now another server may have the address.
            self._disconnect()

    def _put(self, batch: list[ScriptCall]) -> None:
        if self._connected and time.monotonic() - self._used > _TRUSTED_SECONDS and not self._is_alive():
            self._disconnect()
        established = self._connected
        try:
            self._send(batch)
        except ConnectionError:
            if not established:
                raise
            self._disconnect()
            self._send(_unanswered(batch))
        if self._script_unknown:
            unknown, self._script_unknown = self._script_unknown, []
            self._counters.script_loads += 1
            self._send(unknown, with_script=True)
        if self._time_unknown:
            unknown, self._time_unknown = self._time_unknown, []
            self._tells_time = True
            self._send(unknown)
        self._used = time.monotonic()

    def _is_alive(self) -> bool:
        """Whether the server answers on the connection; whatever it says."""
        try:
            return _within(self._grace, self._ping)
        except (OSError, RedisError):
            return False

    def _ping(self) -> None:
        self._connection.send_packed_command([_PING])
        self._reply()

    def _send(self, calls: list[ScriptCall], with_script: bool = False) -> None:
        if not self._connected:
            self._connection.connect()
            self._connected = True
            self._counters.redis_connections += 1
        commands = []
        for call in calls:
            if call.asking:
                commands.append(_ASKING)
            commands.append(self._command(call, with_script))
        self._connection.send_packed_command([b"".join(commands)])
        self._counters.redis_round_trips += 1
        self._unread.extend(calls)
        self._read()

    def _command(self, call: ScriptCall, with_script: bool) -> bytes:
        if with_script or self._tells_time:
            now = (b"%d" % (time.time_ns() // 1000),) if self._tells_time else ()
            return _words(
                *((b"EVAL", SCRIPT) if with_script else (b"EVALSHA", _SHA)),
                *_arguments(call.key, call.limits, call.longest_wait),
                *now,
            )
        return _evalsha(call.key, call.limits, call.longest_wait)

    def _read(self) -> None:
        while self._unread:
            call = self._unread[0]
            reply = self._reply()
            if reply == b"OK" and call.asking:
                continue  # that was the answer to ASKING
            self._unread.popleft()
            if isinstance(reply, NoScriptError):
                self._script_unknown.append(call)
            elif isinstance(reply, bytes):
                allowed, *numbers = map(int, reply.split())
                call.answer.set(RateLimitResult(allowed == 1, *numbers))
            elif (
                isinstance(reply, ResponseError) and str(reply).startswith("NOTIME") and not self._tells_time
            ):
                if not self._time_unknown:
                    log.warning(
                        "Redis %s:%s does not tell scripts the time (%s): each node goes by its own clock",
                        self._connection.host,
                        self._connection.port,
                        str(reply).removeprefix("NOTIME "),
                    )
                self._time_unknown.append(call)
            elif isinstance(reply, ResponseError):
                self._refused = self._refused or not isinstance(reply, AskError)
                call.answer.set(reply)
            else:
                raise InvalidResponse(f"no result but {reply!r}")

    def _reply(self) -> object:
        try:
            return self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error.with_traceback(None)

    def _disconnect(self) -> None:
        self._connection.disconnect()
        self._connected = self._refused = False
        self._unread.clear()
        self._script_unknown.clear()
        self._time_unknown.clear()


def _connection(settings: RedisSettings) -> Any:
    """A redis-py connection that is not yet made."""
    # `_within` breaks off whatever greenlets wait for; a socket's own time-out on top would be paid for at each call.
    seconds = None if is_module_patched("socket") else settings.timeout_ms / 1000
    arguments: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "username": settings.username,
        "password": settings.password,
        "db": settings.database,
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "socket_keepalive": True,
        "socket_keepalive_options": _KEEPALIVE,
        "protocol": 2,
    }
    kind: Any = Connection
    if settings.ssl:
        kind = TlsConnection
        arguments |= {"ssl_verify": settings.ssl_verify, "ca_certificates": settings.ca_certificates}
    return kind(**arguments)


def _unanswered(batch: list[ScriptCall]) -> list[ScriptCall]:
    return [call for call in batch if not call.answer.ready()]


def _within(seconds: float, action: Callable[[], None]) -> bool:
    """Run `action`; False if it took too long and was broken off."""
    timer = gevent.Timeout.start_new(seconds)
    try:
        action()
    except gevent.Timeout as timeout:
        if timeout is not timer:
            raise
        return False
    finally:
        timer.close()
        # Its frames know it, and it knows them: they and their sockets would wait for the garbage collector.
        timer.__traceback__ = None
    return True


def _words(*words: bytes) -> bytes:
    """A command in Redis's protocol."""
    return b"".join([b"*%d\r\n" % len(words), *[b"$%d\r\n%s\r\n" % (len(word), word) for word in words]])


_ASKING = _words(b"ASKING")
_PING = _words(b"PING")


@lru_cache(maxsize=10_000)
def _evalsha(key: str, limits: RateLimits, longest_wait: int) -> bytes:
    return _words(b"EVALSHA", _SHA, *_arguments(key, limits, longest_wait))


def _arguments(key: str, limits: RateLimits, longest_wait: int) -> list[bytes]:
    numbers = [b"%d" % number for window in limits.windows for number in window]
    return [b"1", key.encode(), b"%d" % longest_wait, *numbers]
