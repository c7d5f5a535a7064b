"""A TLS connection to Redis."""

from __future__ import annotations

from typing import Any

from redis.connection import Connection

from ..trust import trust_store


class TlsConnection(Connection):
    """redis-py's own reads all trusted certificates anew for each connection, while nobody else is served."""

    def __init__(self, ssl_verify: bool = True, ca_certificates: str | None = None, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._trust = trust_store(ca_certificates)
        self._verify = ssl_verify

    def _connect(self) -> Any:
        sock = super()._connect()  # type: ignore[no-untyped-call]
        try:
            context = self._trust.context() if self._verify else self._trust.unverified()
            return context.wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise
