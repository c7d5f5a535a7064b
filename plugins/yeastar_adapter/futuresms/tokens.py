"""The access token of one Merchant API user: for all who send as that user, fetched by one of them at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from weakref import WeakSet

from .answer import Answer
from .merchant import Account, LoginRefused, Throttled, Tokens, Unreachable

log = logging.getLogger(__name__)

# A token is renewed in the background when this share of its life is left, or this many seconds if less.
_EARLY_SHARE = 0.2
_EARLY_SECONDS = 60.0

# A token's life is taken to be at least this long, in seconds: a clock that is off must not mean a log-in
# a message.
_LIFE_AT_LEAST = 5.0

# The first pause after a failure and the longest, in seconds.
_REFUSED_PAUSE = (1.0, 15.0)
_UNREACHABLE_PAUSE = (0.5, 5.0)
_THROTTLED_PAUSE = (0.5, 60.0)

# So many tokens are remembered, of those that were issued and of those that were rejected: orders of several
# generations may be on their way at once.
_REMEMBERED = 16

# Orders that are answered 401 whatever the token are one trouble, if no more than this many seconds lie between them,
# pauses not counted, and no order was taken in between. The first few are taken for chance: a token may be revoked
# just after it was issued.
_ONE_TROUBLE = 60.0
_BY_CHANCE = 3


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

    def log_out(self, token: str) -> None:
        """End the session of an access token."""
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


def start_thread(work: Callable[[], None]) -> None:
    """Run `work` on its own. In the plugin server, which gevent has patched, that is a greenlet."""
    threading.Thread(target=work, name="merchant-session", daemon=True).start()


_in_trouble: WeakSet[AccessTokens] = WeakSet()


def order_taken(token: str) -> None:
    """An order that Kong has proxied was made: its token is good, and those who have had trouble are over it."""
    for tokens in list(_in_trouble):
        if tokens.issued(token) and not tokens.is_rejected(token):
            tokens.taken(token)


class AccessTokens:
    """The tokens of one user at one address.

    Whoever needs a token while a renewal is under way waits for that one. A renewal runs on its own, so it outlives a
    request that is given up.
    """

    def __init__(
        self,
        account: Account,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = start_thread,
    ) -> None:
        self.account = account
        self._clock = clock
        self._start = start
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        self._refresh_token = ""
        self._issued: deque[str] = deque(maxlen=_REMEMBERED)
        self._rejected: deque[str] = deque(maxlen=_REMEMBERED)
        self._taken = ""
        self._renewal: _Renewal | None = None
        self._pause: _Pause | None = None
        self._refusals = 0
        self._trouble_until = 0.0
        self.logins = 0
        self.refreshes = 0
        self.failures = 0

    def current(self, api: Api, timeout: float) -> str:
        """An access token that is good by all we know. Raises LoginRefused, Unreachable."""
        tokens = self._tokens
        if tokens is not None and tokens.access not in self._rejected:
            age = self._clock() - tokens.issued
            life = max(tokens.access_life, _LIFE_AT_LEAST)
            if age < life:
                if life - age < min(life * _EARLY_SHARE, _EARLY_SECONDS):
                    self._renew_in_background(api, tokens)
                return tokens.access
        return self._renewed(api, tokens, timeout)

    def other_than(self, rejected: str, api: Api, timeout: float) -> str:
        """An access token in place of one that an order was answered 401 with. Raises LoginRefused, Unreachable."""
        tokens = self._tokens
        self.reject(rejected)
        if tokens is not None and tokens.access not in self._rejected:
            return tokens.access  # somebody else has met the same 401 and renewed it already
        return self._renewed(api, tokens, timeout)

    def issued(self, token: str) -> bool:
        """Whether FutureSMS has given this token to us, lately: the present one, or one that it has replaced."""
        return token in self._issued

    def is_rejected(self, token: str) -> bool:
        """Whether an order was answered 401 with this token."""
        return token in self._rejected

    def taken(self, token: str) -> None:
        """An order got another answer than 401 with this token."""
        self._taken = token
        self._refusals = 0
        _in_trouble.discard(self)

    def refused(self, token: str) -> None:
        """An order was answered 401 with a token that had been fetched for it.

        Another token will not help it, nor the orders behind it: none is fetched for a while.
        """
        with self._lock:
            if token in self._rejected:
                return  # one of several that were on their way with it
            self.reject(token)
            self._refresh_token = ""
            now = self._clock()
            if now > self._trouble_until:
                self._refusals = 0
            self._refusals += 1
            _in_trouble.add(self)
            seconds = 0.0
            if self._refusals > _BY_CHANCE:
                first, longest = _REFUSED_PAUSE
                seconds = min(first * 2.0 ** min(self._refusals - _BY_CHANCE - 1, 10), longest)
                self._pause = self._pause_for(
                    seconds, LoginRefused("orders are answered 401 even with a new token")
                )
            self._trouble_until = now + seconds + _ONE_TROUBLE

    def trial_seconds(self, longest: float) -> float:
        """For how long yet one order goes alone, as nobody knows what the next token is worth, or the present one.

        At most `longest` from when it was issued; 0 once an order that had been answered 401 was taken with it.
        """
        tokens = self._tokens
        if tokens is None or tokens.access in self._rejected:
            return longest
        if tokens.access == self._taken:
            return 0.0
        return max(0.0, longest - (self._clock() - tokens.issued))

    @property
    def token_seconds_left(self) -> float:
        """What is left of the present access token's life; 0 when there is none."""
        tokens = self._tokens
        return 0.0 if tokens is None else max(0.0, tokens.access_life - (self._clock() - tokens.issued))

    @property
    def paused(self) -> bool:
        """Whether the last attempt has failed, and the next one has to wait."""
        return self._pause is not None and self._clock() < self._pause.until

    def end(self, api: Api) -> None:
        """Log out, if there is a token that lives. The session is not to be used any more. Raises Unreachable."""
        with self._lock:
            tokens, self._tokens, self._refresh_token = self._tokens, None, ""
        if tokens is not None and tokens.access not in self._rejected:
            api.log_out(tokens.access)

    def reject(self, token: str) -> None:
        """An order was answered 401 with this token: nobody needs to try it again, even if there is no other."""
        if token not in self._rejected:
            self._rejected.append(token)

    def _renewed(self, api: Api, outdated: Tokens | None, timeout: float) -> str:
        renewal = self._join_renewal(api, outdated)
        if renewal is None:
            return self.current(api, timeout)  # it was renewed between the look and the lock
        if not renewal.done.wait(timeout):
            raise Unreachable(f"no token within {timeout:g} s")
        if renewal.tokens is None:
            raise _copy(renewal.failure or Unreachable("the renewal was cancelled"))
        return renewal.tokens.access

    def _renew_in_background(self, api: Api, outdated: Tokens) -> None:
        try:
            self._join_renewal(api, outdated)
        except (LoginRefused, Unreachable):
            return  # a pause is on: the present token still serves, and whoever needs the next one is told

    def _join_renewal(self, api: Api, outdated: Tokens | None) -> _Renewal | None:
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
            self._start(partial(self._run, api, renewal))
        except BaseException:
            # Nobody would ever end it, and everybody wait for it.
            self._renewal = None
            renewal.done.set()
            raise
        return renewal

    def _run(self, api: Api, renewal: _Renewal) -> None:
        try:
            renewal.tokens = self._fetch(api)
        except (LoginRefused, Unreachable) as failure:
            renewal.failure = failure
        finally:
            with self._lock:
                self._renewal = None
                if renewal.tokens is not None:
                    self._use(renewal.tokens)
                elif renewal.failure is not None:
                    self._pause = self._pause_after(renewal.failure)
            renewal.done.set()

    def _use(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._refresh_token = tokens.refresh
        self._issued.append(tokens.access)
        if tokens.access in self._rejected:
            # FutureSMS gives the same one again: then that is the one to be tried.
            self._rejected.remove(tokens.access)
        self._pause = None

    def _fetch(self, api: Api) -> Tokens:
        # Forgotten before it is used: whatever happens to the call, this token may be dead afterwards.
        refresh_token, self._refresh_token = self._refresh_token, ""
        tokens = self._tokens
        if refresh_token and tokens is not None and self._clock() - tokens.issued < tokens.refresh_life:
            try:
                renewed = api.refresh(refresh_token)
            except Throttled:
                self._refresh_token = refresh_token  # FutureSMS has not looked at it
                raise
            except LoginRefused:
                log.info(
                    "merchant %s: the refresh token is no longer valid, logging in again",
                    self.account.username,
                )
            else:
                self.refreshes += 1
                return renewed
        self.logins += 1
        return api.log_in()

    def _pause_after(self, failure: LoginRefused | Unreachable) -> _Pause:
        if isinstance(failure, Throttled):
            shortest, longest = _THROTTLED_PAUSE
            return self._pause_for(min(max(shortest, failure.seconds), longest), failure)
        first, longest = _REFUSED_PAUSE if isinstance(failure, LoginRefused) else _UNREACHABLE_PAUSE
        last = self._pause.seconds if self._pause and type(self._pause.failure) is type(failure) else 0.0
        return self._pause_for(min(max(first, last * 2), longest), failure)

    def _pause_for(self, seconds: float, failure: LoginRefused | Unreachable) -> _Pause:
        self.failures += 1
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
