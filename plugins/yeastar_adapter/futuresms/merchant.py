"""The Merchant API's calls, over HTTP (contract, section 2): log in, refresh, submit an order, log out."""

from __future__ import annotations

import json
import time
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from .. import retry_after
from .answer import Answer
from .connections import KEPT_FOR, Connections, Failed, Response, Stale, connections_to, path_of

_LOGIN = "/api/v1/auth/login"
_REFRESH = "/api/v1/auth/refresh"
_LOGOUT = "/api/v1/auth/logout"

# 400 and 422 come from credentials that FutureSMS finds malformed: asking again will not help.
_LOGIN_REFUSALS = (400, 401, 403, 422)

# Any 4xx says that a refresh token is dead, but for those that are about the moment alone.
_REFRESH_REFUSALS = frozenset(range(400, 500)) - {408, 425, 429, 499}

# An order goes out on a connection that another one has left less than this many seconds ago, so in a storm alone: then
# it is no more likely to be just closed than a new one. After that, nobody could tell whether the order has arrived.
_ORDER_IDLE = 0.1

# A token whose life cannot be read is used for this long, in seconds, before the next one is fetched.
_LIFE_UNKNOWN = 300.0


@dataclass(frozen=True)
class Account:
    """One Merchant API user at one address. `timeout` in seconds bounds each call as a whole.

    `ca_certificates`: a PEM file with the authorities to trust; None: the system's bundle.
    """

    base_url: str
    username: str
    password: str = field(repr=False)
    timeout: float = 3.0
    ca_certificates: str | None = None


@dataclass(frozen=True)
class Tokens:
    """A token pair. The lives are in seconds from `issued`, a reading of the monotonic clock."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    issued: float
    access_life: float
    refresh_life: float


class LoginRefused(Exception):
    """FutureSMS will not have these credentials, or the account may not log in."""


class Unreachable(Exception):
    """No answer that can be used: nothing listens, a time-out, a broken or senseless answer."""


class Throttled(Unreachable):
    """FutureSMS has had too many requests and has done nothing; `seconds` is how long it wants to be left alone."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.args[0])


class MerchantApi:
    """The calls of one account. None of them is made twice, but for a log-in on a connection that was just closed."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._path = path_of(account.base_url)
        self._connections: Connections | None = None

    def log_in(self) -> Tokens:
        """Trade user name and password for tokens. Raises LoginRefused, Unreachable."""
        credentials = {"username": self._account.username, "password": self._account.password}
        try:
            return self._tokens(_LOGIN, credentials, _LOGIN_REFUSALS)
        except Stale:
            return self._tokens(_LOGIN, credentials, _LOGIN_REFUSALS, idle=0.0)

    def refresh(self, refresh_token: str) -> Tokens:
        """Trade a refresh token for a new pair; the old one is dead at once. Raises LoginRefused, Unreachable."""
        try:
            return self._tokens(_REFRESH, {"refresh_token": refresh_token}, _REFRESH_REFUSALS)
        except Stale:
            raise LoginRefused("the connection was closed, the refresh token may be spent") from None

    def submit(self, path: str, body: bytes, token: str, timeout: float) -> tuple[Answer, str | None]:
        """Send an order; returns the answer and its `Retry-After`. Raises Unreachable: it may have arrived.

        `path` is the whole path, as Kong has it: what `base_url` says of a path is for the other calls.
        """
        try:
            response = self._post(path, body, token, timeout, _ORDER_IDLE)
        except Stale as failure:
            raise Unreachable(f"{path}: {failure}") from None
        return Answer.read(response.status, response.content), response.headers.get("Retry-After")

    def log_out(self, token: str) -> None:
        """End the session of an access token. Raises Unreachable; what FutureSMS thinks of it does not matter."""
        self._post(self._path + _LOGOUT, b"", token, idle=0.0)

    def _tokens(
        self, path: str, fields: dict[str, str], refusals: Container[int], idle: float = KEPT_FOR
    ) -> Tokens:
        response = self._post(self._path + path, json.dumps(fields).encode(), idle=idle)
        if response.status in refusals:
            raise LoginRefused(f"{path} answered {response.status}")
        if response.status == 429:
            seconds = retry_after.seconds(response.headers.get("Retry-After"))
            raise Throttled(f"{path} answered {response.status}", seconds)
        if not 200 <= response.status < 300:
            raise Unreachable(f"{path} answered {response.status}")
        return _read_tokens(path, response)

    def _post(
        self,
        path: str,
        body: bytes,
        token: str | None = None,
        timeout: float | None = None,
        idle: float = KEPT_FOR,
    ) -> Response:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "kong-yeastar-adapter",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = self._account.timeout if timeout is None else timeout
        try:
            if self._connections is None:
                self._connections = connections_to(self._account.base_url, self._account.ca_certificates)
            return self._connections.post(path, body, headers, timeout, idle)
        except Stale:
            raise
        except Failed as failure:
            raise Unreachable(f"{path}: {failure}") from None


def _read_tokens(path: str, response: Response) -> Tokens:
    try:
        pair = json.loads(response.content)["data"]
        access, refresh = pair["access_token"], pair["refresh_token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreachable(f"{path} answered without tokens") from None
    if not (isinstance(access, str) and access.isascii() and access.isprintable() and access.strip()):
        raise Unreachable(f"{path} answered with an access token that cannot be sent in a header")
    now = _server_time(response)
    return Tokens(
        access=access,
        refresh=refresh if isinstance(refresh, str) else "",
        issued=time.monotonic(),
        access_life=_life(pair.get("access_token_expires_at"), now),
        refresh_life=_life(pair.get("refresh_token_expires_at"), now),
    )


def _server_time(response: Response) -> datetime:
    """The server's clock: lives reckoned by it are right even where this machine's clock is not."""
    try:
        return parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError, TypeError):
        return datetime.now(timezone.utc)


def _life(expires_at: Any, now: datetime) -> float:
    if not isinstance(expires_at, str):
        return _LIFE_UNKNOWN
    try:
        end = datetime.fromisoformat(expires_at.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return _LIFE_UNKNOWN
    if end.tzinfo is None:
        end = end.replace(tzinfo=timezone.utc)
    if now.tzinfo is None:
        now = now.replace(tzinfo=timezone.utc)
    return (end - now).total_seconds()
