"""All Merchant sessions of the process: the tokens of one user are one, whatever number of instances use them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from .line import Line
from .merchant import Account, MerchantApi, Unreachable
from .session import MerchantSession, line_of
from .timer import later
from .tokens import AccessTokens, Api

log = logging.getLogger(__name__)

GRACE = 60.0
"""Seconds after which a session that nobody holds is ended: a changed configuration takes less."""

_User = tuple[str, str, str]


@dataclass
class _Shared:
    tokens: AccessTokens
    line: Line
    api: Api
    sessions: WeakValueDictionary[Account, MerchantSession] = field(default_factory=WeakValueDictionary)
    held: int = 0
    released: int = 0
    """How often nobody was left: a grace that has begun earlier is over."""


class Sessions:
    """The sessions by address, user name and password; with another time limit it is the same session."""

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], None] = later,
        api: Callable[[Account], Api] = MerchantApi,
    ) -> None:
        self._later = later
        self._api = api
        # Finalizers run whenever Python likes, also while this very thread holds the lock.
        self._lock = threading.RLock()
        self._shared: dict[_User, _Shared] = {}

    def of(self, account: Account) -> MerchantSession:
        """A session of this account. The tokens stay for `GRACE` seconds after the last one was dropped."""
        user = account.base_url, account.username, account.password
        with self._lock:
            shared = self._shared.get(user)
            if shared is None:
                tokens = AccessTokens(account)
                shared = self._shared[user] = _Shared(tokens, line_of(tokens), self._api(account))
            session = shared.sessions.get(account)
            if session is not None:
                return session
            api = shared.api = self._api(account)
            session = shared.sessions[account] = MerchantSession(
                account, api, tokens=shared.tokens, line=shared.line
            )
            shared.held += 1
            weakref.finalize(session, self._release, user, shared).atexit = False
        return session

    def open(self) -> list[AccessTokens]:
        """The tokens of all sessions."""
        with self._lock:
            return [shared.tokens for shared in self._shared.values()]

    def _release(self, user: _User, shared: _Shared) -> None:
        with self._lock:
            shared.held -= 1
            if shared.held:
                return
            shared.released += 1
            released = shared.released
        self._later(GRACE, lambda: self._end(user, shared, released))

    def _end(self, user: _User, shared: _Shared, released: int) -> None:
        with self._lock:
            if shared.held or shared.released != released or self._shared.get(user) is not shared:
                return
            del self._shared[user]
        try:
            shared.tokens.end(shared.api)
        except Unreachable as problem:
            # It ends by itself when its tokens do.
            log.info("merchant %s: the session could not be logged out (%s)", user[1], problem)


_sessions = Sessions()
session_of = _sessions.of
open_sessions = _sessions.open
