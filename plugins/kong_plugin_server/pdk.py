"""`kong`, the object that a plugin's phase handlers are given: every attribute chain under it is a PDK call.

    key = kong.request.get_header("authorization")
    kong.response.exit(401, body, {"WWW-Authenticate": "Bearer"})

A call returns what Kong answers: text as `str`, raw bodies as `bytes`, headers and queries as lists of
values by name, `None` where Kong has nothing to say. It raises `PDKError` when Kong answers with an error.
Arguments are those that kong-pdk takes: whatever MessagePack can carry. `kong.response.exit` and
`kong.response.error` end the handler: `finally` blocks run, nothing after the call does.
"""

from __future__ import annotations

from typing import Any

from greenlet import GreenletExit, getcurrent
from kong_pdk.exception import PDKException
from kong_pdk.pdk import non_return_methods


class PDKError(PDKException):  # type: ignore[misc]
    """A PDK call that Kong refused, or that cannot be made."""


class EventEnded(GreenletExit):  # type: ignore[misc]
    """Unwinds the handler of an event that is over. Not an `Exception`: only `finally` should notice it."""


class Kong:
    """A dotted name under `kong`: its attributes are the names below it, calling it is the PDK call of that
    name. `last_calls` are names, beside those of the PDK, whose call ends the handler.

    One tree serves every event: a call finds its event by the greenlet it is made in. Each name is made
    once, on first use.
    """

    def __init__(self, last_calls: frozenset[str] = frozenset(), name: str = "kong") -> None:
        self._name = name
        self._last_calls = last_calls
        self._ends_event = name in non_return_methods or name in last_calls
        self._is_log = name == "kong.log" or name.startswith("kong.log.")

    def __getattr__(self, name: str) -> Kong:
        if name.startswith("__"):
            raise AttributeError(name)
        child = Kong(self._last_calls, f"{self._name}.{name}")
        setattr(self, name, child)
        return child

    def __call__(self, *arguments: Any) -> Any:
        try:
            ask = getcurrent().ask
        except AttributeError:
            raise PDKError(f"{self._name} was called outside of a phase handler's own greenlet") from None
        if self._is_log:
            arguments = tuple(_loggable(argument) for argument in arguments)
        return ask(self._name, arguments, self._ends_event)

    def __repr__(self) -> str:
        return f"<PDK name {self._name}>"


def _loggable(argument: Any) -> Any:
    """As kong-pdk does: what Kong's logger has no type for is logged as text."""
    return argument if type(argument) in (str, int, list, dict) else str(argument)
