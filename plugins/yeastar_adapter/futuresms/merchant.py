"""The Merchant API's calls, over HTTP (contract, section 2): log in, refresh, submit an order."""

from __future__ import annotations

import json
import time
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import gevent
import requests
from requests.adapters import HTTPAdapter

from .answer import MAX_BODY, Answer

_LOGIN = "/api/v1/auth/login"
_REFRESH = "/api/v1/auth/refresh"

# 400 and 422 come from credentials that FutureSMS finds malformed: asking again will not help.
_LOGIN_REFUSALS = (400, 401, 403, 422)

# A token whose life cannot be read is used for this long, in seconds, before the next one is fetched.
_LIFE_UNKNOWN = 300.0
_CHUNK = 16384


@dataclass(frozen=True)
class Account:
    """One Merchant API user at one address. `timeout` in seconds bounds each call as a whole."""

    base_url: str
    username: str
    password: str = field(repr=False)
    timeout: float = 3.0


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


class MerchantApi:
    """The calls. Stateless; every call opens its own connection.

    Calls are rare (a log-in, a refresh, an order after a 401), and a fresh connection leaves no doubt about
    whether a request on a kept-alive one has arrived.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def log_in(self) -> Tokens:
        """Trade user name and password for tokens. Raises LoginRefused, Unreachable."""
        credentials = {"username": self._account.username, "password": self._account.password}
        return self._tokens(_LOGIN, credentials, refusals=_LOGIN_REFUSALS)

    def refresh(self, refresh_token: str) -> Tokens:
        """Trade a refresh token for a new pair; the old one is dead at once. Raises LoginRefused, Unreachable."""
        return self._tokens(_REFRESH, {"refresh_token": refresh_token}, refusals=range(400, 500))

    def submit(self, path: str, body: bytes, token: str, timeout: float) -> tuple[Answer, str | None]:
        """Send an order; returns the answer and its `Retry-After`. Raises Unreachable: it may have arrived."""
        response, content = self._post(path, data=body, token=token, timeout=timeout)
        return Answer.read(response.status_code, content), response.headers.get("Retry-After")

    def _tokens(self, path: str, fields: dict[str, str], refusals: Container[int]) -> Tokens:
        response, content = self._post(path, json=fields)
        if response.status_code in refusals:
            raise LoginRefused(f"{path} answered {response.status_code}")
        if not 200 <= response.status_code < 300:
            raise Unreachable(f"{path} answered {response.status_code}")
        return _read_tokens(path, response, content)

    def _post(
        self, path: str, token: str | None = None, timeout: float | None = None, **content: Any
    ) -> tuple[requests.Response, bytes]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "kong-yeastar-adapter",
            "Connection": "close",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = self._account.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout
        try:
            # requests' own limits are for connecting and for each piece of an answer; together they have no end.
            with gevent.Timeout(timeout, TimeoutError), requests.Session() as session:
                session.trust_env = (
                    False  # no proxy and no .netrc from an environment that Kong empties anyway
                )
                session.mount("http://", HTTPAdapter(max_retries=0))
                session.mount("https://", HTTPAdapter(max_retries=0))
                response = session.post(
                    self._account.base_url + path,
                    headers=headers,
                    timeout=timeout,  # of each piece, which is all that holds outside of the plugin server
                    allow_redirects=False,
                    stream=True,
                    **content,
                )
                return response, _read_within(response, deadline)
        except (requests.RequestException, OSError, ValueError) as error:
            # The type only: the message of some of these quotes the request.
            raise Unreachable(f"{path}: {type(error).__name__}") from None


def _read_within(response: requests.Response, deadline: float) -> bytes:
    """Read a body that may trickle in: time and size are bounded as a whole."""
    parts: list[bytes] = []
    size = 0
    for part in response.iter_content(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise ValueError("the answer is too long")
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(parts)


def _read_tokens(path: str, response: requests.Response, content: bytes) -> Tokens:
    try:
        pair = json.loads(content)["data"]
        access, refresh = pair["access_token"], pair["refresh_token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreachable(f"{path} answered without tokens") from None
    if not (isinstance(access, str) and access.isascii() and access.isprintable() and access.strip()):
        raise Unreachable(f"{path} answered with an access token that fits no header")
    now = _server_time(response)
    return Tokens(
        access=access,
        refresh=refresh if isinstance(refresh, str) else "",
        issued=time.monotonic(),
        access_life=_life(pair.get("access_token_expires_at"), now),
        refresh_life=_life(pair.get("refresh_token_expires_at"), now),
    )


def _server_time(response: requests.Response) -> datetime:
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
