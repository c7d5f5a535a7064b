"""HTTP to one server, over connections that are kept for the next call."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import gevent
from gevent.monkey import is_module_patched
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url
from urllib3.util.wait import wait_for_read

from ..trust import TrustError, remember_session, trust_store
from .answer import MAX_BODY
from .timer import later

# A connection is kept this long, in seconds: servers close idle ones after 5 s and more.
KEPT_FOR = 4.0
_KEPT = 32

# So many connections to a server are made at once: each handshake takes 2 ms of the event loop.
_CONNECTING = 8

# When a server has closed a kept connection without a word, none is used for an order for so many seconds.
_DISTRUSTED_FOR = 600.0
_CHUNK = 16384

# A name is looked up again after so many seconds; a storm of orders must not become one of look-ups.
_ADDRESSES_FOR = 5.0

# What urllib3, http.client, the socket and the TLS layer raise; a broken answer can be a ValueError.
_FAILURES = (HTTPError, HTTPException, OSError, ValueError)


# An iteration of the event loop begins no further piece of work, of a millisecond at most, after so many seconds; but
# nobody gives way more often than so many times.
_HELD_UP = 0.003
_GIVEN_WAY = 20

_PORTS = {"http": 80, "https": 443}


class Failed(Exception):
    """No whole answer. The message says why, and quotes nothing of the request."""


class Stale(Failed):
    """The server had closed the kept connection, or did so before a word of the answer came."""


@dataclass(frozen=True)
class Response:
    """A whole answer; `headers` are found in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Connections:
    """The way to one server. No redirect is followed, no proxy or .netrc of the environment is used."""

    def __init__(self, scheme: str, host: str, port: int, ca_certificates: str | None = None) -> None:
        self._scheme, self._host, self._port = scheme, host, port
        self._trust = trust_store(ca_certificates) if scheme == "https" else None
        self._connecting = threading.BoundedSemaphore(_CONNECTING)
        self._kept: deque[tuple[float, HTTPConnection]] = deque()
        self._distrusted_until = 0.0
        self._addresses: list[str] = []
        self._addresses_until = 0.0
        host = f"[{host}]" if ":" in host else host
        self._named = host if port == _PORTS[scheme] else f"{host}:{port}"

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout: float, idle: float = KEPT_FOR
    ) -> Response:
        """Make one call, within `timeout` seconds from looking up the name to the last byte of the answer.

        On the connection of an earlier call that is idle for `idle` seconds at most, or else on a new one.
        Raises Failed, and Stale only for a connection that was used before.
        """
        deadline = time.monotonic() + timeout
        connection: HTTPConnection | None = None
        reused = answered = False
        try:
            # A socket's limit is for each of its calls; together they have no end.
            with gevent.Timeout(timeout, TimeoutError):
                connection = self._left_over(idle)
                reused = connection is not None
                if connection is None:
                    connection = self._new(timeout)
                headers = {"Host": self._named, **headers}
                _give_way()
                connection.request("POST", path, body=body, headers=headers, preload_content=False)
                wait_for_read(connection.sock, timeout)
                _give_way()
                response = connection.getresponse()
                answered = True
                content = _read_within(response, deadline)
        except BaseException as failure:
            if connection is not None:
                connection.close()
            if not isinstance(failure, _FAILURES):
                raise
            if reused and not answered and isinstance(failure, (ConnectionError, ssl.SSLError)):
                self._distrusted_until = time.monotonic() + _DISTRUSTED_FOR
                raise Stale(self._said(failure)) from None
            raise Failed(self._said(failure)) from None
        remember_session(connection.sock)
        self._keep(connection)
        return Response(response.status, response.headers, content)

    def _new(self, timeout: float) -> HTTPConnection:
        """A connection to the first address of the server that takes one."""
        addresses = self._looked_up()
        for address in addresses:
            connection = self._unconnected(address, timeout)
            try:
                with self._connecting:
                    _give_way()
                    connection.connect()
                return connection
            except BaseException as failure:
                connection.close()
                refused = isinstance(failure, (HTTPError, OSError)) and not isinstance(failure, ssl.SSLError)
                if not refused or address == addresses[-1]:
                    self._addresses_until = 0.0
                    raise
        raise OSError("the name has no address")

    def _unconnected(self, address: str, timeout: float) -> HTTPConnection:
        if self._trust is None:
            return HTTPConnection(address, self._port, timeout=timeout)
        context = self._trust.context()
        return HTTPSConnection(
            address, self._port, timeout=timeout, ssl_context=context, server_hostname=self._host
        )

    def _looked_up(self) -> list[str]:
        if time.monotonic() >= self._addresses_until:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
            self._addresses_until = time.monotonic() + _ADDRESSES_FOR
        return self._addresses

    def _left_over(self, idle: float) -> HTTPConnection | None:
        context = None if self._trust is None else self._trust.context()
        now = time.monotonic()
        if idle < KEPT_FOR and now < self._distrusted_until:
            return None
        while self._kept and now - self._kept[-1][0] <= idle:
            _, connection = self._kept.pop()
            believed = context is None or getattr(connection.sock, "context", None) is context
            if believed and connection.is_connected:
                return connection
            connection.close()
        return None

    def _keep(self, connection: HTTPConnection) -> None:
        if connection.sock is None:  # the server has said that it closes it
            return
        self._kept.append((time.monotonic(), connection))
        if len(self._kept) > _KEPT:
            self._kept.popleft()[1].close()
        if len(self._kept) == 1:
            later(KEPT_FOR, self._close_old)

    def _close_old(self) -> None:
        while self._kept and time.monotonic() - self._kept[0][0] >= KEPT_FOR:
            self._kept.popleft()[1].close()
        if self._kept:
            later(KEPT_FOR, self._close_old)

    def _said(self, failure: BaseException) -> str:
        """What went wrong. The messages of most exceptions are left out: some quote the request."""
        cause = failure.__cause__ or failure.__context__ if isinstance(failure, HTTPError) else None
        for error in (failure, cause):
            if isinstance(error, TrustError):
                return str(error)
            if isinstance(error, ssl.SSLCertVerificationError):
                trusted = self._trust.path if self._trust else ""
                return f"{self._host} is not trusted: {error.verify_message} (trusted is {trusted})"
            if isinstance(error, ssl.SSLError) and error.reason:
                return f"TLS failed: {error.reason}"
        return type(failure).__name__


_shared: WeakValueDictionary[tuple[str, str, int, str | None], Connections] = WeakValueDictionary()


def connections_to(base_url: str, ca_certificates: str | None = None) -> Connections:
    """The connections of this process to a server, whoever shares it. Raises Failed for what is no address."""
    try:
        url = parse_url(base_url)
        scheme, host = url.scheme or "", (url.host or "").strip("[]")
        key = scheme, host, url.port or _PORTS[scheme], ca_certificates
    except (HTTPError, KeyError) as problem:
        raise Failed(f"the address cannot be used: {type(problem).__name__}") from None
    shared = _shared.get(key)
    if shared is None:
        shared = _shared[key] = Connections(*key)
    return shared


def path_of(base_url: str) -> str:
    """The path of an address, without a slash at its end; empty where it has none."""
    return urlsplit(base_url).path.rstrip("/")


def _give_way() -> None:
    """Let others run first, where the event loop has carried on for a while without looking for what is new.

    Answers that have come together would else be read one after the other, for as long as that takes.
    """
    if not is_module_patched("socket"):
        return
    loop = gevent.get_hub().loop
    for _ in range(_GIVEN_WAY):
        if time.time() - loop.now() < _HELD_UP:
            return
        gevent.sleep(0)


def _read_within(response: BaseHTTPResponse, deadline: float) -> bytes:
    """Read a body that may trickle in: time and size are bounded as a whole."""
    parts: list[bytes] = []
    size = 0
    for part in response.stream(_CHUNK, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise ValueError("the answer is too long")
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(parts)
