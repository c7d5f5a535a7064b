"""Events: one run of a phase handler each, from Kong's HandleEvent to the last answer.

A handler is a greenlet. When it makes a PDK call, the call goes out as the answer to the message that Kong
is waiting on, and the greenlet gives way to the event loop; Kong's next step for the event, on whatever
connection it comes, switches straight back into it. A handler that waits for a socket of its own leaves the
loop running in the same way.
"""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Any

from greenlet import greenlet

from .connection import Connection
from .counters import Histogram, ServerCounters
from .instances import Handler, Instance
from .limits import Limits
from .pdk import EventEnded, Kong, PDKError
from .plugin_spec import ErrorResponse
from .rpc import end_of_handler, pdk_call

log = logging.getLogger(__name__)

RUNNING = 1
"""Kong waits for the handler."""
WAITING = 2
"""The handler waits for Kong."""
UNANSWERED = 3
"""The handler went on without Kong's answer (a time limit of its own struck): it cannot call before that
has come."""
CLOSED = 4
"""Kong has its last answer, or will not come back for it."""

SWEEP_INTERVAL = 0.5
"""Seconds between two sweeps."""

MAX_TRACEBACKS = 10
"""Most tracebacks that are logged between two sweeps. Where every request fails, each further one gets a line."""

EXIT_PHASES = frozenset({"access", "response", "rewrite"})
"""Phases in which `kong.response.exit` can answer the request."""


class UnknownEvent(LookupError):
    def __str__(self) -> str:
        return f"event id {self.args[0]} not found"


class EventLoopBlocked(EventEnded):
    """Interrupts a handler that does not let the event loop run."""


class Event(greenlet):  # type: ignore[misc]
    """A greenlet that handles one event after another."""

    __slots__ = (
        "connection",
        "events",
        "handler",
        "id",
        "instance",
        "message_id",
        "phase",
        "since",
        "started",
        "state",
    )

    id: int
    instance: Instance
    phase: str
    handler: Handler
    connection: Connection
    """Where the last message of this event came from."""
    message_id: Any
    since: float
    """When it came."""
    started: float

    def __init__(self, events: Events) -> None:
        super().__init__(None, events.hub)
        self.events = events
        self.state = CLOSED

    def run(self) -> None:
        events = self.events
        events.handlers += 1
        while True:
            try:
                self.handler(events.kong)
                if self.state == RUNNING:
                    self.state = WAITING
                    self.connection.send(end_of_handler(self.message_id, self.id))
            except EventLoopBlocked:
                events.stopped(self)
            except EventEnded:
                pass
            except BaseException as failure:  # noqa: BLE001 - whatever it is, Kong is waiting for an answer
                events.failed(self, failure)
            events.close(self)
            if not events.keep(self):
                events.handlers -= 1
                return
            events.switch_to_hub()

    def ask(self, method: str, arguments: tuple[Any, ...], ends_event: bool) -> Any:
        """Make a PDK call. Raises PDKError, and EventEnded when nothing more will come."""
        events = self.events
        if self.state != RUNNING:
            if self.state == CLOSED:
                raise EventEnded
            raise PDKError("Kong has not answered the PDK call before this one")
        connection = self.connection
        message_id = self.message_id
        answer = pdk_call(message_id, self.id, method, arguments)
        if connection.latest != message_id and events.is_stale(self):
            events.abandon(self)
            raise EventEnded
        events.counters.pdk_calls += 1
        # Before it goes out: the watchdog may interrupt in between, and a message must not be answered twice. Kong
        # would take the second answer for that to its next message.
        self.state = WAITING
        if not connection.send(answer):
            events.abandon(self)
            raise EventEnded
        if ends_event:
            events.close(self)
            raise EventEnded
        self.since = events.now
        if len(events) == 1:
            events.busy_poll()
        try:
            value = events.switch_to_hub()
            while self.state == WAITING:
                value = events.switch_to_hub()
        except BaseException:
            if self.state == WAITING:
                self.state = UNANSWERED
            raise
        return value


class Events:
    """The open events of a process, by id.

    hub: the event loop's greenlet; `begin`, `step` and `sweep` are called in it.
    last_calls: functions that end a handler, beside those of the PDK.
    redact: takes what must not be read out of a text before it is logged.
    """

    def __init__(
        self,
        hub: greenlet,
        limits: Limits,
        counters: ServerCounters,
        error_response: ErrorResponse,
        last_calls: frozenset[str],
        redact: Callable[[str], str],
    ) -> None:
        self.hub = hub
        self.limits = limits
        self.counters = counters
        self.kong = Kong(last_calls)
        self.switch_to_hub: Callable[[], Any] = greenlet.switch.__get__(hub)
        self.now = monotonic() + SWEEP_INTERVAL
        """Seconds, as they will be at the next sweep: costs nothing to read, and makes no wait longer than
        it is."""
        self._redact = redact
        self._open: dict[Any, Event] = {}
        self._tracebacks = 0
        self._idle: list[Event] = []
        self.handlers = 0
        """Greenlets that run, wait, unwind, or are kept for the next event."""
        self._unwinding: dict[Event, float] = {}
        self._error_response = error_response
        # A step for an event of a process that is gone must find none here: see `instances.Instances`.
        self._next_id = secrets.randbits(52)

        self._polling = hub.loop.idle()
        self._poll_until = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def connections(self) -> set[Connection]:
        """Those that Kong waits on for the answer of an open event."""
        return {event.connection for event in self._open.values() if event.state != WAITING}

    def busy_poll(self) -> None:
        """Let the event loop poll for Kong's next step instead of sleeping, for as long as a step takes.

        A process that sleeps is woken late, which at one request at a time is a third of its latency. With more
        under way there is something to do meanwhile.
        """
        self._poll_until = perf_counter() + self.limits.busy_poll
        if not self._polling.active:
            self._polling.start(self._stop_polling)

    def _stop_polling(self) -> None:
        if not self._open or perf_counter() > self._poll_until:
            self._polling.stop()

    def begin(
        self, connection: Connection, message_id: Any, instance: Instance, phase: str, handler: Handler
    ) -> None:
        """Start a handler; returns when it has made its first PDK call, waits for something else, or is
        done."""
        if len(self._open) >= self.limits.max_open_events:
            self._make_room()
        event = self._idle.pop() if self._idle else Event(self)
        event.id = event_id = self._next_id
        self._next_id = event_id + 1
        event.instance = instance
        event.phase = phase
        event.handler = handler
        event.connection = connection
        event.message_id = message_id
        event.since = self.now
        event.started = monotonic()
        event.state = RUNNING
        self._open[event_id] = event
        instance.enter()
        event.switch()

    def step(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        """Give a handler what Kong answers to its PDK call: `[{"EventId", "Data"}]`. Raises UnknownEvent."""
        step = arguments[0]
        event = self._taken_up(connection, message_id, step["EventId"])
        if event is not None:
            event.switch(step.get("Data"))

    def step_error(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        """Raise in a handler what Kong has against its PDK call. Raises UnknownEvent."""
        self.counters.pdk_errors += 1
        step = arguments[0]
        event = self._taken_up(connection, message_id, step["EventId"])
        if event is not None:
            event.throw(PDKError(f"Kong: {step.get('Data')}"))

    def _taken_up(self, connection: Connection, message_id: Any, event_id: Any) -> Event | None:
        """The event, if its handler waits for this message: None if it went on without."""
        event = self._open.get(event_id)
        if event is None:
            raise UnknownEvent(event_id)
        state = event.state
        if state == RUNNING:
            raise PDKError(f"event id {event_id} is not waiting for a step")
        event.connection = connection
        event.message_id = message_id
        event.since = self.now
        event.state = RUNNING
        return event if state == WAITING else None

    def refuse(self, connection: Connection, message_id: Any, phase: str) -> None:
        """Answer an event for which there is no handler to run."""
        event_id = self._next_id
        self._next_id = event_id + 1
        connection.send(self._last_answer(message_id, event_id, phase))

    def _last_answer(self, message_id: Any, event_id: int, phase: str) -> bytes:
        if phase in EXIT_PHASES:
            return pdk_call(message_id, event_id, "kong.response.exit", self._error_response)
        return end_of_handler(message_id, event_id)

    def close(self, event: Event) -> None:
        """Take an event out of the table; its greenlet may still be unwinding."""
        if self._open.pop(event.id, None) is None:
            return
        event.state = CLOSED
        durations = self.counters.durations.get(event.phase)
        if durations is None:
            durations = self.counters.durations[event.phase] = Histogram()
        durations.observe(monotonic() - event.started)
        event.instance.leave()

    def keep(self, event: Event) -> bool:
        """Take a greenlet back whose handler is done. False when there are enough: then it ends."""
        if self._unwinding:
            self._unwinding.pop(event, None)
        del event.handler, event.instance, event.connection
        if len(self._idle) >= self.limits.max_idle_greenlets:
            return False
        self._idle.append(event)
        return True

    def failed(self, event: Event, failure: BaseException) -> None:
        """The handler raised: log it and answer for it."""
        self.counters.failed += 1
        self._tracebacks += 1
        if self._tracebacks <= MAX_TRACEBACKS:
            log.error("%s handler failed\n%s", event.phase, self._redact(traceback.format_exc()))
        else:
            log.error("%s handler failed: %s", event.phase, type(failure).__name__)
        self._answer_last(event)

    def stopped(self, event: Event) -> None:
        """The handler took too long."""
        self.counters.timed_out += 1
        log.error("%s handler ended: it exceeded its time limit", event.phase)
        self._answer_last(event)

    def _answer_last(self, event: Event) -> None:
        if event.state == RUNNING:
            connection, message_id = event.connection, event.message_id
            if connection.latest == message_id or not self.is_stale(event):
                connection.send(self._last_answer(message_id, event.id, event.phase))
        self.close(event)

    def is_stale(self, event: Event) -> bool:
        """Whether Kong must have given up the message that the handler is at, another having come after it."""
        return not event.connection.multiplexed and self.now - event.since > self.limits.stale_message_age

    def abandon(self, event: Event) -> None:
        """Kong will not come back for this event."""
        self.counters.abandoned += 1
        log.info("%s event abandoned by Kong", event.phase)
        self.close(event)

    def sweep(self) -> None:
        """End what has outlived its limit. Called every `SWEEP_INTERVAL`."""
        limits = self.limits
        now = monotonic()
        self.now = now + SWEEP_INTERVAL
        self._tracebacks = 0
        for event in tuple(self._open.values()):
            if event.state == CLOSED:
                continue
            waited = now - event.since
            if event.state == RUNNING:
                if waited > limits.handler_timeout:
                    self.stopped(event)
                    self._unwind(event)
            elif waited > (
                limits.closed_connection_timeout
                if event.connection.closed and not event.connection.handed_over
                else limits.step_timeout
            ):
                self.abandon(event)
                self._unwind(event)
            elif now - event.started > limits.handler_timeout + limits.step_timeout:
                # It has been calling Kong over and over: the next step finds it gone.
                self.stopped(event)
                self._unwind(event)
        for event, since in tuple(self._unwinding.items()):
            if now - since > limits.handler_timeout:
                log.warning("%s handler is still unwinding", event.phase)
                self._unwind(event)

    def end_all(self) -> None:
        """End every event, answering those that Kong waits on."""
        for event in tuple(self._open.values()):
            if event.state == RUNNING:
                self.stopped(event)
            else:
                self.close(event)
            self._unwind(event)

    def _unwind(self, event: Event) -> None:
        self._unwinding[event] = self.now
        event.throw(EventEnded)

    def _make_room(self) -> None:
        for event in self._open.values():
            if event.state != RUNNING:
                self.abandon(event)
                self._unwind(event)
                return
