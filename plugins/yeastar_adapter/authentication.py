"""Who is calling: by the adapter's own keys, or by the consumer that Kong has authenticated."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Protocol

from .request import Request
from .settings import Consumer, Settings
from .yeastar.errors import AUTHENTICATION_FAILED, NO_PERMISSION, Refusal

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Authentication(Protocol):
    """A way to find out who is calling."""

    def identify(self, request: Request) -> tuple[Consumer, str | None]:
        """The caller, and the id of the credential if Kong does not know it yet.

        Raises Refusal: 10004 for nobody we know, 10005 for a consumer without settings.
        """
        ...

    def consumer(self, username: str) -> Consumer:
        """The consumer of a request that was accepted in an earlier phase. Raises Refusal 10005."""
        ...


def authentication_for(settings: Settings) -> Authentication:
    """The way that the configuration names."""
    return ByKong(settings) if settings.authentication == "kong" else BearerKeys(settings)


class BearerKeys:
    """`authentication: bearer`: the keys of the configuration."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def identify(self, request: Request) -> tuple[Consumer, str | None]:
        """The owner of the Bearer key."""
        header = request.authorization
        match = _BEARER.fullmatch(header) if header else None
        if match is None:
            raise _unauthenticated(
                "no Bearer key" if header is None else "the Authorization header is malformed"
            )
        digest = hashlib.sha256(match[1].encode("utf-8", "surrogateescape")).digest()
        # The look-up takes as long for ten thousand keys as for one. What its timing could tell is about the
        # SHA-256 of a guess, from which nobody gets nearer to a key.
        consumer, credential_id = self._settings.keys.get(digest, (None, ""))
        if consumer is None:
            raise _unauthenticated("the key is unknown")
        return consumer, credential_id

    def consumer(self, username: str) -> Consumer:
        """The consumer of that name."""
        consumer = self._settings.consumers.get(username)
        if consumer is None:
            raise _unknown(username)
        return consumer


class ByKong:
    """`authentication: kong`: the consumer that a Kong authentication plugin has established."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def identify(self, request: Request) -> tuple[Consumer, str | None]:
        """The consumer that Kong has authenticated, if this instance is meant for it."""
        # Without a credential it is the plugin's `anonymous` consumer: somebody who has shown no key.
        if not request.credential:
            raise _unauthenticated("no Kong plugin has authenticated a consumer")
        known = request.consumer or {}
        return self.consumer(str(known.get("username") or known.get("id") or "")), None

    def consumer(self, username: str) -> Consumer:
        """The consumer's own entry, or the settings of an instance that is scoped to it."""
        consumer = self._settings.consumers.get(username)
        if consumer is not None:
            return consumer
        if self._settings.defaults is None:
            raise _unknown(username)
        return replace(self._settings.defaults, username=username)


def _unknown(username: str) -> Refusal:
    return Refusal(
        NO_PERMISSION,
        reason=f"consumer '{username}' has neither an entry in config.consumers nor a plugin instance of its own",
    )


def _unauthenticated(reason: str) -> Refusal:
    """The one answer to every missing, malformed or unknown key."""
    return Refusal(AUTHENTICATION_FAILED, reason=reason, headers={"WWW-Authenticate": "Bearer"})
