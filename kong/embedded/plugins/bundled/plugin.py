"""What a bundled plugin is."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange, Worker


class BundledPlugin:
    """A plugin inside the gateway; one object a worker.

    A subclass defines the phases it takes part in, each called with the exchange and the configured instance. They
    call PDK functions and may raise what those raise. `rewrite`, `access` and `response` may be coroutines.
    """

    name: ClassVar[str]
    priority: ClassVar[int]

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def needs_body(self, exchange: Exchange) -> bool:
        """Whether the access phase reads the request's body, which then has to be there before."""
        return False

    def rewrite(self, exchange: Exchange, instance: PluginInstance) -> Awaitable[None] | None:
        raise NotImplementedError

    def access(self, exchange: Exchange, instance: PluginInstance) -> Awaitable[None] | None:
        raise NotImplementedError

    def header_filter(self, exchange: Exchange, instance: PluginInstance) -> None:
        raise NotImplementedError

    def body_filter(self, exchange: Exchange, instance: PluginInstance) -> None:
        raise NotImplementedError

    def log(self, exchange: Exchange, instance: PluginInstance) -> None:
        raise NotImplementedError

    def response(self, exchange: Exchange, instance: PluginInstance) -> Awaitable[None] | None:
        raise NotImplementedError

    def defines(self, phase: str) -> bool:
        return getattr(type(self), phase) is not getattr(BundledPlugin, phase)
