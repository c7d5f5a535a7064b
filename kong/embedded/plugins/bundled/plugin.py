"""What a bundled plugin is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from kong.embedded.http.exchange import Exchange, Worker


class BundledPlugin:
    """A plugin inside the gateway; one object a worker.

    A subclass has a method for each phase it takes part in, called with the exchange and the configured instance. They
    call PDK functions and may raise what those raise. `rewrite`, `access` and `response` may be coroutines.
    """

    name: ClassVar[str]
    priority: ClassVar[int]

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def needs_body(self, exchange: Exchange) -> bool:
        """Whether the access phase reads the request's body, which then has to be there before."""
        return False

    def defines(self, phase: str) -> bool:
        return hasattr(self, phase)
