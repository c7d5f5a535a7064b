"""The plugin server: Kong's side of the socket on one end, the plugin's handlers on the other."""

from __future__ import annotations

import json
import logging
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

import gevent
from gevent.event import Event as Occurrence
from greenlet import greenlet

from .bounds import Bounds
from .connection import Connection, Method
from .events import BEAT, Events, LastResort, Stuck, UnknownEvent
from .family import is_running, nginx_master
from .instances import PHASES, Instance, Instances, UnknownInstance
from .listener import Listener
from .pdk import PDKError
from .predecessor import Predecessor
from .redaction import Redactor
from .rpc import error, result
from .stall import StallGuard
from .statistics import Statistics

log = logging.getLogger(__name__)

STEPS = ("", "Consumer", "Credential", "MemoryStats", "MultiMap", "Plugin", "Route", "Service")
"""Kong names a step by the type of what it brings (`kong_pdk.server.entities`); what to do with it is the
same."""

DRAINING_BEAT = 0.05
"""Seconds between two looks, while stopping, whether running events are done."""


@dataclass(frozen=True)
class PluginSpec:
    """What Kong is told of a plugin, and what its instances are made of.

    plugin: called with an instance's configuration; its phase handlers are the methods with a phase's name.
    last_resort: the answer to a request whose handler failed.
    configuration_error: what `plugin` raises when it is the configuration that is wrong; its message says so in
    words for an administrator.
    """

    plugin: Callable[[Any], Any]
    name: str
    version: str
    priority: int
    schema: Sequence[Any]
    last_resort: LastResort
    configuration_error: type[Exception] | None = None

    def describe(self) -> dict[str, Any]:
        """As kong-pdk's dump and GetPluginInfo do."""
        return {
            "Name": self.name,
            "Phases": [phase for phase in PHASES if hasattr(self.plugin, phase)],
            "Priority": self.priority,
            "Version": self.version,
            "Schema": {
                "name": self.name,
                "fields": [{"config": {"type": "record", "fields": list(self.schema)}}],
            },
        }


class Server:
    """Serves one plugin on one socket, in the event loop of the thread that calls `run`; ends with the
    process `parent`."""

    def __init__(self, spec: PluginSpec, bounds: Bounds, listener: Listener, parent: int) -> None:
        self.spec = spec
        self.bounds = bounds
        self.statistics = Statistics()
        self.instances = Instances()
        self.connections: set[Connection] = set()
        self._hub = gevent.get_hub()
        self._redact = Redactor()
        self.events = Events(self._hub, bounds, self.statistics, spec.last_resort, self._redact)
        self._started = time()
        self._last_start = 0.0
        self._last_close = 0.0
        self._methods: dict[str, Method] = {
            "plugin.HandleEvent": self._handle_event,
            "plugin.StepError": self.events.step_error,
            "plugin.StartInstance": self._start_instance,
            "plugin.CloseInstance": self._close_instance,
            "plugin.InstanceStatus": self._instance_status,
            "plugin.GetStatus": self._get_status,
            "plugin.GetPluginInfo": self._get_plugin_info,
        }
        self._methods.update({f"plugin.Step{kind}": self.events.step for kind in STEPS})
        self._parent = parent
        self._listener = listener
        self._accepting = self._hub.loop.io(listener.socket.fileno(), 1)
        self._predecessor = (
            Predecessor(listener.predecessor, self._hub.loop, bounds.message_bytes)
            if listener.predecessor is not None
            else None
        )
        self._draining = self._hub.loop.timer(DRAINING_BEAT, DRAINING_BEAT)
        self._stop_by: float | None = None
        self._leave_by: float | None = None
        self._master = nginx_master(parent)
        self._stopped = Occurrence()

    @property
    def is_superseded(self) -> bool:
        """Whether the socket's path is no longer this server's, as after `kong reload`."""
        return not self._listener.owns_path

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, or until the process that started this one is gone.

        Both happen at `kong reload` too, often before the next server listens: then this one serves on until it has
        been superseded.
        """
        loop = self._hub.loop
        signals = [loop.signal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        for watcher in signals:
            watcher.start(self._asked_to_stop)
        self._accepting.start(self._accept)
        guard = StallGuard(self._hub, self.bounds.stalled, self.bounds.stuck)
        beat = loop.timer(BEAT, BEAT)
        beat.start(self._beat, guard)
        try:
            self._stopped.wait()
        finally:
            for watcher in (beat, self._draining, *signals):
                watcher.stop()
            guard.close()
            self._close()

    def _asked_to_stop(self) -> None:
        if self._stop_by is None and self._leave_by is None and self._has_kong and not self.is_superseded:
            log.info("asked to stop: serving until the next server does")
            self._leave_by = monotonic() + self.bounds.succession
        else:
            self.stop()

    @property
    def _has_kong(self) -> bool:
        """Whether the Kong that this server belongs to goes on."""
        return self._master is not None and is_running(self._master)

    def stop(self) -> None:
        """Take no more connections, let running events finish, then end `run`. A second call ends them."""
        if self._stop_by is not None:
            self._stop_by = 0.0
            return
        self._stop_by = monotonic() + self.bounds.draining
        log.info("stopping: %d events open", len(self.events))
        self._listener.withdraw()
        self._accept()
        self._accepting.stop()
        self._accepting.close()
        self._listener.close()
        self._draining.start(self._drain)

    def _drain(self) -> None:
        if self._stop_by is None or (self.events and monotonic() < self._stop_by):
            return
        self.events.end_all()
        self._stopped.set()

    def _close(self) -> None:
        if self._predecessor is not None:
            self._predecessor.close()
        for connection in tuple(self.connections):
            connection.close()
        for instance in self.instances:
            self.instances.remove(instance.id)
            with gevent.Timeout(1, False):
                self._close_plugin(instance)

    def _beat(self, guard: StallGuard) -> None:
        guard.beat(BEAT)
        self.events.sweep()
        if self._stop_by is None:
            if self._leave_by is not None:
                if self.is_superseded or not self._has_kong or monotonic() > self._leave_by:
                    self.stop()
            elif os.getppid() != self._parent:
                log.info("the process that started this one is gone")
                self._asked_to_stop()
            if self._stop_by is None and not self._accepting.active:
                self._accepting.start(self._accept)

    def _accept(self) -> None:
        while True:
            try:
                sock = self._listener.accept()
            except OSError as failure:
                # Out of file descriptors: the socket stays readable, so look again at the next beat, not at
                # once.
                log.error("cannot accept a connection: %s", failure.strerror)
                self._accepting.stop()
                return
            if sock is None:
                return
            self.statistics.accepted_connections += 1
            self.connections.add(
                Connection(
                    sock,
                    self._hub.loop,
                    self._methods,
                    self._refuse,
                    self.connections.discard,
                    self.bounds,
                    self.statistics,
                )
            )

    def _refuse(
        self, connection: Connection, message_id: Any, arguments: Any, method: Any, failure: Exception
    ) -> None:
        """Kong must have an answer, or it waits."""
        if isinstance(failure, UnknownEvent) and self._sent_on(connection, message_id, method, arguments):
            return
        if isinstance(failure, (UnknownInstance, UnknownEvent, PDKError)):
            message = str(failure)
        elif not isinstance(method, str) or method not in self._methods:
            message = f"RPC for {method} is not supported"
        else:
            message = f"bad arguments for {method}"
            log.debug("%s", message, exc_info=failure)
        log.warning("%s: %s", method, message)
        connection.send(error(message_id, message))

    def _sent_on(self, connection: Connection, message_id: Any, method: str, arguments: Any) -> bool:
        predecessor = self._predecessor
        return predecessor is not None and predecessor.forward(connection, message_id, method, arguments)

    def _handle_event(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        event = arguments[0]
        instance = self.instances.get(event["InstanceId"])
        phase = event["EventName"]
        counts = self.statistics.events
        handler = instance.handlers.get(phase)
        if handler is not None:
            counts[phase] = counts.get(phase, 0) + 1
            self.events.begin(connection, message_id, instance, phase, handler)
        elif instance.plugin is None:
            counts[phase] = counts.get(phase, 0) + 1
            self.statistics.failed += 1
            self.events.refuse(connection, message_id, phase)
        else:
            raise PDKError(f"{self.spec.name} has no handler for phase {phase}")

    def _start_instance(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        request = arguments[0]
        self._check_name(request["Name"])
        config = json.loads(request["Config"])
        # In a greenlet of its own: what a plugin does with its configuration may have to wait for something.
        greenlet(self._make_instance, self._hub).switch(connection, message_id, config)

    def _make_instance(self, connection: Connection, message_id: Any, config: Any) -> None:
        self._redact.learn(config)
        plugin = None
        try:
            with gevent.Timeout(self.bounds.handler):
                plugin = self.spec.plugin(config)
        except (Exception, gevent.Timeout, Stuck) as failure:  # noqa: BLE001 - its requests are answered, whatever it is
            self.statistics.failed_instances += 1
            expected = self.spec.configuration_error
            told = (
                str(failure) if expected and isinstance(failure, expected) else "\n" + traceback.format_exc()
            )
            log.error(
                "the plugin could not be started with this configuration: its requests are refused: %s",
                self._redact(told),
            )
        instance = self.instances.add(config, plugin)
        self.statistics.started_instances += 1
        self._last_start = instance.started
        log.info("instance #%d started", instance.id)
        connection.send(result(message_id, self._status(instance)))

    def _close_instance(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        instance = self.instances.remove(arguments[0])
        self._last_close = time()
        log.info("instance #%d closed", instance.id)
        connection.send(
            result(message_id, {"Name": self.spec.name, "Id": instance.id, "Config": instance.config})
        )
        instance.when_unused(lambda: gevent.spawn(self._close_plugin, instance))

    def _close_plugin(self, instance: Instance) -> None:
        close = getattr(instance.plugin, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception:  # noqa: BLE001 - a plugin that cannot close must not keep the others from it
            log.error("instance #%d did not close\n%s", instance.id, self._redact(traceback.format_exc()))

    def _instance_status(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        connection.send(result(message_id, self._status(self.instances.get(arguments[0]))))

    def _status(self, instance: Instance) -> dict[str, Any]:
        return {
            "Name": self.spec.name,
            "Id": instance.id,
            "Config": instance.config,
            "StartTime": instance.started,
        }

    def _get_status(self, connection: Connection, message_id: Any, _: Any) -> None:
        status = {
            "Pid": os.getpid(),
            "Plugins": {
                self.spec.name: {
                    "Name": self.spec.name,
                    "Modtime": self._started,
                    "LoadTime": self._started,
                    "Instances": [self._status(instance) for instance in self.instances],
                    "LastStartInstance": self._last_start,
                    "LastCloseInstance": self._last_close,
                }
            },
            "OpenEvents": len(self.events),
            "Handlers": self.events.handlers,
            "Connections": len(self.connections),
            "PdkCalls": self.statistics.pdk_calls,
        }
        connection.send(result(message_id, status))

    def _get_plugin_info(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        self._check_name(arguments[0])
        connection.send(result(message_id, self.spec.describe()))

    def _check_name(self, name: Any) -> None:
        if name != self.spec.name:
            raise PDKError(f"no plugin of that name here: {name}")
