"""The Lua runtime behind pre-function and post-function (LuaJIT, by lupa)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lupa import luajit21

from kong.embedded import nginx, phases, variables
from kong.embedded.pdk import FUNCTIONS, NGX_FUNCTIONS, invoke
from kong.embedded.phases import LuaError, PhaseEnd
from kong.embedded.values import NULL, Array, is_string, text

if TYPE_CHECKING:
    from kong.embedded.exchange import Exchange

_PRELUDE = Path(__file__).with_name("prelude.lua")


class Chunk:
    """A compiled piece of configuration."""

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
        try:
            result = self._call(*thread)
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


class Lua:
    """One Lua state. `exchange` is the one whose code is running: Lua never runs for two at once."""

    def __init__(self) -> None:
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
        load = self._runtime.execute("return function(text, name) return assert(load(text, name)) end")
        prelude = load(_PRELUDE.read_bytes().decode("latin-1"), "=prelude")
        self._compile, self._as_array, self._is_array = prelude(self._runtime.table_from(self._host()))

    def compile(self, code: str) -> Chunk:
        """Raises LuaError for code that is not Lua."""
        result = self._compile(code.encode("utf-8").decode("latin-1"))
        if isinstance(result, tuple):
            raise LuaError(str(result[1]))
        return Chunk(self, result)

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
            "null": NULL,
            "waits_for_body": self._waits_for_body,
            "var_get": getter(variables.read),
            "var_set": setter(nginx.set_variable),
            "ctx_get": getter(variables.context),
            "ctx_set": setter(variables.set_context),
            "shared_get": getter(lambda exchange, key: exchange.ctx_shared.get(key)),
            "shared_set": setter(_set_shared),
            "plugin_get": getter(lambda exchange, key: exchange.plugin_context().get(key)),
            "plugin_set": setter(_set_plugin),
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
            return invoke(self.exchange, function, [from_lua(arg) for arg in args])

        return self._guard(call), function.reads_body

    def _waits_for_body(self) -> bool:
        exchange = self.exchange
        return exchange.body is None and bool(exchange.phase & (phases.REWRITE | phases.ACCESS))

    def _guard(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """(True, results…), (False, message), or None for the end of the phase."""
        to_lua = self._to_lua

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

    def _to_lua(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._runtime.table_from({key: self._to_lua(item) for key, item in value.items()})
        if isinstance(value, (list, tuple)):
            table = self._runtime.table_from([self._to_lua(item) for item in value])
            return self._as_array(table) if isinstance(value, Array) else table
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
        return value


def _set_shared(exchange: Exchange, key: Any, value: Any) -> None:
    exchange.ctx_shared[key] = value


def _set_plugin(exchange: Exchange, key: Any, value: Any) -> None:
    exchange.plugin_context()[key] = value


def _no_attributes(_object: Any, name: Any, _setting: bool) -> Any:
    raise AttributeError(text(name) if is_string(name) else "no access")
