"""Plugin instances: one configuration of the plugin each, as Kong's workers start and close them."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from time import time
from typing import Any

from .pdk import Kong

log = logging.getLogger(__name__)

PHASES = ("certificate", "rewrite", "log", "access", "preread", "response")
"""The phases that Kong runs plugins in, in the order in which kong-pdk reports them
(`kong_pdk.module.phases`)."""

Handler = Callable[[Kong], object]


class Instance:
    """One configuration and the plugin object made of it; without a plugin object when it could not be
    made."""

    __slots__ = ("_closing", "_running", "config", "handlers", "id", "plugin", "started")

    def __init__(self, instance_id: int, config: Any, plugin: Any) -> None:
        self.id = instance_id
        self.config = config
        self.plugin = plugin
        self.started = time()
        self.handlers: dict[str, Handler] = {
            phase: getattr(plugin, phase) for phase in PHASES if hasattr(plugin, phase)
        }
        self._running = 0
        self._closing: Callable[[], object] | None = None

    def enter(self) -> None:
        self._running += 1

    def leave(self) -> None:
        self._running -= 1
        if not self._running and self._closing is not None:
            self._closing()

    def when_unused(self, close: Callable[[], object]) -> None:
        """Call `close` when no event of this instance runs any more."""
        if self._running:
            self._closing = close
        else:
            close()


class Instances:
    """The instances of a process, by id."""

    def __init__(self) -> None:
        self._by_id: dict[Any, Instance] = {}
        # Kong remembers the id across a restart of this process: a number that came again would be another
        # configuration. 53 bits are exact in Lua's numbers.
        self._next_id = secrets.randbits(52)

    def add(self, config: Any, plugin: Any) -> Instance:
        instance = Instance(self._next_id, config, plugin)
        self._next_id += 1
        self._by_id[instance.id] = instance
        return instance

    def get(self, instance_id: Any) -> Instance:
        """Raises `UnknownInstance`."""
        try:
            return self._by_id[instance_id]
        except (KeyError, TypeError):
            raise UnknownInstance(instance_id) from None

    def remove(self, instance_id: Any) -> Instance:
        """Raises `UnknownInstance`."""
        instance = self.get(instance_id)
        del self._by_id[instance.id]
        return instance

    def __iter__(self) -> Iterator[Instance]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)


class UnknownInstance(LookupError):
    """Kong starts the instance again when an error contains "no plugin instance" (its `mp_rpc.lua`)."""

    def __str__(self) -> str:
        return f"no plugin instance #{self.args[0]}"
