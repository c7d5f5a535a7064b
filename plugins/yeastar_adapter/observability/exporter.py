"""Serves the metrics where `config.metrics.listen` says: on a TCP address, or on a Unix socket."""

from __future__ import annotations

import errno
import logging
import os
import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import gevent
from gevent import socket
from kong_plugin_server.listener import CannotListen, Listener, PathInUse
from kong_plugin_server.takeover import TakeoverRule

if TYPE_CHECKING:
    from kong_plugin_server.server import Server

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between two attempts to listen, and between two looks at whether to go on."""

PATIENCE = 5.0
"""After `kong reload` the old server has so many seconds to leave the address before anything is said."""

_SCRAPES_AT_ONCE = 4
_SCRAPE_SECONDS = 10.0
_BACKLOG = 16

_TCP = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>[0-9]{1,5})")

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]

_exporters: WeakValueDictionary[str, Exporter] = WeakValueDictionary()
_server: Server | None = None


def observe(server: Server) -> None:
    """From now on the metrics are those of this plugin server too, and end with it."""
    global _server
    _server = server


def exporter_at(listen: str | None) -> Exporter | None:
    """The exporter of this process at an address, the same one for all who ask; it serves as long as one of
    them holds it.

    None without an address, and with one that is none, which is logged: messages matter more than metrics.
    """
    if listen is None or not listen.strip():
        return None
    exporter = _exporters.get(listen)
    if exporter is None:
        try:
            address = Address.parse(listen.strip())
        except ValueError as problem:
            log.warning("metrics.listen: %s; no metrics are served", problem)
            return None
        exporter = _exporters[listen] = Exporter(address)
    return exporter


@dataclass(frozen=True)
class Address:
    """Where to listen: `path` of a Unix socket, or host and port."""

    text: str
    path: str | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `127.0.0.1:9542`, `[::1]:9542` or `unix:/path`. Raises ValueError with the reason.

        Port 0 is any free one, which the log names.
        """
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path.startswith("/"):
                raise ValueError(f"'{text}' is not an absolute path")
            return cls(text, path=path)
        match = _TCP.fullmatch(text)
        if match is None or int(match["port"]) > 65535:
            raise ValueError(f"'{text}' is neither HOST:PORT nor unix:/PATH")
        return cls(text, host=match["v6"] or match["host"], port=int(match["port"]))

    def listen(self, takeover: TakeoverRule) -> Listening:
        """A listening socket at this address. Raises OSError.

        takeover: whose socket may be replaced at a path: the old server's after `kong reload`.
        """
        if self.path is not None:
            return self._listen_on_path(self.path, takeover)
        family, kind, _, _, where = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        try:
            # Connections that the old server has closed may linger.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
        return Listening(listening)

    def _listen_on_path(self, path: str, takeover: TakeoverRule) -> Listening:
        listener = Listener(path)
        try:
            listener.listen(takeover.of_any_socket)
        except CannotListen as problem:
            listener.close()
            code = errno.EADDRINUSE if isinstance(problem, PathInUse) else None
            raise OSError(code, str(problem)) from None
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=listener.socket.detach())
        return Listening(listening, listener)


@dataclass(frozen=True)
class Listening:
    """A socket that listens, and what made it, if that has a path to remove."""

    socket: Any
    listener: Listener | None = None

    def __str__(self) -> str:
        if self.listener is not None:
            return f"unix:{self.listener.path}"
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"

    @property
    def is_lost(self) -> bool:
        """Whether nobody finds it any more: its path was removed."""
        return self.listener is not None and self.listener.is_lost

    def close(self) -> None:
        if self.listener is not None:
            self.listener.withdraw()
        self.socket.close()


class Exporter:
    """Serves in the background until nobody holds it any more, or the plugin server has had a successor.

    An address that cannot be had, because it is taken or does not exist yet, is tried again and again, with
    one line in the log.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        # Whoever is to serve must not hold the exporter.
        greenlet = gevent.spawn(_serve, address, _server)
        weakref.finalize(self, greenlet.kill, block=False).atexit = False


def _serve(address: Address, server: Server | None) -> None:
    """Serve `address` until killed, but for the time in which another process has the plugin server's place."""
    while True:
        listening = _wait_for(address, server)
        web = _web_server(listening.socket, registry_application(server))
        try:
            web.start()
            log.info("metrics are served at %s", listening)
            while not _is_superseded(server) and not listening.is_lost:
                gevent.sleep(RETRY)
            if _is_superseded(server):
                log.info("metrics at %s are now served by the new plugin server", address.text)
        finally:
            listening.close()
            web.stop(timeout=0)


def _is_superseded(server: Server | None) -> bool:
    return server is not None and server.is_superseded


def _wait_for(address: Address, server: Server | None) -> Listening:
    """A listening socket, as soon as it can be had and is needed."""
    since = monotonic()
    warned = False
    takeover = server.takeover if server is not None else TakeoverRule(os.getppid() or None)
    while True:
        if _is_superseded(server):
            since = monotonic()
        else:
            try:
                return address.listen(takeover)
            except OSError as problem:
                may_pass = problem.errno == errno.EADDRINUSE and monotonic() - since < PATIENCE
                if not may_pass and not warned:
                    warned = True
                    log.warning(
                        "metrics cannot be served at %s: %s; retrying",
                        address.text,
                        problem.strerror or problem,
                    )
        gevent.sleep(RETRY)


def registry_application(server: Server | None) -> Application:
    """The metrics as a WSGI application."""
    # Imported late: most gateways export nothing, and the import costs a start 50 ms.
    from prometheus_client import make_wsgi_app

    from .metrics import registry_of

    return make_wsgi_app(registry_of(server), disable_compression=True)


def _web_server(listening: Any, application: Application) -> Any:
    from gevent.pool import Pool
    from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer

    class Handler(WSGIHandler):  # type: ignore[misc]
        """One request a connection, in bounded time: nobody may hold up the next scrape by saying nothing."""

        def handle(self) -> None:
            with gevent.Timeout(_SCRAPE_SECONDS, False):
                super().handle()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: list[tuple[str, str]]) -> Any:
            return start_response(status, [*headers, ("Connection", "close")])

        return application(environ, start)

    return WSGIServer(
        listening,
        answer,
        spawn=Pool(_SCRAPES_AT_ONCE),
        log=None,
        error_log=LoggingLogAdapter(log, logging.DEBUG),
        handler_class=Handler,
        # Else gevent would look the name up, and wait for it.
        environ={"SERVER_NAME": "yeastar-adapter"},
    )
