"""The table of PDK functions. Lua code and the plugin server call the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kong.embedded.http.exchange import Exchange
from kong.embedded.phases import LuaError, refuse


@dataclass(frozen=True)
class Function:
    """One PDK function. `call(exchange, *args)` returns a value, or a tuple for Lua's several values."""

    name: str
    call: Callable[..., Any]
    phases: int
    reads_body: bool = False


# What a Kong has and this gateway has not: no plugin of the project calls it.
ABSENT = frozenset(
    f"kong.{module}.{name}"
    for module, names in {
        "client": "get_forwarded_port get_port get_protocol",
        "ip": "is_trusted",
        "log": "serialize",
        "nginx": "get_statistics get_subsystem get_tls1_version_str req_start_time",
        "node": "get_hostname get_memory_stats",
        "request": "get_body get_forwarded_host get_forwarded_path get_forwarded_port get_forwarded_prefix "
        "get_forwarded_scheme get_port get_query_arg get_raw_path get_start_time get_uri_captures",
        "service": "set_retries set_timeouts set_upstream",
        "service.request": "set_body set_query set_raw_query set_scheme",
        "service.response": "get_body",
        "vault": "get",
    }.items()
    for name in names.split()
)

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


def absent(name: str) -> LuaError:
    return LuaError(f"{name} is not supported by the embedded gateway")


def invoke(exchange: Exchange, function: Function, args: list[Any]) -> Any:
    """Call a PDK function as Lua would: missing arguments are nil, surplus ones are ignored.

    Raises LuaError for a wrong phase or argument, PhaseEnd when the call ends the phase.
    """
    if not exchange.phase & function.phases:
        raise refuse(exchange.phase, function.phases)
    return function.call(exchange, *args)
