"""Lua's own pattern matching, for schemas that say `match = "^%+[1-9]%d+$"`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import lupa

try:
    from lupa.luajit21 import LuaRuntime
except ImportError:  # a platform without LuaJIT: patterns and syntax are the same
    from lupa import LuaRuntime

# A Lua state serves one thread at a time.
_lock = threading.Lock()


@functools.cache
def _function(name: str) -> Callable[..., object]:
    runtime = LuaRuntime(encoding=None, register_eval=False, unpack_returned_tuples=True)
    found: Callable[..., object] = runtime.eval(name)
    return found


def matches(text: str, pattern: str) -> bool:
    """Whether `text:match(pattern)` finds something. Raises ValueError for a malformed pattern."""
    with _lock:
        try:
            found = _function("string.find")(text.encode(), pattern.encode())
        except lupa.LuaError as error:
            raise ValueError(str(error).splitlines()[0]) from None
    return found is not None


def syntax_error(chunk: str) -> str | None:
    """What Lua has against the syntax of `chunk`, or None."""
    with _lock:
        loaded = _function("loadstring or load")(chunk.encode())
    return loaded[1].decode(errors="replace") if isinstance(loaded, tuple) else None
