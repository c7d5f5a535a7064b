"""Whom a TLS connection of the adapter believes: one SSL context a bundle of certificates, for the life of the process.

Reading the system's bundle takes 20 ms and more, so nobody does it for a connection of his own. The Merchant API and
Redis ask here, each for its `ca_certificates`: a PEM file, or None for the system's bundle, else certifi's.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

import certifi
import gevent
from gevent.monkey import is_module_patched

log = logging.getLogger(__name__)

T = TypeVar("T")

# Where distributions keep the bundle, after OpenSSL's own place and SSL_CERT_FILE (the list of Go's crypto/x509).
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

# A TLS session is resumed for this long, in seconds; then the certificate is looked at again.
_RESUMED_FOR = 600.0
_SESSIONS = 256


class TrustError(OSError):
    """A file of certificates that cannot be used; the message names it and says what is wrong."""


class _Context(ssl.SSLContext):
    """Verifies chain and host name, and resumes the last session with a server where that server still knows it."""

    _sessions: dict[tuple[str, int], tuple[float, Any]]

    def wrap_socket(self, sock: Any, *arguments: Any, **options: Any) -> Any:
        name = options.get("server_hostname")
        if name and options.get("session") is None:
            since, session = self._sessions.get(_peer(name, sock), (0.0, None))
            if session is not None and time.monotonic() - since < _RESUMED_FOR:
                options["session"] = session
        return super().wrap_socket(sock, *arguments, **options)


class TrustStore:
    """The certificates of one file, and the SSL context made of them.

    A file that changes is read again for the next connection; while it cannot be used, what was read last stands.
    """

    def __init__(self, ca_certificates: str | None = None) -> None:
        self.path = ca_certificates or default_bundle()
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._context: _Context | None = None
        self._unverified: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context of a connection that is to be made now. Raises TrustError."""
        context, seen = self._context, _identity(self.path)
        if context is not None and seen == self._seen:
            return context
        with self._lock:
            context = self._context
            if context is None or seen != self._seen:
                context = self._context = self._read(context)
                self._seen = seen
            return context

    def unverified(self) -> ssl.SSLContext:
        """A context that believes everybody, for `ssl_verify: false` alone."""
        if self._unverified is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self._unverified = context
        return self._unverified

    def _read(self, before: _Context | None) -> _Context:
        try:
            return beside_the_event_loop(lambda: _load(self.path))
        except TrustError as problem:
            if before is None:
                raise
            log.warning("%s; the certificates that were read before stay trusted", problem)
            return before


def remember_session(sock: Any) -> None:
    """Keep the TLS session of a connection, after something was read from it, for the next one to the same server."""
    context = getattr(sock, "context", None)
    if isinstance(context, _Context) and sock.server_hostname and not sock.session_reused:
        sessions = context._sessions
        if len(sessions) >= _SESSIONS:
            sessions.clear()
        sessions[_peer(sock.server_hostname, sock)] = (time.monotonic(), sock.session)


_stores: dict[str | None, TrustStore] = {}


def trust_store(ca_certificates: str | None = None) -> TrustStore:
    """The one store of this process for a file; None: the system's bundle, or certifi's where there is none."""
    store = _stores.get(ca_certificates)
    if store is None:
        store = _stores.setdefault(ca_certificates, TrustStore(ca_certificates))
    return store


def default_bundle() -> str:
    """The system's bundle of authorities; certifi's where the system has none."""
    found = ssl.get_default_verify_paths().cafile
    return found or next(filter(os.path.isfile, _BUNDLES), None) or certifi.where()


def check(ca_certificates: str) -> str | None:
    """What is wrong with a file of certificates, in words for an administrator; None: nothing."""
    try:
        trust_store(ca_certificates).context()
    except TrustError as problem:
        return str(problem)
    return None


def beside_the_event_loop(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own while the event loop goes on; without an event loop, just run it."""
    if is_module_patched("socket"):
        result: T = gevent.get_hub().threadpool.apply(work)
        return result
    return work()


def _load(path: str) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context._sessions = {}
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:  # an OSError too
        raise TrustError(f"{path} holds no certificate in PEM form") from None
    except OSError as problem:
        raise TrustError(f"{path} cannot be read: {problem.strerror}") from None
    except ValueError:  # a NUL in it
        raise TrustError(f"{path!r} is not the name of a file") from None
    # Authorities alone; a server's own certificate may be trusted as well, and shows no dates here.
    ends = [ssl.cert_time_to_seconds(str(found["notAfter"])) for found in context.get_ca_certs()]
    if ends and max(ends) < time.time():
        ended = datetime.fromtimestamp(max(ends), timezone.utc)
        raise TrustError(f"{path} holds no certificate that is valid: the last ended on {ended:%Y-%m-%d}")
    return context


def _identity(path: str) -> tuple[int, ...] | None:
    """Changes with the file, also where a link is turned to another one; None: it is not there."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _peer(server_hostname: str, sock: Any) -> tuple[str, int]:
    try:
        return server_hostname, sock.getpeername()[1]
    except (OSError, IndexError):
        return server_hostname, 0


@dataclass(frozen=True)
class Certificate:
    """One certificate of a chain. `names`: the host names and addresses that it is for."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_after: datetime


@dataclass(frozen=True)
class Chain:
    """What a TLS server shows, the server's own certificate first, and whether `bundle` vouches for it.

    `problem` is what is wrong, in OpenSSL's words; None: the chain and the host name are good.
    """

    bundle: str
    protocol: str
    certificates: tuple[Certificate, ...]
    problem: str | None


def describe(host: str, port: int, ca_certificates: str | None = None, timeout: float = 5.0) -> Chain:
    """Make a TLS connection and tell what the server has shown. `timeout` in seconds.

    Raises TrustError for a file that cannot be used, OSError where no TLS connection can be made.
    """
    store = trust_store(ca_certificates)
    try:
        return _shown(store, store.context(), host, port, timeout, None)
    except ssl.SSLCertVerificationError as failure:
        return _shown(store, store.unverified(), host, port, timeout, failure.verify_message)


def _shown(
    store: TrustStore, context: ssl.SSLContext, host: str, port: int, timeout: float, problem: str | None
) -> Chain:
    with (
        socket.create_connection((host, port), timeout) as connection,
        context.wrap_socket(connection, server_hostname=host) as tls,
    ):
        # Public from Python 3.13 on, as DER alone; this form says what is in them, from 3.10 on.
        chain = tls._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined]
        certificates = tuple(_certificate(found.get_info()) for found in chain)
        return Chain(store.path, tls.version() or "", certificates, problem)


def _certificate(info: dict[str, Any]) -> Certificate:
    end = ssl.cert_time_to_seconds(info["notAfter"])
    return Certificate(
        subject=_name(info.get("subject", ())),
        issuer=_name(info.get("issuer", ())),
        names=tuple(value for _, value in info.get("subjectAltName", ())),
        not_after=datetime.fromtimestamp(end, timezone.utc),
    )


def _name(parts: Any) -> str:
    """A distinguished name's common name, else its organisation, else what there is."""
    values = dict(pair for part in parts for pair in part)
    for key in ("commonName", "organizationName"):
        if key in values:
            return str(values[key])
    return ", ".join(map(str, values.values()))
