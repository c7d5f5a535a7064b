"""Host names of services; stands for Kong's DNS client."""

from __future__ import annotations

import asyncio
import ipaddress
import time

_RESOLVED_SECONDS = 5.0


class NameNotResolved(Exception):
    """A service's host has no address."""


class Resolver:
    """Host names → addresses, remembered for a few seconds."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, str]] = {}

    async def resolve(self, host: str) -> str:
        """Raises NameNotResolved."""
        try:
            return str(ipaddress.ip_address(host.strip("[]")))
        except ValueError:
            pass
        known = self._known.get(host)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, type=1)
        except OSError as problem:
            raise NameNotResolved(host) from problem
        address = str(sorted(found, key=lambda item: item[0])[0][4][0])
        self._known[host] = (time.monotonic() + _RESOLVED_SECONDS, address)
        return address
