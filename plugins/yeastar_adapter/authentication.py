"""Who is calling: by the adapter's own keys, or by the consumer that Kong has authenticated."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from .call import Call, unauthenticated
from .config import Consumer, Settings
from .yeastar.errors import NO_PERMISSION, Refusal

# A consumer that Kong does not have is looked for again after this long at the latest, in seconds.
_MISSING_SECONDS = 5.0


class Authentication(Protocol):
    """A way to find out who is calling."""

    def caller(self, call: Call) -> Consumer:
        """The caller, whom Kong knows from now on.

        Raises Refusal: 10004 for nobody we know, 10005 for one who may not.
        """
        ...

    def consumer_of(self, call: Call) -> Consumer:
        """The consumer of a request that was accepted in an earlier phase. Raises Refusal 10005."""
        ...


def authentication_for(settings: Settings) -> Authentication:
    """The way that the configuration names."""
    return KongConsumers(settings) if settings.authentication == "kong" else BearerKeys(settings)


class BearerKeys:
    """`authentication: bearer`: the keys of the configuration."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, Any] | None]] = {}

    def caller(self, call: Call) -> Consumer:
        """The owner of the bearer key, if it is switched on and Kong has the consumer."""
        digest = hashlib.sha256(call.bearer_key().encode("utf-8", "surrogateescape")).digest()
        # The look-up takes as long for ten thousand keys as for one. What its timing could tell is about the
        # SHA-256 of a guess, from which nobody gets nearer to a key.
        consumer, credential_id = self._settings.keys.get(digest, (None, ""))
        if consumer is None:
            raise unauthenticated("the key is unknown")
        call.consumer = consumer.username
        _refuse_if_off(consumer)
        # At once, so that Kong's logs and metrics know whom a refusal was for as well.
        call.authenticate(self._entity(call, consumer.username), credential_id)
        return consumer

    def consumer_of(self, call: Call) -> Consumer:
        """The consumer that `caller` has made known to Kong."""
        entity = call.kong.client.get_consumer() or {}
        consumer = self._settings.consumers.get(entity.get("username", ""))
        if consumer is None:
            raise Refusal(NO_PERMISSION, reason="Kong knows no consumer of this request")
        return consumer

    def _entity(self, call: Call, username: str) -> dict[str, Any]:
        """Kong's consumer, remembered for a while: Kong reads its database on each look-up."""
        until, entity = self._known.get(username, (0.0, None))
        now = self._clock()
        if now >= until:
            entity = call.kong.client.load_consumer(username, True)
            seconds = self._settings.consumer_cache_seconds
            self._known[username] = (now + (seconds if entity else min(seconds, _MISSING_SECONDS)), entity)
        if not entity:
            raise Refusal(
                NO_PERMISSION,
                reason=f"Kong has no consumer '{username}': add it to Kong, or mend config.consumers",
            )
        return entity


class KongConsumers:
    """`authentication: kong`: the consumer that a Kong authentication plugin has established."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def caller(self, call: Call) -> Consumer:
        """The consumer that Kong has authenticated, if this instance is meant for it and it is switched on."""
        # Without a credential it is the plugin's `anonymous` consumer: somebody who has shown no key.
        if call.kong.client.get_credential() is None:
            raise unauthenticated("Kong has authenticated nobody")
        consumer = self.consumer_of(call)
        call.consumer = consumer.username
        _refuse_if_off(consumer)
        return consumer

    def consumer_of(self, call: Call) -> Consumer:
        """The settings of Kong's consumer: its own entry, or those of an instance that is scoped to it."""
        entity = call.kong.client.get_consumer() or {}
        username = entity.get("username") or entity.get("id") or ""
        consumer = self._settings.consumers.get(username)
        if consumer is not None:
            return consumer
        if self._settings.defaults is None:
            raise Refusal(
                NO_PERMISSION,
                reason=f"consumer '{username}' has neither an entry in config.consumers nor an instance of its own",
            )
        return replace(self._settings.defaults, username=username)


def _refuse_if_off(consumer: Consumer) -> None:
    if not consumer.enabled:
        raise Refusal(NO_PERMISSION, reason=f"consumer '{consumer.username}' is switched off")
