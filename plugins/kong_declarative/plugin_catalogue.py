"""Which plugins this gateway knows: name, priority, version, phases and configuration schema of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kong_declarative import bundled_schemas, plugin_schema
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.entity_schemas import EntitySchemas
from kong_declarative.schema import Schema


@dataclass(frozen=True)
class PluginDefinition:
    """A plugin that may be configured. `definition` is its schema: {"fields": [{"config": {…}}, …], …}."""

    name: str
    priority: int
    version: str
    definition: Mapping[str, Any] = field(repr=False)
    phases: tuple[str, ...] = ()  # of an external plugin, as its dump names them
    bundled: bool = False

    @classmethod
    def unjudged(cls, name: str) -> PluginDefinition:
        """A plugin of which only the name is known: any configuration fits."""
        config = {"config": {"type": "record", "abstract": True, "default": {}}}
        return cls(name, 0, "", {"name": name, "fields": [config]})

    @classmethod
    def from_dump(cls, dump: str | bytes) -> PluginDefinition:
        """The first plugin of what a plugin server prints for `-dump` (Kong uses no other).

        Raises ValueError when the text is not JSON, describes no plugin, or its schema is one that Kong refuses.
        """
        try:
            printed = json.loads(dump)
        except ValueError as error:
            raise ValueError(f"failed decoding plugin info: {error}") from None
        plugins = printed.get("Plugins", ()) if isinstance(printed, dict) else printed
        if not isinstance(plugins, list) or not plugins or not isinstance(plugins[0], dict):
            raise ValueError("not a plugin info table")
        plugin = plugins[0]
        for key, kind in (("Name", str), ("Priority", int), ("Version", str), ("Schema", dict)):
            if not isinstance(plugin.get(key), kind):
                raise ValueError(f"plugin info without a valid {key}")
        faults = plugin_schema.faults(plugin["Schema"])
        if faults:
            raise ValueError(
                f"the schema of plugin '{plugin['Name']}' is not one of Kong's: {'; '.join(faults)}"
            )
        return cls(
            name=plugin["Name"],
            priority=plugin["Priority"],
            version=plugin["Version"],
            definition=plugin["Schema"],
            phases=tuple(plugin.get("Phases") or ()),
        )

    @property
    def config_fields(self) -> Sequence[Mapping[str, Mapping[str, Any]]]:
        """The fields of `config`: [{name: {"type": …}}, …]."""
        fields: Sequence[Mapping[str, Mapping[str, Any]]] = next(
            (entry["config"]["fields"] for entry in self.definition["fields"] if "config" in entry), ()
        )
        return fields

    @cached_property
    def schema(self) -> Schema:
        """What it adds to the schema of every plugin entity."""
        return Schema(self.definition, records_required=True)

    @property
    def config_schema(self) -> Schema:
        """The schema of `config`."""
        config = self.schema.fields.get("config")
        return config.record if config is not None and config.record is not None else Schema({"fields": ()})

    @property
    def takes_consumer(self) -> bool:
        """Whether an instance may belong to a consumer; those that establish consumers may not."""
        consumer = self.schema.fields.get("consumer")
        return consumer is None or "eq" not in consumer.definition


class PluginCatalogue(Mapping[str, PluginDefinition]):
    """Plugin definitions by name."""

    def __init__(self, definitions: Iterable[PluginDefinition], *, all_kinds: bool = False) -> None:
        """`all_kinds`: for judging a file that need not run here; see EntitySchemas."""
        self._definitions = {definition.name: definition for definition in definitions}
        self.schemas = EntitySchemas(
            {name: found.schema for name, found in self._definitions.items()}, all_kinds=all_kinds
        )

    @classmethod
    def of(cls, enabled: Iterable[str], external: Iterable[PluginDefinition]) -> PluginCatalogue:
        """What `plugins = …` of kong.conf enables: `bundled` stands for every bundled plugin that runs here.

        Raises ConfigurationError for a name that is neither bundled nor external.
        """
        known = {definition.name: definition for definition in (*bundled(), *external)}
        found: list[PluginDefinition] = []
        faults: list[str] = []
        for name in enabled:
            if name == "bundled":
                found.extend(bundled())
            elif name in known:
                found.append(known[name])
            elif name in bundled_schemas.UNSUPPORTED:
                faults.append(f"plugin '{name}' is not supported by the embedded gateway")
            elif name != "off":
                faults.append(f"{name} plugin is enabled but not installed")
        if faults:
            raise ConfigurationError({"plugins": faults})
        return cls(found)

    def __getitem__(self, name: str) -> PluginDefinition:
        return self._definitions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)


def bundled() -> list[PluginDefinition]:
    """The bundled plugins that this gateway runs."""
    return [
        PluginDefinition(name, priority, bundled_schemas.VERSION, definition, bundled=True)
        for name, (priority, definition) in bundled_schemas.BUNDLED.items()
    ]
