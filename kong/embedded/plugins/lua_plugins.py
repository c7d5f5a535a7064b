"""Plugins in Lua: `kong/plugins/<name>/schema.lua` and `handler.lua` on `lua_package_path`, as Kong finds them.

Kong's counterparts are kong/db/dao/plugins.lua (what it asks of a handler) and kong/runloop/plugins_iterator.lua.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kong_declarative import plugin_schema
from kong_declarative.plugin_catalogue import PluginDefinition

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.phases import LuaError
from kong.embedded.plugins.lua import REPOSITORY, Chunk, Lua, typedef
from kong.embedded.values import NULL, Array, narrow, octets

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Worker

_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+].*)?")
_LISTS = frozenset(
    ("fields", "entity_checks", "shorthand_fields", "one_of", "not_one_of", "match_all", "match_none")
)


class LuaPluginError(Exception):
    """A plugin that Kong would not start with; `str()` is one line that says why."""


def repository_plugins() -> list[str]:
    """The names of the plugins that the repository brings."""
    return sorted(handler.parent.name for handler in Path(REPOSITORY, "kong/plugins").glob("*/handler.lua"))


def load(name: str, package_path: str) -> PluginDefinition:
    """What a plugin is: its schema and, of its handler, priority, version and phases. Raises LuaPluginError."""
    lua = Lua(package_path)
    try:
        schema, handler = lua.load_plugin(name)
    except LuaError as problem:
        raise LuaPluginError(f"{name} plugin is enabled but not installed; {problem}") from None
    definition = _checked(name, _plain(lua, lua.from_lua(schema), name))
    priority, version = handler["PRIORITY"], handler["VERSION"]
    if (
        not isinstance(priority, (int, float))
        or not math.isfinite(priority)
        or priority != math.floor(priority)
    ):
        raise LuaPluginError(
            f'Plugin "{name}" cannot be loaded because its PRIORITY field is not a valid integer number, '
            f'got: "{priority}"'
        )
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise LuaPluginError(
            f'Plugin "{name}" cannot be loaded because its VERSION field does not follow the "x.y.z" format, '
            f'got: "{version}"'
        )
    found = tuple(phase for phase in phases.OF_PLUGINS if lua.method(handler, phase, None) is not None)
    if "response" in found and ("header_filter" in found or "body_filter" in found):
        raise LuaPluginError(
            f'Plugin "{name}" can\'t be loaded because it implements both `response` and `header_filter` or '
            "`body_filter` methods"
        )
    return PluginDefinition(name, int(priority), version, definition, found)


def _plain(lua: Lua, value: Any, name: str, key: Any = None) -> Any:
    """A schema as data: Kong's own definitions in place of their names, functions as Python's."""
    if isinstance(value, Mapping):
        if "typedef" in value:
            changes = {each: item for each, item in value.items() if each != "typedef"}
            return {**typedef(value["typedef"]), **_plain(lua, changes, name)}
        if not value and key in _LISTS:
            return []
        return {
            octets(each).decode() if isinstance(each, str) else each: _plain(lua, item, name, each)
            for each, item in value.items()
        }
    if isinstance(value, (list, Array)):
        return [_plain(lua, item, name) for item in value]
    if isinstance(value, str):
        return octets(value).decode()
    if value is NULL:
        return None
    if value is not None and not isinstance(value, (bool, int, float)):
        if key != "custom_validator":
            raise LuaPluginError(f"schema of plugin '{name}': {key} is not supported by the embedded gateway")
        return _validator(lua, value)
    return value


def _validator(lua: Lua, function: Any) -> Any:
    def error(value: Any) -> str | None:
        ok, *reason = lua.call(function, narrow(value))
        if ok:
            return None
        return octets(reason[0]).decode() if reason and reason[0] else "validation failed"

    return error


def _checked(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    if definition.get("name") != name:
        raise LuaPluginError(f"schema of plugin '{name}': its name is '{definition.get('name')}'")
    faults = plugin_schema.faults(_without_validators(definition))
    if faults:
        raise LuaPluginError(f"schema of plugin '{name}': {'; '.join(faults)}")
    return definition


def _without_validators(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_validators(item) for key, item in value.items() if key != "custom_validator"}
    if isinstance(value, list):
        return [_without_validators(item) for item in value]
    return value


class LuaPlugin:
    """A plugin as one worker runs it: its phases called as `handler:access(conf)`."""

    def __init__(self, definition: PluginDefinition, worker: Worker) -> None:
        self.name = definition.name
        self.priority = definition.priority
        self.phase_names = definition.phases
        self._worker = worker
        self._handler: Any = None
        self._methods: dict[str, tuple[int, dict[str, Chunk]]] = {}

    def defines(self, phase: str) -> bool:
        return phase in self.phase_names

    def start(self) -> None:
        """Load the handler into the worker's Lua state and call its `init_worker`. Raises LuaError."""
        lua = self._worker.lua
        lua.exchange = Exchange(self._worker, phase=phases.INIT_WORKER, plugin=self)
        try:
            _, self._handler = lua.load_plugin(self.name)
            if self._handler["init_worker"] is not None:
                lua.call(self._handler["init_worker"], self._handler)
        finally:
            lua.exchange = None

    def configure(self, instances: list[PluginInstance]) -> None:
        """`handler:configure(configs)`: the configurations from now on. Raises LuaError."""
        if self._handler["configure"] is not None:
            lua = self._worker.lua
            configs = [lua.to_lua(narrow(instance.server_config())) for instance in instances]
            lua.call(self._handler["configure"], self._handler, configs or None)

    def _method(self, phase: str, instance: PluginInstance) -> Chunk:
        known = self._methods.get(instance.id)
        if known is None or known[0] != instance.seq:
            lua = self._worker.lua
            config = lua.to_lua(narrow(instance.server_config()))
            chunks = {name: lua.method(self._handler, name, config) for name in self.phase_names}
            known = self._methods[instance.id] = (
                instance.seq,
                {name: chunk for name, chunk in chunks.items() if chunk is not None},
            )
        return known[1][phase]

    def run(self, exchange: Exchange, instance: PluginInstance, phase: str) -> Awaitable[None]:
        """A phase that may wait for the request's body: rewrite, access, response."""
        return self._method(phase, instance).run_waiting(exchange)

    def filter(self, exchange: Exchange, instance: PluginInstance, phase: str) -> None:
        """header_filter, body_filter, log."""
        self._method(phase, instance).run(exchange)
