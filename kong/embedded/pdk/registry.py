"""The table of PDK functions. Lua code and the plugin server call the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kong.embedded.http.exchange import Exchange
from kong.embedded.phases import refuse


@dataclass(frozen=True)
class Function:
    """One PDK function. `call(exchange, *args)` returns a value, or a tuple for Lua's several values."""

    name: str
    call: Callable[..., Any]
    phases: int
    reads_body: bool = False


FUNCTIONS: dict[str, Function] = {}  # kong.*
NGX_FUNCTIONS: dict[str, Function] = {}  # ngx.*: for Lua code only


def pdk(
    name: str, phases: int, *, reads_body: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function under its Kong name, with the phases it may be called in.

    `reads_body`: the caller must have awaited `Exchange.read_body` before.
    """

    def enter(call: Callable[..., Any]) -> Callable[..., Any]:
        table = NGX_FUNCTIONS if name.startswith("ngx.") else FUNCTIONS
        table[name] = Function(name, call, phases, reads_body)
        return call

    return enter


def invoke(exchange: Exchange, function: Function, args: list[Any]) -> Any:
    """Call a PDK function as Lua would: missing arguments are nil, surplus ones are ignored.

    Raises LuaError for a wrong phase or argument, PhaseEnd when the call ends the phase.
    """
    if not exchange.phase & function.phases:
        raise refuse(exchange.phase, function.phases)
    return function.call(exchange, *args)
