"""What a plugin is: its code, and what Kong wants to know of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .instances import PHASES

ErrorResponse = tuple[int, str, dict[str, str]]
"""Status, body and headers of the answer to a request whose handler failed."""

KONGS_ERROR: ErrorResponse = (
    500,
    '{"message":"An unexpected error occurred"}',
    {"Content-Type": "application/json; charset=utf-8"},
)
"""What Kong itself answers then."""


@dataclass(frozen=True)
class PluginSpec:
    """What Kong is told of a plugin, and what its instances are made of.

    plugin: called with an instance's configuration, usually a class; what it returns has a method for each phase that
        it wants to run in (`instances.PHASES`), which is called with `kong`, the PDK; and `close`, if it has something
        to close.
    name, version, priority, schema: as in a Lua plugin's `handler.lua` and `schema.lua`; the schema is the list of the
        fields of `config`.
    error_response: the answer to a request whose handler failed: status, body, headers.
    configuration_error: what `plugin` raises when it is the configuration that is wrong; its message says so in
        words for an administrator, without a traceback.
    last_calls: functions that a Lua plugin has put under `kong`, such as `kong.hello.finish`, and that end the handler
        as `kong.response.exit` does: they end with `coroutine.yield()`, and Kong sends nothing after them.
    """

    plugin: Callable[[Any], Any]
    name: str
    version: str
    priority: int
    schema: Sequence[Any]
    error_response: ErrorResponse = KONGS_ERROR
    configuration_error: type[Exception] | None = None
    last_calls: frozenset[str] = frozenset()

    def describe(self) -> dict[str, Any]:
        """As kong-pdk's dump and GetPluginInfo do."""
        return {
            "Name": self.name,
            "Phases": [phase for phase in PHASES if hasattr(self.plugin, phase)],
            "Priority": self.priority,
            "Version": self.version,
            "Schema": {
                "name": self.name,
                "fields": [{"config": {"type": "record", "fields": list(self.schema)}}],
            },
        }
