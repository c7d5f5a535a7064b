"""The FutureSMS stub: its process, and the client of its controls."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from requests import Response, Session

from kong.embedded.child import Child

from .authority import ServerCertificate

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
SENDS = "/api/v1/sms/sends"
USERNAME = "yeastar-gateway"
PASSWORD = "stub-password"


class StubClient:
    """What a test reads and switches at the stub (`upstream_stub/controls.py`)."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = Session()
        self._http.trust_env = False

    def orders(self, last: int | None = None) -> list[dict[str, Any]]:
        """The accepted orders with every field received, newest last."""
        rows: list[dict[str, Any]] = self._get("orders", {"last": last})
        return rows

    def requests(self, path: str | None = None, last: int | None = None) -> list[dict[str, Any]]:
        """What came in, newest last: `method`, `path`, `query`, `headers` (lower-case names), `body` (text)."""
        rows: list[dict[str, Any]] = self._get("requests", {"path": path, "last": last})
        return rows

    def status(self) -> dict[str, Any]:
        """Counters: `requests`, `orders`, `calls` (`"POST /api/v1/sms/sends 202"` → count), `faults`."""
        counters: dict[str, Any] = self._get("status", {})
        return counters

    def count(self, call: str) -> int:
        """How many requests came to `POST /api/v1/sms/sends`, whatever their answer."""
        return sum(n for key, n in self.status()["calls"].items() if key.rpartition(" ")[0] == call)

    def behave(self, **behaviour: Any) -> None:
        """What to do with the next `times` (1) requests: `status`, `body`, `headers`, `delay_ms`,
        `drop_connection`, `path` …, see `upstream_stub/faults.py`."""
        self._call("PUT", "behaviour", behaviour)

    def behave_well(self) -> None:
        self._call("DELETE", "behaviour")

    def expire_tokens(self, *, refresh: bool = False) -> int:
        """Every access token (and refresh token) is out of time. Returns how many were alive."""
        return int(self._call("POST", "expire-tokens", {"refresh": refresh}).json()["expired"])

    def revoke_tokens(self) -> None:
        """Every token is unknown."""
        self._call("POST", "revoke-tokens")

    def tokens(self) -> list[str]:
        """Every token that is remembered, dead or alive."""
        return list(self._get("tokens", {})["tokens"])

    def token_life(self, **seconds: float) -> None:
        """`access_seconds` and `refresh_seconds` of the tokens that are issued from now on."""
        self._call("PUT", "tokens", seconds)

    def merchant(self, username: str, **changes: Any) -> None:
        """Add a merchant (`password`), or change one (`password`, `active`)."""
        self._call("PUT", "merchants", {"username": username, **changes})

    def read_certificate(self) -> None:
        """Connections that come now see what its files of certificate and key hold now."""
        self._call("POST", "read-certificate")

    def reports(self, last: int | None = None) -> dict[str, Any]:
        """Delivery reports: `settings`, `waiting` (orders), `counts`; the `last` calls as `calls`."""
        overview: dict[str, Any] = self._get("reports", {"last": last})
        return overview

    def report(self, **settings: Any) -> None:
        """How orders end from now on, and how that is reported: see `upstream_stub/reports.py`."""
        self._call("PUT", "reports", settings)

    def clear_orders(self) -> None:
        self._call("DELETE", "orders")

    def clear_requests(self) -> None:
        self._call("DELETE", "requests")

    def reset(self) -> None:
        """As at the start: no tokens, orders, requests, faults; the first merchants."""
        self._call("POST", "reset")

    def _get(self, name: str, query: dict[str, Any]) -> Any:
        return self._call("GET", name, query={k: v for k, v in query.items() if v is not None}).json()

    def _call(
        self, method: str, name: str, given: object = None, query: dict[str, Any] | None = None
    ) -> Response:
        answer = self._http.request(
            method, f"{self.url}/__stub__/{name}", params=query, json=given, timeout=60
        )
        assert answer.status_code < 300, answer.text
        return answer


class StubServer(StubClient):
    """A stub process of the suite's own, on a free port that it keeps from start to start."""

    def __init__(
        self,
        directory: Path,
        *,
        options: Sequence[str] = (),
        tls: ServerCertificate | None = None,
        trusted: Path | None = None,
    ) -> None:
        """`tls`: the stub listens at `tls_url` too, and shows this certificate there. `trusted`: whom it believes where
        it sends reports; default: the system's bundle."""
        self._environment = {**os.environ, **({"SSL_CERT_FILE": str(trusted)} if trusted else {})}
        self._log = directory / "stub.log"
        self._options = list(options)
        if tls is not None:
            self._options += ["--tls-certificate", str(tls.chain), "--tls-key", str(tls.key)]
        self._tls_listen = "127.0.0.1:0" if tls is not None else None
        self._child, url, tls_url = self._start("127.0.0.1:0")
        self.tls_url = tls_url
        """With the host name `localhost`; empty where it does not speak TLS."""
        if tls_url:
            self._tls_listen = tls_url.replace("https://localhost", "127.0.0.1")
        super().__init__(url)

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def pid(self) -> int:
        return self._child.pid

    def kill(self) -> None:
        """SIGKILL: nobody listens at its address, and its memory is gone."""
        self._child.kill()

    def start(self) -> None:
        """Start it again at the same address."""
        if not self.alive:
            self._child, *_ = self._start(self.url.removeprefix("http://"))

    def pause(self) -> None:
        """SIGSTOP: it takes connections and answers nothing."""
        self._child.suspend()

    def resume(self) -> None:
        self._child.resume()

    def stop(self) -> None:
        self._child.stop()

    def _start(self, listen: str) -> tuple[Child, str, str]:
        tls = ["--tls-listen", self._tls_listen] if self._tls_listen else []
        child = Child(
            "upstream_stub",
            [sys.executable, "-m", "upstream_stub", "--listen", listen, *tls, *self._options],
            log=self._log,
            environment=self._environment,
            directory=ROOT,
        )
        ready = child.wait_for(r"^upstream_stub ready (\S+)(?: https://\S+:(\d+))?", 30)
        return child, ready[1], f"https://localhost:{ready[2]}" if ready[2] else ""
