"""The plugins that the check can judge: Kong's bundled ones as far as they are described, and this project's three."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kong_declarative import bundled_schemas, lua_plugin
from kong_declarative.plugin_catalogue import PluginCatalogue, PluginDefinition, bundled
from kong_declarative.schema import Field, Schema
from yeastar_adapter import __version__, schema
from yeastar_adapter.schema import PRIORITY, SCHEMA

from ..lua_path import lua_root

ADAPTER = schema.NAME
READER, GUARD = "yeastar-reader", "yeastar-guard"
OURS = (READER, ADAPTER, GUARD)
OTHER_BUNDLED = bundled_schemas.UNSUPPORTED
CONFIG = Schema({"fields": SCHEMA}, records_required=True)


@lru_cache
def definitions() -> dict[str, PluginDefinition]:
    """By name. Reader and guard as their Lua files say."""
    folder = lua_root() / "kong" / "plugins"
    config = {"type": "record", "fields": SCHEMA}
    adapter = PluginDefinition(
        ADAPTER, PRIORITY, __version__, {"name": ADAPTER, "fields": [{"config": config}]}
    )
    found = [*bundled(), adapter, *(lua_plugin.load(folder / name) for name in (READER, GUARD))]
    return {definition.name: definition for definition in found}


@lru_cache(maxsize=16)
def catalogue(names: frozenset[str]) -> PluginCatalogue:
    """A catalogue in which the plugins `names` are there too, taken with any configuration."""
    known = definitions()
    others = [PluginDefinition.unjudged(name) for name in sorted(names - set(known))]
    return PluginCatalogue([*known.values(), *others], all_kinds=True)


def takes_consumer(name: str) -> bool:
    """Whether an instance of a plugin may belong to a consumer; of one that is not known: yes."""
    definition = definitions().get(name)
    return definition is None or definition.takes_consumer


def config_field(path: tuple[Any, ...]) -> Field | None:
    """The field of the adapter's configuration at a path of a file."""
    field: Field | None = None
    schema: Schema | None = CONFIG
    for part in path:
        if schema is not None:
            field = schema.fields.get(str(part))
        elif field is not None:
            field = field.elements if isinstance(part, int) else field.values
        if field is None:
            return None
        schema = field.record
    return field
