"""The Lua runtime behind pre-function, post-function and plugins of their own (LuaJIT, by lupa)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kong_declarative import typedefs
from lupa import luajit21

from kong.embedded import phases
from kong.embedded.pdk import FUNCTIONS, NGX_FUNCTIONS, invoke, variables
from kong.embedded.pdk import ngx as nginx
from kong.embedded.phases import LuaError, PhaseEnd
from kong.embedded.values import NULL, Array, is_string, narrow, octets, text, to_json

if TYPE_CHECKING:
    from kong.embedded.http.exchange import Exchange

_PRELUDE = Path(__file__).with_name("prelude.lua")
REPOSITORY = Path(__file__).resolve().parents[3]
# Where Kong has its own Lua, this gateway has the plugins of the repository.
OWN_PATH = f"{REPOSITORY}/?.lua;{REPOSITORY}/?/init.lua"
DEFAULT_PATH = "./?.lua;./?/init.lua;;"

_TYPEDEFS: dict[str, Mapping[str, Any]] = {
    "no_consumer": typedefs.NO_CONSUMER,
    "no_route": {**typedefs.NO_CONSUMER, "reference": "routes"},
    "no_service": {**typedefs.NO_CONSUMER, "reference": "services"},
    "protocols": typedefs.PLUGIN_PROTOCOLS,
    "protocols_http": typedefs.PLUGIN_PROTOCOLS_HTTP,
}


def typedef(name: str) -> Mapping[str, Any]:
    """What `kong.db.schema.typedefs` calls `name`."""
    return _TYPEDEFS[name]


class Chunk:
    """A compiled piece of configuration, or one phase of a plugin with one configuration."""

    __slots__ = ("_call", "_lua")

    def __init__(self, lua: Lua, call: Callable[..., Any]) -> None:
        self._lua = lua
        self._call = call

    def run(self, exchange: Exchange) -> Any:
        """What the code returns. For the phases in which nothing can wait.

        Raises LuaError for what the code raised, PhaseEnd when it ended the phase (`kong.response.exit`).
        """
        finished, value = self._resume(exchange)
        if not finished:
            raise LuaError("attempt to yield across C-call boundary")
        return value

    async def run_waiting(self, exchange: Exchange) -> Any:
        """The same for the phases in which the code may wait for the request's body. Raises BodyError too."""
        finished, value = self._resume(exchange)
        while not finished:
            await exchange.read_body()
            finished, value = self._resume(exchange, value)
        return value

    def _resume(self, exchange: Exchange, *thread: Any) -> tuple[bool, Any]:
        """(True, result), or (False, the thread to go on with once the body is there)."""
        lua = self._lua
        outer, lua.exchange = lua.exchange, exchange
        lua.ended = False
        if exchange.lua is None:
            exchange.lua = RequestState(lua, exchange)
        plugin = exchange.plugin
        try:
            result = self._call(exchange.lua.tables, plugin.id if plugin is not None else "", *thread)
        except luajit21.LuaError as problem:
            raise LuaError(str(problem)) from None
        finally:
            lua.exchange = outer
        if lua.ended:
            lua.ended = False
            raise PhaseEnd
        outcome, value = result if isinstance(result, tuple) else (result, None)
        if outcome is None:
            return False, value
        if outcome is not True:
            raise LuaError(str(value))
        return True, lua.from_lua(value)


class RequestState:
    """What Lua code keeps for one request, as the rest of the gateway reads and writes it.

    Once a request has met Lua, these tables alone hold `kong.ctx.shared`, and all of `ngx.ctx` that is not Kong's own.
    """

    def __init__(self, lua: Lua, exchange: Exchange) -> None:
        self._lua = lua
        self.tables = lua.new_request()
        self._ctx, self._shared = self.tables["ctx"], self.tables["shared"]
        for key in [key for key in exchange.ctx if key not in variables.GATEWAY_KEYS]:
            self.set_context(key, exchange.ctx.pop(key))
        for key, value in exchange.ctx_shared.items():
            self.set_shared(key, value)

    def get_context(self, key: Any) -> Any:
        return self._lua.from_lua(self._ctx[key])

    def set_context(self, key: Any, value: Any) -> None:
        self._ctx[key] = self._lua.to_lua(value)

    def get_shared(self, key: Any) -> Any:
        return self._lua.from_lua(self._shared[key])

    def set_shared(self, key: Any, value: Any) -> None:
        self._shared[key] = self._lua.to_lua(value)


class Lua:
    """One Lua state. `exchange` is the one whose code is running: Lua never runs for two at once."""

    def __init__(self, package_path: str = DEFAULT_PATH) -> None:
        self._runtime = luajit21.LuaRuntime(
            encoding="latin-1",
            source_encoding="latin-1",
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        self.exchange: Any = None
        self.ended = False
        self._table_type = type(self._runtime.table())
        self._package_path = (
            package_path.replace(";;", f";{OWN_PATH};") if ";;" in package_path else package_path
        )
        load = self._runtime.execute("return function(text, name) return assert(load(text, name)) end")
        prelude = load(_PRELUDE.read_bytes().decode("latin-1"), "=prelude")(
            self._runtime.table_from(self._host())
        )
        self._compile, self._method = prelude["compile"], prelude["method"]
        self._as_array, self._is_array, self._null = prelude["as_array"], prelude["is_array"], prelude["null"]
        self._load_plugin, self._named = prelude["load_plugin"], prelude["named"]
        self.new_request = prelude["new_request"]

    def compile(self, code: str) -> Chunk:
        """Raises LuaError for code that is not Lua."""
        result = self._compile(code.encode("utf-8").decode("latin-1"))
        if isinstance(result, tuple):
            raise LuaError(str(result[1]))
        return Chunk(self, result)

    def load_plugin(self, name: str) -> tuple[Any, Any]:
        """Schema and handler of `kong.plugins.<name>`, as Lua tables. Raises LuaError."""
        ok, *found = self._load_plugin(name)
        if not ok:
            raise LuaError(str(found[0]))
        return found[0], found[1]

    def method(self, handler: Any, name: str, config: Any) -> Chunk | None:
        """`handler:name(config)`, ready to run; None for a handler without it."""
        call = self._method(handler, name, config)
        return Chunk(self, call) if call is not None else None

    def named(self, path: str, args: list[Any]) -> Chunk | None:
        """The call of a function that a Lua plugin has put under `kong`, such as `kong.yeastar.forward`.

        A plugin server names it as it names a function of the PDK. None where there is none.
        """
        call = self._named(path, self.to_lua(args))
        return Chunk(self, call) if call is not None else None

    def call(self, function: Any, *args: Any) -> tuple[Any, ...]:
        """The results of a Lua function outside of any request. Raises LuaError."""
        try:
            result = function(*(self.to_lua(arg) for arg in args))
        except luajit21.LuaError as problem:
            raise LuaError(str(problem)) from None
        return result if isinstance(result, tuple) else (result,)

    # -- what the prelude calls

    def _host(self) -> dict[str, Any]:
        def getter(read: Callable[[Exchange, Any], Any]) -> Callable[..., Any]:
            return self._guard(lambda key=None: read(self.exchange, self.from_lua(key)))

        def setter(write: Callable[[Exchange, Any, Any], None]) -> Callable[..., Any]:
            return self._guard(
                lambda key=None, value=None: write(self.exchange, self.from_lua(key), self.from_lua(value))
            )

        return {
            "pdk": self._pdk,
            "pdk_names": lambda: self._runtime.table_from(
                [
                    name
                    for name in FUNCTIONS
                    if name.startswith("kong.")
                    and not name.startswith(("kong.ctx.", "kong.nginx.get_", "kong.nginx.set_"))
                ]
            ),
            "context_keys": self._runtime.table_from(dict.fromkeys(variables.GATEWAY_KEYS, True)),
            "typedefs": self._runtime.table_from(dict.fromkeys(_TYPEDEFS, True)),
            "package_path": self._package_path,
            "json_encode": self._guard(lambda value=None: to_json(self.from_lua(value), 14)),
            "service_header": self._guard(self._service_header),
            "json_decode": self._guard(_json_decode),
            "random_bytes": self._guard(lambda count: os.urandom(int(count))),
            "waits_for_body": self._waits_for_body,
            "end_of_handler": self._end_of_handler,
            "var_get": getter(variables.read),
            "var_set": setter(nginx.set_variable),
            "ctx_get": getter(variables.context),
            "ctx_set": setter(variables.set_context),
            "header_get": getter(nginx.get_response_header),
            "header_set": setter(nginx.set_response_header),
            "arg_get": getter(nginx.get_arg),
            "arg_set": setter(nginx.set_arg),
            "setting": getter(nginx.setting),
            "status_get": self._guard(lambda: self.exchange.status),
            "status_set": self._guard(lambda value: nginx.set_status(self.exchange, value)),
            "headers_sent": self._guard(lambda: self.exchange.headers_sent),
        }

    def _pdk(self, name: str) -> tuple[Callable[..., Any], bool]:
        function = FUNCTIONS.get(name) or NGX_FUNCTIONS[name]
        from_lua = self.from_lua

        def call(*args: Any) -> Any:
            given = [from_lua(arg) for arg in args]
            if self.exchange is not None:
                return invoke(self.exchange, function, given)
            if name.startswith("kong.log."):  # in a handler's main chunk: the one who asks what the plugin is
                return None
            try:
                return function.call(None, *given)
            except AttributeError:
                raise LuaError(f"{name} cannot be called outside of a request") from None

        return self._guard(call), function.reads_body

    def _service_header(self, name: str) -> Any:
        """All values of a header of the service's buffered answer: one, or a list."""
        values = self.exchange.service_headers.loose(name)
        return None if not values else values[0] if len(values) == 1 else list(values)

    def _waits_for_body(self) -> bool:
        exchange = self.exchange
        return exchange.body is None and bool(exchange.phase & (phases.REWRITE | phases.ACCESS))

    def _end_of_handler(self) -> None:
        self.ended = True

    def _guard(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """(True, results…), (False, message), or None for the end of the phase."""
        to_lua = self.to_lua

        def guarded(*args: Any) -> Any:
            try:
                result = call(*args)
            except LuaError as problem:
                return False, str(problem)
            except PhaseEnd:
                self.ended = True
                return None
            if isinstance(result, tuple):
                return (True, *(to_lua(item) for item in result))
            return True, to_lua(result)

        return guarded

    def to_lua(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._runtime.table_from({key: self.to_lua(item) for key, item in value.items()})
        if isinstance(value, (list, tuple)):
            table = self._runtime.table_from([self.to_lua(item) for item in value])
            return self._as_array(table) if isinstance(value, Array) else table
        if value is NULL:
            return self._null
        if isinstance(value, int) and not -(2**53) <= value <= 2**53:
            return float(value)  # a number of Lua is nothing else
        return value

    def from_lua(self, value: Any) -> Any:
        """A Lua table as a dict, or as a list when its keys are 1…n; other values as they are."""
        if isinstance(value, self._table_type):
            pairs = {key: self.from_lua(item) for key, item in value.items()}
            count = len(pairs)
            if not count and self._is_array(value):
                return Array()
            if (
                count
                and all(isinstance(key, int) for key in pairs)
                and set(pairs) == set(range(1, count + 1))
            ):
                return [pairs[index] for index in range(1, count + 1)]
            return pairs
        if luajit21.lua_type(value) == "userdata":  # there is only one
            return NULL
        return value


def _json_decode(data: Any = None) -> Any:
    """Raises LuaError for what is not JSON. Arrays that are empty are plain tables, as cjson has them."""
    if not is_string(data):
        raise LuaError("bad argument #1 to 'decode' (string expected)")
    try:
        # Bytes that are not UTF-8 come through: cjson does not look at them
        found = narrow(json.loads(octets(data).decode("utf-8", "surrogateescape")))
    except (ValueError, RecursionError) as problem:
        raise LuaError(f"not JSON: {problem}") from None
    return _with_nulls(found)


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return NULL if value is None else value


def _no_attributes(_object: Any, name: Any, _setting: bool) -> Any:
    raise AttributeError(text(name) if is_string(name) else "no access")
