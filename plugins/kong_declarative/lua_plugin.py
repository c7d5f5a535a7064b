"""A plugin written in Lua (`kong/plugins/NAME/handler.lua` and `schema.lua`) as a definition for the catalogue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kong_declarative import typedefs
from kong_declarative.plugin_catalogue import PluginDefinition

try:
    from lupa.luajit21 import LuaError, LuaRuntime, lua_type
except ImportError:  # a platform without LuaJIT
    from lupa import LuaError, LuaRuntime, lua_type

# What `require "kong.db.schema.typedefs"` gives, as far as a schema may ask for it.
_TYPEDEFS: dict[str, Any] = {
    "no_consumer": typedefs.NO_CONSUMER,
    "protocols": typedefs.PLUGIN_PROTOCOLS,
    "protocols_http": typedefs.PLUGIN_PROTOCOLS_HTTP,
}


def load(folder: Path) -> PluginDefinition:
    """Read `handler.lua` and `schema.lua` of a plugin's folder.

    The schema is run, the handler is not: its PRIORITY and VERSION are read from the text.
    Raises OSError, and ValueError for a schema that cannot be run or handler without priority and version.
    """
    handler = (folder / "handler.lua").read_text(encoding="utf-8")
    priority = re.search(r"^\s*PRIORITY\s*=\s*(-?\d+)", handler, re.MULTILINE)
    version = re.search(r"""^\s*(?:local\s+)?VERSION\s*=\s*["']([^"']+)""", handler, re.MULTILINE)
    if priority is None or version is None:
        raise ValueError(f"{folder / 'handler.lua'} has no PRIORITY or no VERSION")
    definition = _run((folder / "schema.lua").read_text(encoding="utf-8"), str(folder / "schema.lua"))
    if not isinstance(definition, dict) or not isinstance(definition.get("name"), str):
        raise ValueError(f"{folder / 'schema.lua'} returns no schema")
    return PluginDefinition(definition["name"], int(priority[1]), version[1], definition)


def _run(text: str, name: str) -> Any:
    runtime = LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    named: Any = runtime.eval("setmetatable({}, {__index = function(_, k) return {typedef = k} end})")
    run = runtime.eval(
        "function(text, name, typedefs)"
        "  local env = {require = function() return typedefs end, ipairs = ipairs, pairs = pairs}"
        "  local chunk, fault"
        "  if setfenv then chunk, fault = loadstring(text, '=' .. name) else"
        "    chunk, fault = load(text, '=' .. name, 't', env) end"
        "  if not chunk then error(fault, 0) end"
        "  if setfenv then setfenv(chunk, env) end"
        "  return chunk() "
        "end"
    )
    try:
        return _plain(run(text, name, named))
    except LuaError as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _plain(value: Any) -> Any:
    if lua_type(value) != "table":
        return value
    members = dict(value.items())
    if set(members) == {"typedef"}:
        name = members["typedef"]
        if name not in _TYPEDEFS:
            raise ValueError(f"typedefs.{name} is not known here")
        return _TYPEDEFS[name]
    if set(members) == set(range(1, len(members) + 1)):
        return [_plain(members[index]) for index in range(1, len(members) + 1)]
    return {key: _plain(member) for key, member in members.items()}
