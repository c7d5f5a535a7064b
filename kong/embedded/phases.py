"""Kong's phases, and the check that a PDK function makes of the phase it is called in."""

from __future__ import annotations

INIT_WORKER = 0x01
REWRITE = 0x10
ACCESS = 0x20
BALANCER = 0x40
RESPONSE = 0x80
HEADER_FILTER = 0x200
BODY_FILTER = 0x400
LOG = 0x2000
ERROR = 0x01000000
ADMIN_API = 0x10000000
CLUSTER_LISTENER = 0x100

_BEFORE_ANSWER = REWRITE | ACCESS | BALANCER
REQUEST = _BEFORE_ANSWER | RESPONSE | HEADER_FILTER | BODY_FILTER | LOG | ERROR | ADMIN_API | CLUSTER_LISTENER
ANY = 0x7FFFFFFF

# The phases of a plugin, in the order in which a request meets them.
OF_PLUGINS = {
    "rewrite": REWRITE,
    "access": ACCESS,
    "response": RESPONSE,
    "header_filter": HEADER_FILTER,
    "body_filter": BODY_FILTER,
    "log": LOG,
}
NAMES = {
    **{phase: name for name, phase in OF_PLUGINS.items()},
    INIT_WORKER: "init_worker",
    BALANCER: "balancer",
    CLUSTER_LISTENER: "cluster_listener",
    ERROR: "error",
    ADMIN_API: "admin_api",
}


class LuaError(Exception):
    """What `error(...)` is in Kong: ends the plugin's phase and, in most phases, the request with a 500."""


class PhaseEnd(Exception):
    """`ngx.exit`: the phase is over, and nothing after the call runs. Not an error."""


def refuse(current: int, accepted: int) -> LuaError:
    """The error of a function that was called in phase `current` and works in `accepted` only."""
    names = ", ".join(name for phase, name in sorted(NAMES.items()) if phase & accepted)
    here = NAMES.get(current, "'unknown phase'")
    return LuaError(f"function cannot be called in {here} phase (only in: {names})")
