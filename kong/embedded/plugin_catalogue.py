"""Which plugins this gateway knows: name, priority, version, phases and configuration schema of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PluginDefinition:
    """A plugin that may be configured. `config_fields` is Kong's schema as data: [{field name: {type: ...}}, ...]."""

    name: str
    priority: int
    version: str
    config_fields: Sequence[Mapping[str, Mapping[str, Any]]]
    phases: tuple[str, ...] = ()  # of an external plugin, as its dump names them
    bundled: bool = False

    @classmethod
    def from_dump(cls, dump: str | bytes) -> PluginDefinition:
        """The first plugin of what a plugin server prints for `-dump` (Kong uses no other).

        Raises ValueError when the text is not JSON or describes no plugin.
        """
        raise NotImplementedError


class PluginCatalogue(Mapping[str, PluginDefinition]):
    """Plugin definitions by name."""

    def __init__(self, definitions: Iterable[PluginDefinition]) -> None:
        raise NotImplementedError

    @classmethod
    def of(cls, enabled: Iterable[str], external: Iterable[PluginDefinition]) -> PluginCatalogue:
        """What `plugins = …` of kong.conf enables: `bundled` stands for every bundled plugin that is supported here.

        Raises ConfigurationError for a name that is neither bundled nor external.
        """
        raise NotImplementedError
