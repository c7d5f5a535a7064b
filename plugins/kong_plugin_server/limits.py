"""How long and how large anything may get in the plugin server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """All times are in seconds."""

    handler_timeout: float = 30.0
    """A handler that keeps Kong waiting longer is ended and the request answered with the error response."""
    step_timeout: float = 90.0
    """An event that waits longer for Kong's next step is unwound. Kong answers a PDK call in microseconds, or never: a
    call that fails inside Kong ends the request there, and the plugin server is not told."""
    closed_connection_timeout: float = 5.0
    """The same when the connection of its last message was closed. Not at once: Kong closes idle
    connections for reasons of its own, and the next step may arrive on another."""
    stale_message_age: float = 1.0
    """Kong sends nothing on a connection before its answer has come. If a further message does arrive, and
    the one before has waited this long, Kong has given it up, and an answer to it would be taken for the
    further message's."""
    max_blocking_time: float = 10.0
    """Code that has not let the event loop run for so long is interrupted."""
    watchdog_timeout: float = 60.0
    """If that does not help, the process ends, and Kong starts another."""
    graceful_shutdown_timeout: float = 8.0
    """How long running events have after SIGTERM. `docker stop` kills after ten."""
    takeover_timeout: float = 60.0
    """How long a server serves on that is to stop while its Kong goes on: the next one may still be loading. After that
    one has begun, how long it may keep the worker that has started it from ending."""
    busy_poll: float = 0.00015
    """How long the event loop polls for Kong's next step instead of sleeping, when only one event is open."""
    max_message_bytes: int = 16 * 1024 * 1024
    max_unsent_bytes: int = 32 * 1024 * 1024
    """A connection whose peer does not read is closed when this much waits to be sent."""
    max_open_events: int = 2000
    """Beyond, the event that has waited longest for Kong makes room for a new one: one that Kong is busy with
    waits microseconds. An open event takes about 10 KB."""
    max_idle_greenlets: int = 64
    """Greenlets kept for the next event: a new one costs more than a PDK call."""
