"""The Merchant session, as those who send through an account see it (contract, section 2)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .answer import Answer
from .line import Line
from .merchant import Account, MerchantApi, Unreachable
from .tokens import AccessTokens, Api, start_thread

# So many orders of a user are submitted again at once; a handshake takes about 1 ms of the event loop.
_AT_ONCE = 32

# With a token that no order was taken with yet, one goes first, for at most this share of the time limit: if that
# is answered 401 as well, so would all the others be.
_FIRST_SHARE = 0.25

# An order that has less than this share of the time limit left is not submitted: what became of it, nobody would
# know.
_LEAST_SHARE = 0.1


class MerchantSession:
    """One account's way to submit orders; the tokens are shared by all sessions of the same user.

    Nobody waits longer than the account's time limit.
    """

    def __init__(
        self,
        account: Account,
        api: Api | None = None,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = start_thread,
        tokens: AccessTokens | None = None,
        line: Line | None = None,
    ) -> None:
        self.account = account
        self.api = api or MerchantApi(account)
        self.tokens = tokens or AccessTokens(account, clock, start)
        self._clock = clock
        self._line = line or line_of(self.tokens)

    def token(self) -> str:
        """An access token that is good by all we know. Raises LoginRefused, Unreachable."""
        return self.tokens.current(self.api, self.account.timeout)

    def submit_again(self, path: str, body: bytes, rejected: str) -> tuple[Answer, str | None]:
        """Send an order that was answered 401, with a token other than the rejected one.

        A 401 has created nothing, so this is no second order. The wait for the others, the token and the order
        together take at most the account's time limit. Returns the answer and its `Retry-After`. Raises LoginRefused,
        Unreachable; where nothing was submitted the message says so.
        """
        deadline = self._clock() + self.account.timeout
        self.tokens.reject(rejected)
        with self._line.place(self.account.timeout) as is_our_turn:
            if is_our_turn:
                token = self.tokens.other_than(rejected, self.api, deadline - self._clock())
                left = deadline - self._clock()
                if left >= self.account.timeout * _LEAST_SHARE:
                    return self._submit(path, body, token, left)
        raise Unreachable(f"the order was not submitted again: no time left of {self.account.timeout:g} s")

    def _submit(self, path: str, body: bytes, token: str, timeout: float) -> tuple[Answer, str | None]:
        answer, wait = self.api.submit(path, body, token, timeout)
        if answer.status == 401:
            self.tokens.refused(token)
        else:
            self.tokens.taken(token)
        return answer, wait


def line_of(tokens: AccessTokens) -> Line:
    """The line in which the orders of a user wait to be submitted again."""

    def trial() -> float:
        return tokens.trial_seconds(tokens.account.timeout * _FIRST_SHARE)

    return Line(width=lambda: 1 if trial() else _AT_ONCE, look_again=lambda: trial() or math.inf)
