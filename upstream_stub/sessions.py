"""Token pairs: issued at login, rotated at refresh, ended at logout."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

from . import clock
from .answers import ApiError
from .world import Merchant

_REMEMBERED = 20_000
"""Tokens of each kind that are kept, dead or alive, so that an expired one is told from an unknown one."""


@dataclass(slots=True)
class Session:
    """One login. Logging out or revoking ends it with all its tokens."""

    merchant: Merchant
    ended: bool = False


@dataclass(slots=True)
class _Token:
    session: Session
    expires: float
    spent: bool = False


class Sessions:
    """All tokens of the stub; life times in seconds hold for the tokens issued from then on."""

    def __init__(self) -> None:
        self.access_seconds: float = 1800
        self.refresh_seconds: float = 7 * 86400
        self._access: OrderedDict[str, _Token] = OrderedDict()
        self._refresh: OrderedDict[str, _Token] = OrderedDict()

    def open(self, merchant: Merchant) -> dict[str, str]:
        """A new session's token pair, as `data` of the login answer."""
        return self._issue(Session(merchant))

    def rotate(self, refresh_token: str) -> dict[str, str]:
        """A new pair for a live refresh token, dead from here on. Access tokens live out their time."""
        token = self._live(self._refresh, refresh_token)
        token.spent = True
        return self._issue(token.session)

    def session(self, access_token: str) -> Session:
        """The session of a live access token. Raises ApiError 401, TOKEN_EXPIRED where its time is over."""
        return self._live(self._access, access_token).session

    def expire(self, *, refresh: bool = False) -> int:
        """Let the time of every access token (and refresh token) run out. Returns how many were alive."""
        stores = [self._access, self._refresh] if refresh else [self._access]
        now = time.time()
        alive = [token for store in stores for token in store.values() if token.expires > now]
        for token in alive:
            token.expires = now
        return len(alive)

    def revoke(self) -> int:
        """End every session: its tokens are refused as unknown. Returns how many tokens were dropped."""
        count = len(self._access) + len(self._refresh)
        self._access.clear()
        self._refresh.clear()
        return count

    def tokens(self) -> list[str]:
        """Every token that is remembered, dead or alive."""
        return [*self._access, *self._refresh]

    def _issue(self, session: Session) -> dict[str, str]:
        now = time.time()
        access, refresh = "at_" + secrets.token_urlsafe(32), "rt_" + secrets.token_urlsafe(32)
        access_expires, refresh_expires = now + self.access_seconds, now + self.refresh_seconds
        for store, name, expires in (
            (self._access, access, access_expires),
            (self._refresh, refresh, refresh_expires),
        ):
            store[name] = _Token(session, expires)
            if len(store) > _REMEMBERED:
                store.popitem(last=False)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "access_token_expires_at": clock.iso(access_expires),
            "refresh_token_expires_at": clock.iso(refresh_expires),
        }

    @staticmethod
    def _live(store: OrderedDict[str, _Token], name: str) -> _Token:
        token = store.get(name)
        if token is None or token.spent or token.session.ended:
            raise ApiError(401, "Invalid token")
        if token.expires <= time.time():
            raise ApiError(401, "Token has expired", "TOKEN_EXPIRED")
        if not token.session.merchant.active:
            raise ApiError(403, "Merchant account is not active")
        return token
