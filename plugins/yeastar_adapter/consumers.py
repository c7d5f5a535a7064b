"""Kong's consumers by name, remembered for a while: Kong reads its database on each look-up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from .yeastar.errors import SERVICE_UNAVAILABLE, Refusal

log = logging.getLogger(__name__)

_MISSING_SECONDS = 1.0
"""A consumer that Kong does not have is looked for again after this long at the latest."""

_UNANSWERED_SECONDS = 5.0
"""A consumer that Kong could not look up is looked for again after this long. A look-up that gets no answer from the
database takes as long (Kong's `pg_timeout`), and only one request at a time waits for it."""

Consumer = Mapping[str, Any] | None


class Consumers:
    """Kong's consumers, each remembered for `seconds`.

    While Kong's database cannot be asked, a consumer is taken as it was last, as Kong's own plugins do.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, tuple[float, Consumer]] = {}
        self._unanswered_since: float | None = None

    def find(self, kong: Any, username: str) -> Consumer:
        """The consumer as Kong has it; None when it has none of that name.

        Raises Refusal 10007 when Kong cannot say, and could not say before either.
        """
        until, last = self._known.get(username, (0.0, None))
        now = self._clock()
        if now < until:
            return last
        if last and self._seconds:
            # Requests that come meanwhile do not wait with this one.
            self._known[username] = (now + _UNANSWERED_SECONDS, last)
        answer = kong.yeastar.load_consumer(username)
        if not isinstance(answer, dict) or "consumer" not in answer:
            return self._not_answered(username, last, answer)
        self._answered()
        consumer: Consumer = answer["consumer"] or None
        seconds = self._seconds if consumer else min(self._seconds, _MISSING_SECONDS)
        self._known[username] = (self._clock() + seconds, consumer)
        return consumer

    def _not_answered(self, username: str, last: Consumer, answer: Any) -> Consumer:
        said = answer.get("error") if isinstance(answer, dict) else None
        reason = said or "yeastar-reader is of another version"
        if not last:
            raise Refusal(
                SERVICE_UNAVAILABLE, reason=f"Kong cannot look up the consumer '{username}': {reason}"
            )
        self._known[username] = (self._clock() + _UNANSWERED_SECONDS, last)
        if self._unanswered_since is None:
            self._unanswered_since = self._clock()
            log.warning(
                "Kong cannot look up the consumer '%s' (%s): until it can, consumers are taken as they were last",
                username,
                reason,
            )
        return last

    def _answered(self) -> None:
        if self._unanswered_since is not None:
            seconds = self._clock() - self._unanswered_since
            self._unanswered_since = None
            log.warning("Kong can look up consumers again, after %.1f s", seconds)
