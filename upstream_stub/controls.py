"""The controls under `/__stub__/`: what tests and demos read and switch.

| call | what it does |
| --- | --- |
| `GET /__stub__/status` | counters: requests, orders, calls by method and path |
| `GET, DELETE /__stub__/orders` | accepted orders, newest last; `?last=N` |
| `GET, DELETE /__stub__/requests` | what came in, with headers, newest last; `?last=N`, `?path=/api/…` |
| `PUT, DELETE /__stub__/behaviour` | a fault for the next requests (`faults.py`) |
| `GET /__stub__/tokens` | every token that is remembered, dead or alive |
| `PUT /__stub__/tokens` | `{"access_seconds": 1800, "refresh_seconds": 604800}` of tokens still to come |
| `POST /__stub__/expire-tokens` | access tokens are out of time; `{"refresh": true}`: refresh tokens too |
| `POST /__stub__/revoke-tokens` | every token is unknown |
| `PUT /__stub__/merchants` | `{"username": …, "password": …, "active": true}`: new or changed |
| `POST /__stub__/read-certificate` | certificate and key are read again, for the connections that come then |
| `GET, PUT, DELETE /__stub__/reports` | how orders end, and how that is reported (`reports.py`); `?last=N`: calls |
| `POST /__stub__/reset` | everything as it was at the start |
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from .answers import Answer, as_json, error
from .faults import Fault, Faults
from .journal import Journal
from .orders import Book
from .reports import Reports, Settings
from .sessions import Sessions
from .world import Merchant

PREFIX = "/__stub__/"


class Controls:
    def __init__(
        self,
        merchants: dict[str, Merchant],
        sessions: Sessions,
        book: Book,
        reports: Reports,
        faults: Faults,
        journal: Journal,
    ) -> None:
        self._merchants = merchants
        self._at_start = [(m.username, m.password) for m in merchants.values()]
        self._life_times = (sessions.access_seconds, sessions.refresh_seconds)
        self._sessions = sessions
        self._book = book
        self._reports = reports
        self._faults = faults
        self._journal = journal
        self.read_certificate: Callable[[], None] | None = None
        """Set where the stub speaks TLS. Raises OSError."""
        self._calls: dict[tuple[str, str], Callable[[dict[str, str], Any], Answer]] = {
            ("GET", "status"): self._status,
            ("GET", "orders"): self._orders,
            ("DELETE", "orders"): self._forget_orders,
            ("GET", "requests"): self._requests,
            ("DELETE", "requests"): self._forget_requests,
            ("PUT", "behaviour"): self._behave,
            ("DELETE", "behaviour"): self._behave_well,
            ("GET", "tokens"): self._tokens,
            ("PUT", "tokens"): self._life_time,
            ("POST", "expire-tokens"): self._expire,
            ("POST", "revoke-tokens"): self._revoke,
            ("PUT", "merchants"): self._merchant,
            ("POST", "read-certificate"): self._read_certificate,
            ("GET", "reports"): self._reported,
            ("PUT", "reports"): self._report,
            ("DELETE", "reports"): self._forget_reports,
            ("POST", "reset"): self._reset,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> Answer:
        call = self._calls.get((method, path[len(PREFIX) :]))
        if call is None:
            known = ", ".join(f"{verb} {PREFIX}{name}" for verb, name in self._calls)
            return error(404, path, f"no such control; known: {known}")
        try:
            given = json.loads(body) if body else {}
            return call({name: values[-1] for name, values in parse_qs(query).items()}, given)
        except (ValueError, TypeError, RecursionError) as refusal:
            return error(400, path, str(refusal))

    def _status(self, _query: dict[str, str], _given: Any) -> Answer:
        return _ok(
            {
                "requests": self._journal.total,
                "orders": self._book.accepted,
                "calls": dict(self._journal.by_call),
                "faults": len(self._faults),
            }
        )

    def _orders(self, query: dict[str, str], _given: Any) -> Answer:
        orders = list(self._book)
        return _ok([order.fields() for order in _last(orders, query)])

    def _forget_orders(self, _query: dict[str, str], _given: Any) -> Answer:
        self._book.clear()
        return _nothing()

    def _requests(self, query: dict[str, str], _given: Any) -> Answer:
        rows = self._journal.rows()
        if "path" in query:
            rows = [row for row in rows if row["path"] == query["path"]]
        return _ok(_last(rows, query))

    def _forget_requests(self, _query: dict[str, str], _given: Any) -> Answer:
        self._journal.clear()
        return _nothing()

    def _behave(self, _query: dict[str, str], given: Any) -> Answer:
        self._faults.put(Fault.parse(given))
        return _ok({"faults": len(self._faults)})

    def _behave_well(self, _query: dict[str, str], _given: Any) -> Answer:
        self._faults.clear()
        return _nothing()

    def _tokens(self, _query: dict[str, str], _given: Any) -> Answer:
        return _ok({"tokens": self._sessions.tokens()})

    def _life_time(self, _query: dict[str, str], given: Any) -> Answer:
        seconds = {name: float(_object(given)[name]) for name in given}
        unknown = set(seconds) - {"access_seconds", "refresh_seconds"}
        if unknown:
            raise ValueError(f"tokens: unknown {', '.join(sorted(unknown))}")
        for name, value in seconds.items():
            setattr(self._sessions, name, value)
        return _ok(
            {
                "access_seconds": self._sessions.access_seconds,
                "refresh_seconds": self._sessions.refresh_seconds,
            }
        )

    def _expire(self, _query: dict[str, str], given: Any) -> Answer:
        return _ok({"expired": self._sessions.expire(refresh=bool(_object(given).get("refresh")))})

    def _revoke(self, _query: dict[str, str], _given: Any) -> Answer:
        return _ok({"revoked": self._sessions.revoke()})

    def _merchant(self, _query: dict[str, str], given: Any) -> Answer:
        username = _object(given).get("username")
        if not isinstance(username, str) or not username:
            raise ValueError("merchants: username is required")
        known = self._merchants.get(username)
        if known is None:
            if not isinstance(given.get("password"), str):
                raise ValueError("merchants: a new merchant needs a password")
            known = self._merchants[username] = Merchant(username, given["password"])
        known.password = given.get("password", known.password)
        known.active = bool(given.get("active", known.active))
        return _ok({"username": username, "active": known.active})

    def _read_certificate(self, _query: dict[str, str], _given: Any) -> Answer:
        if self.read_certificate is None:
            raise ValueError("read-certificate: the stub does not speak TLS")
        try:
            self.read_certificate()
        except OSError as problem:
            raise ValueError(f"read-certificate: {problem.strerror}") from None
        return _nothing()

    def _reported(self, query: dict[str, str], _given: Any) -> Answer:
        overview = self._reports.overview()
        if int(query.get("last", 0)) > 0:
            overview["calls"] = _last(list(self._reports.calls), query)
        return _ok(overview)

    def _report(self, _query: dict[str, str], given: Any) -> Answer:
        self._reports.settings = self._reports.settings.changed(given)
        return _ok(self._reports.overview())

    def _forget_reports(self, _query: dict[str, str], _given: Any) -> Answer:
        self._reports.clear()
        return _nothing()

    def _reset(self, _query: dict[str, str], _given: Any) -> Answer:
        self._merchants.clear()
        self._merchants.update((name, Merchant(name, password)) for name, password in self._at_start)
        self._sessions.access_seconds, self._sessions.refresh_seconds = self._life_times
        self._sessions.revoke()
        self._book.clear()
        self._reports.clear()
        self._reports.settings = Settings()
        self._faults.clear()
        self._journal.clear()
        return _nothing()


def _ok(value: object) -> Answer:
    return Answer(200, as_json(value))


def _nothing() -> Answer:
    return Answer(204, b"", content_type=None)


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError("must be a JSON object")
    return given


def _last(rows: list[Any], query: dict[str, str]) -> list[Any]:
    return rows[-int(query["last"]) :] if int(query.get("last", 0)) > 0 else rows
