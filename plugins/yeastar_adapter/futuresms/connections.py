"""HTTP to one server: connections that are made for one call, and some that are kept for the next."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import gevent
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url

from ..trust import TrustError, remember_session, trust_store
from .answer import MAX_BODY

# A kept connection is used again within this many seconds: servers close idle ones after 5 s and more.
_KEPT_FOR = 4.0
_KEPT = 4
_CHUNK = 16384

# What urllib3, http.client, the socket and the TLS layer raise; a broken answer can be a ValueError.
_FAILURES = (HTTPError, HTTPException, OSError, ValueError)


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
        self._kept: deque[tuple[float, HTTPConnection]] = deque()

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout: float, reuse: bool = False
    ) -> Response:
        """Make one call, within `timeout` seconds from looking up the name to the last byte of the answer.

        On a new connection that is closed afterwards; with `reuse` on one that an earlier call has left, where there
        is one, and it is left for the next. Raises Failed, and Stale only with `reuse`.
        """
        deadline = time.monotonic() + timeout
        connection: HTTPConnection | None = None
        reused = answered = False
        try:
            # A socket's limit is for each of its calls; together they have no end.
            with gevent.Timeout(timeout, TimeoutError):
                connection = self._left_over() if reuse else None
                reused = connection is not None
                if connection is None:
                    connection = self._new(timeout)
                connection.request("POST", path, body=body, headers=headers, preload_content=False)
                response = connection.getresponse()
                answered = True
                content = _read_within(response, deadline)
        except BaseException as failure:
            if connection is not None:
                connection.close()
            if not isinstance(failure, _FAILURES):
                raise
            stale = reused and not answered and isinstance(failure, (ConnectionError, ssl.SSLError))
            raise (Stale if stale else Failed)(self._said(failure)) from None
        remember_session(connection.sock)
        if reuse and connection.sock is not None:
            self._kept.append((time.monotonic(), connection))
            if len(self._kept) > _KEPT:
                self._kept.popleft()[1].close()
        else:
            connection.close()
        return Response(response.status, response.headers, content)

    def _new(self, timeout: float) -> HTTPConnection:
        if self._trust is None:
            return HTTPConnection(self._host, self._port, timeout=timeout)
        return HTTPSConnection(self._host, self._port, timeout=timeout, ssl_context=self._trust.context())

    def _left_over(self) -> HTTPConnection | None:
        context = None if self._trust is None else self._trust.context()
        while self._kept:
            since, connection = self._kept.pop()
            believed = context is None or getattr(connection.sock, "context", None) is context
            if believed and time.monotonic() - since < _KEPT_FOR and connection.is_connected:
                return connection
            connection.close()
        return None

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
        key = scheme, host, url.port or (443 if scheme == "https" else 80), ca_certificates
    except HTTPError as problem:
        raise Failed(type(problem).__name__) from None
    shared = _shared.get(key)
    if shared is None:
        shared = _shared[key] = Connections(*key)
    return shared


def path_of(base_url: str) -> str:
    """The path of an address, without a slash at its end; empty where it has none."""
    return urlsplit(base_url).path.rstrip("/")


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
