"""Kong's Admin API, as far as this project's tools and tests use it."""

from __future__ import annotations

from aiohttp import web

from kong.embedded.configuration import Store


def create_admin(store: Store, *, node_id: str | None = None) -> web.Application:
    """An application that reads and changes `store`; every accepted change is one `store.replace`."""
    raise NotImplementedError
