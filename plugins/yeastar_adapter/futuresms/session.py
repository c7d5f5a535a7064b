"""The Merchant session: one token for all who send through an account, fetched by one of them at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from .answer import Answer
from .merchant import Account, LoginRefused, MerchantApi, Tokens, Unreachable

log = logging.getLogger(__name__)

# A token is renewed in the background when this share of its life is left, or this many seconds if less.
_EARLY_SHARE = 0.2
_EARLY_SECONDS = 60.0

# A token's life is taken to be at least this long, in seconds: a clock that is off must not mean a log-in
# a message.
_LIFE_AT_LEAST = 5.0

_REFUSED_PAUSE = (1.0, 15.0)
_UNREACHABLE_PAUSE = (0.5, 5.0)


class Api(Protocol):
    """The calls that a session needs."""

    def log_in(self) -> Tokens:
        """Trade the account's password for tokens."""
        ...

    def refresh(self, refresh_token: str) -> Tokens:
        """Trade a refresh token for a new pair."""
        ...

    def submit(self, path: str, body: bytes, token: str, timeout: float) -> tuple[Answer, str | None]:
        """Send an order."""
        ...


class _Renewal:
    """One attempt to get a new token, and all who wait for it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.tokens: Tokens | None = None
        self.failure: LoginRefused | Unreachable | None = None


@dataclass
class _Pause:
    """Until when no new attempt is made, and how it ended last time."""

    until: float
    seconds: float
    failure: LoginRefused | Unreachable


def _start_thread(work: Callable[[], None]) -> None:
    # In the plugin server, which gevent has patched, this is a greenlet.
    threading.Thread(target=work, name="merchant-renewal", daemon=True).start()


class MerchantSession:
    """The tokens of one account (contract, section 2).

    Whoever needs a token while a renewal is under way waits for that one, at most the account's time limit.
    A renewal runs on its own, so it outlives a request that is given up.
    """

    def __init__(
        self,
        account: Account,
        api: Api | None = None,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = _start_thread,
    ) -> None:
        self.account = account
        self._api = api or MerchantApi(account)
        self._clock = clock
        self._start = start
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        self._refresh_token = ""
        self._rejected = ""
        self._renewal: _Renewal | None = None
        self._pause: _Pause | None = None
        self.logins = 0
        self.refreshes = 0
        self.failures = 0

    def token(self) -> str:
        """An access token that is good by all we know. Raises LoginRefused, Unreachable."""
        tokens = self._tokens
        if tokens is not None and tokens.access != self._rejected:
            age = self._clock() - tokens.issued
            life = max(tokens.access_life, _LIFE_AT_LEAST)
            if age < life:
                if life - age < min(life * _EARLY_SHARE, _EARLY_SECONDS):
                    self._renew_in_background(tokens)
                return tokens.access
        return self._renewed(tokens)

    @property
    def token_seconds_left(self) -> float:
        """What is left of the present access token's life; 0 when there is none."""
        tokens = self._tokens
        return 0.0 if tokens is None else max(0.0, tokens.access_life - (self._clock() - tokens.issued))

    @property
    def paused(self) -> bool:
        """Whether the last attempt has failed, and the next one has to wait."""
        return self._pause is not None and self._clock() < self._pause.until

    def submit_again(self, path: str, body: bytes, rejected: str) -> tuple[Answer, str | None]:
        """Send an order that was answered 401, with a token other than the rejected one.

        A 401 has created nothing, so this is no second order. Token and order together take at most the
        account's time limit. Returns the answer and its `Retry-After`. Raises LoginRefused, Unreachable.
        """
        deadline = self._clock() + self.account.timeout
        token = self._replaced(rejected)
        left = deadline - self._clock()
        if left <= 0:
            raise Unreachable("no time left to submit the order again")
        return self._api.submit(path, body, token, left)

    def _replaced(self, rejected: str) -> str:
        tokens = self._tokens
        if tokens is not None and tokens.access != rejected:
            return tokens.access  # somebody else has met the same 401 and renewed it already
        # Nobody needs to try it again, even if there is no other for a while.
        self._rejected = rejected
        return self._renewed(tokens)

    def _renewed(self, outdated: Tokens | None) -> str:
        renewal = self._join_renewal(outdated)
        if renewal is None:
            return self.token()  # it was renewed between the look and the lock
        if not renewal.done.wait(self.account.timeout):
            raise Unreachable(f"no token within {self.account.timeout:g} s")
        if renewal.tokens is None:
            raise _copy(renewal.failure or Unreachable("the renewal was ended"))
        return renewal.tokens.access

    def _renew_in_background(self, outdated: Tokens) -> None:
        try:
            self._join_renewal(outdated)
        except (LoginRefused, Unreachable):
            return  # a pause is on: the present token still serves, and whoever needs the next one is told

    def _join_renewal(self, outdated: Tokens | None) -> _Renewal | None:
        """The renewal under way, or a new one; None when `outdated` is no longer the present token."""
        with self._lock:
            if self._tokens is not outdated:
                return None
            if self._renewal is not None:
                return self._renewal
            if self._pause is not None and self._clock() < self._pause.until:
                raise _copy(self._pause.failure)
            renewal = self._renewal = _Renewal()
        try:
            self._start(partial(self._run, renewal))
        except BaseException:
            # Nobody would ever end it, and everybody wait for it.
            self._renewal = None
            renewal.done.set()
            raise
        return renewal

    def _run(self, renewal: _Renewal) -> None:
        try:
            renewal.tokens = self._fetch()
        except (LoginRefused, Unreachable) as failure:
            renewal.failure = failure
        finally:
            with self._lock:
                self._renewal = None
                if renewal.tokens is not None:
                    self._tokens = renewal.tokens
                    self._refresh_token = renewal.tokens.refresh
                    self._pause = None
                elif renewal.failure is not None:
                    self._pause = self._pause_after(renewal.failure)
            renewal.done.set()

    def _fetch(self) -> Tokens:
        # Forgotten before it is used: whatever happens to the call, this token may be dead afterwards.
        refresh_token, self._refresh_token = self._refresh_token, ""
        tokens = self._tokens
        if refresh_token and tokens is not None and self._clock() - tokens.issued < tokens.refresh_life:
            try:
                renewed = self._api.refresh(refresh_token)
            except LoginRefused:
                log.info("merchant %s: the refresh token is dead, logging in again", self.account.username)
            else:
                self.refreshes += 1
                return renewed
        self.logins += 1
        return self._api.log_in()

    def _pause_after(self, failure: LoginRefused | Unreachable) -> _Pause:
        self.failures += 1
        first, longest = _REFUSED_PAUSE if isinstance(failure, LoginRefused) else _UNREACHABLE_PAUSE
        last = self._pause.seconds if self._pause and type(self._pause.failure) is type(failure) else 0.0
        seconds = min(max(first, last * 2), longest)
        log.warning(
            "merchant %s at %s: no session (%s); next attempt in %g s",
            self.account.username,
            self.account.base_url,
            failure,
            seconds,
        )
        return _Pause(self._clock() + seconds, seconds, failure)


def _copy(failure: LoginRefused | Unreachable) -> LoginRefused | Unreachable:
    # One exception raised by many would gather a traceback from each.
    return type(failure)(*failure.args)
