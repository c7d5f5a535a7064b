"""The plugin server: Kong's side of the socket on one end, the plugin's handlers on the other."""

from __future__ import annotations

import _socket
import contextlib
import json
import logging
import os
import signal
import traceback
from collections.abc import Iterator
from itertools import islice
from time import monotonic, time
from typing import Any

import gevent
from gevent.event import Event
from greenlet import greenlet

from . import stderr
from .connection import Connection, Method
from .counters import ServerCounters
from .events import SWEEP_INTERVAL, EventLoopBlocked, Events, UnknownEvent
from .instances import Instance, Instances, UnknownInstance
from .limits import Limits
from .listener import CannotListen, Listener, connect
from .pdk import PDKError
from .plugin_spec import PluginSpec
from .process_tree import is_nginx_master, is_shutting_down, nginx_master, nginx_worker, nginx_workers
from .redaction import Redactor
from .rpc import FROM_NEW_SERVER, FROM_OLD_SERVER, IDENTIFY, TAKE_CONNECTION, error, result
from .takeover import NewServer, OldServer, OtherServer, TakeoverRule
from .watchdog import Watchdog

log = logging.getLogger(__name__)

STEPS = ("", "Consumer", "Credential", "MemoryStats", "MultiMap", "Plugin", "Route", "Service")
"""Kong names a step by the type of what it brings (`kong_pdk.server.entities`); what to do with it is the
same."""

HANDED_OVER_AT_ONCE = 64
"""Connections that a new server is given at a time: what it has not read yet must leave room for a request."""

DRAIN_INTERVAL = 0.05
"""Seconds between two looks, while stopping, whether running events are done."""


class Server:
    """Serves one plugin on one socket, in the event loop of the thread that calls `run`; ends with the
    process `parent`.

    takeover: whether the place of a server may be taken that listens at the socket's path already.
    """

    def __init__(
        self, spec: PluginSpec, limits: Limits, listener: Listener, takeover: TakeoverRule, parent: int
    ) -> None:
        self.spec = spec
        self.takeover = takeover
        self.limits = limits
        self.counters = ServerCounters()
        self.instances = Instances()
        self.connections: set[Connection] = set()
        self._hub = gevent.get_hub()
        self._redact = Redactor()
        self.events = Events(
            self._hub, limits, self.counters, spec.error_response, spec.last_calls, self._redact
        )
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
            IDENTIFY: self._identify,
            TAKE_CONNECTION: self._take_connection,
        }
        self._methods.update({f"plugin.Step{kind}": self.events.step for kind in STEPS})
        self._parent = parent
        self._master = nginx_master(parent)
        self._worker = nginx_worker(parent, self._master)
        """The worker that reads this server's output; None where it is not Kong's, and when it need not any more."""
        self._listener = listener
        self._accepting: Any = None
        self._old_server: OldServer | None = None
        self._new_server: NewServer | None = None
        self._cannot_listen = ""
        self._starting: set[Connection] = set()
        """Connections that a StartInstance is under way on."""
        self._draining = self._hub.loop.timer(DRAIN_INTERVAL, DRAIN_INTERVAL)
        self._stop_by: float | None = None
        self._leave_by: float | None = None
        self._release_by: float | None = None
        self._stopped = Event()

    @property
    def is_superseded(self) -> bool:
        """Whether another server listens at the socket's path now, as after `kong reload`."""
        return self._new_server is not None and self._new_server.serves

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, or until the parent process is gone.

        Both happen at `kong reload` too, often before the next server listens: then this one serves on until it has
        been superseded. Raises CannotListen.
        """
        # Before the socket is taken: a signal would end the process with the path in its name, and nobody there.
        with self._signal_handlers():
            self._listen()
            watchdog = Watchdog(self._hub, self.limits.max_blocking_time, self.limits.watchdog_timeout)
            tick = self._hub.loop.timer(SWEEP_INTERVAL, SWEEP_INTERVAL)
            tick.start(self._tick, watchdog)
            try:
                self._stopped.wait()
            finally:
                for watcher in (tick, self._draining):
                    watcher.stop()
                watchdog.close()
                self._close()

    @contextlib.contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        watchers = [self._hub.loop.signal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        for watcher in watchers:
            watcher.start(self._asked_to_stop)
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.stop()

    def _listen(self) -> None:
        """Take the socket's path. Raises CannotListen."""
        replaced = self._listener.listen(self.takeover)
        if replaced is not None:
            self._old_server = OldServer(replaced, self._hub.loop, self.limits.max_message_bytes)
        self._start_accepting()
        log.info("%s %s serves at %s", self.spec.name, self.spec.version, self._listener.path)

    def _start_accepting(self) -> None:
        self._accepting = self._hub.loop.io(self._listener.socket.fileno(), 1)
        self._accepting.start(self._accept)

    def _check_path(self) -> None:
        """See to it that somebody serves at the socket's path: this server, or one that has taken its place."""
        if self._stop_by is not None:
            return
        if self._listener.owns_path:
            self._leave_to(None)
        elif self._new_server is None or self._new_server.closed:
            self._leave_to(None)
            try:
                other = connect(self._listener.path)
            except OSError:  # it has too much to do to be asked
                return
            if other is None:
                self._listen_again()
            else:
                new_server = NewServer(other, self._hub.loop, self.limits.max_message_bytes, self._check_path)
                self._leave_to(new_server)

    def _leave_to(self, new_server: NewServer | None) -> None:
        """Watch a server that has taken the path, or none."""
        if self._new_server is not None:
            self._new_server.close()
        self._new_server = new_server

    def _listen_again(self) -> None:
        """Take the path back that was removed, or that was taken by a server that does not live."""
        self._accept()
        self._accepting.stop()
        self._accepting.close()
        try:
            self._listener.listen(lambda _: "another server listens there")
        except CannotListen as failure:
            if str(failure) != self._cannot_listen:
                self._cannot_listen = str(failure)
                log.error("the socket's path is gone and cannot be used: %s; retrying", failure)
        else:
            self._cannot_listen = ""
            log.warning("the socket %s was gone: listening again", self._listener.path)
        self._start_accepting()

    def _hand_connections_over(self) -> None:
        """Give Kong's connections to the new server: those on which no answer is due from this one."""
        new = self._new_server
        if new is None or new.closed or not new.takes_connections:
            return
        busy = self.events.connections() | self._starting | new.waiting_connections()
        if self._old_server is not None:
            busy |= self._old_server.waiting_connections()
        free = (c for c in self.connections - busy if not c.multiplexed and c.is_between_messages)
        for connection in tuple(islice(free, HANDED_OVER_AT_ONCE)):
            new.hand_over(connection)

    def _take_connection(self, _: Connection, __: Any, sock: _socket.socket) -> None:
        """The old server hands a connection of Kong's over."""
        self._add_connection(sock)

    def _keep_worker(self, worker: int) -> None:
        """Keep the worker that has started this server from ending while the server is needed, and no longer.

        Kong's worker reads the server's output. One that is to end goes on reading until it has waited for 10 s, or
        the pipe is closed; when it ends then, it kills the server, whoever still has a request there: a new worker,
        whose own plugin server is still loading, or another that ends. And at the stop of a gateway the 10 s are time
        in which nobody is served.
        """
        if not is_shutting_down(worker):
            self._release_by = None
        elif self._may_end(worker):
            self._worker = None
            stderr.release_reader()
            return
        stderr.keep_reader_waiting()

    def _may_end(self, worker: int) -> bool:
        if self._release_by is None:
            self._release_by = monotonic() + self.limits.takeover_timeout
        if self.is_superseded and not self.events and not self._is_in_use:
            return True
        if monotonic() > self._release_by:
            return True
        # The last one, of a Kong that stops: it ends with its last request.
        return self._master is not None and nginx_workers(self._master) <= {worker}

    @property
    def _is_in_use(self) -> bool:
        """Whether Kong has a connection to this server, or may reach the server before it through this one only."""
        if self._old_server is not None and not self._old_server.closed:
            return True
        return any(not connection.multiplexed for connection in self.connections)

    def _asked_to_stop(self) -> None:
        if self._stop_by is None and self._leave_by is None and self._has_kong and not self.is_superseded:
            log.info("stop requested: serving until the next server listens")
            self._leave_by = monotonic() + self.limits.takeover_timeout
        else:
            self.stop()

    @property
    def _has_kong(self) -> bool:
        """Whether the Kong that this server belongs to goes on."""
        return self._master is not None and is_nginx_master(self._master)

    def stop(self) -> None:
        """Take no more connections, let running events finish, then end `run`. A second call ends them."""
        if self._stop_by is not None:
            self._stop_by = 0.0
            return
        self._stop_by = monotonic() + self.limits.graceful_shutdown_timeout
        log.info("stopping: %d events open", len(self.events))
        self._listener.withdraw()
        self._accept()
        self._accepting.stop()
        self._accepting.close()
        self._listener.close()
        self._draining.start(self._drain)

    def _drain(self) -> None:
        self._hand_connections_over()
        busy = self.events or (self.is_superseded and self._is_in_use)
        if self._stop_by is None or (busy and monotonic() < self._stop_by):
            return
        self.events.end_all()
        self._stopped.set()

    def _close(self) -> None:
        self._stop_by = 0.0
        self._leave_to(None)
        if self._old_server is not None:
            self._old_server.close()
        for connection in tuple(self.connections):
            connection.close()
        for instance in self.instances:
            self.instances.remove(instance.id)
            with gevent.Timeout(1, False):
                self._close_plugin(instance)

    def _tick(self, watchdog: Watchdog) -> None:
        watchdog.reset(SWEEP_INTERVAL)
        self.events.sweep()
        self._check_path()
        self._hand_connections_over()
        if self._worker is not None:
            self._keep_worker(self._worker)
        if self._stop_by is None:
            if self._leave_by is not None:
                if self.is_superseded or not self._has_kong or monotonic() > self._leave_by:
                    self.stop()
            elif os.getppid() != self._parent:
                log.info("the parent process is gone")
                self._asked_to_stop()
            if self._stop_by is None and not self._accepting.active:
                self._accepting.start(self._accept)

    def _accept(self) -> None:
        while True:
            try:
                sock = self._listener.accept()
            except OSError as failure:
                # Out of file descriptors: the socket stays readable, so look again at the next tick, not at
                # once.
                log.error("cannot accept a connection: %s", failure.strerror)
                self._accepting.stop()
                return
            if sock is None:
                return
            self.counters.accepted_connections += 1
            self._add_connection(sock)

    def _add_connection(self, sock: _socket.socket) -> None:
        self.connections.add(
            Connection(
                sock,
                self._hub.loop,
                self._methods,
                self._refuse,
                self._connection_closed,
                self.limits,
                self.counters,
            )
        )

    def _connection_closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection.multiplexed:
            # The server that has taken this one's place, or was about to.
            self._check_path()

    def _refuse(
        self, connection: Connection, message_id: Any, arguments: Any, method: Any, failure: Exception
    ) -> None:
        """Kong must have an answer, or it waits."""
        if isinstance(failure, UnknownEvent) and self._forward(
            connection, message_id, method, arguments, [*self._older(connection), *self._newer(connection)]
        ):
            return
        if isinstance(failure, UnknownInstance) and self._forward(
            connection, message_id, method, arguments, self._newer(connection)
        ):
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

    def _older(self, connection: Connection) -> list[OtherServer]:
        """The server before this one, for a request that does not come from there."""
        old = self._old_server
        return [old] if old is not None and connection.peer != FROM_OLD_SERVER else []

    def _newer(self, connection: Connection) -> list[OtherServer]:
        """The server that has taken this one's place, for a request that does not come from there."""
        new = self._new_server
        return [new] if new is not None and new.serves and connection.peer != FROM_NEW_SERVER else []

    def _forward(
        self, connection: Connection, message_id: Any, method: str, arguments: Any, servers: list[OtherServer]
    ) -> bool:
        """Send a request on to the first of `servers` that takes it, and to the next when that does not know the event.
        False when none takes it."""
        for index, server in enumerate(servers):
            further = servers[index + 1 :]

            def reply(failure: Any, value: Any, further: list[OtherServer] = further) -> None:
                if failure is None:
                    connection.send(result(message_id, value))
                elif "not found" not in str(failure) or not self._forward(
                    connection, message_id, method, arguments, further
                ):
                    connection.send(error(message_id, failure))

            if server.forward(connection, method, arguments, reply):
                return True
        return False

    def _handle_event(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        event = arguments[0]
        instance = self.instances.get(event["InstanceId"])
        phase = event["EventName"]
        counts = self.counters.events
        handler = instance.handlers.get(phase)
        if handler is not None:
            counts[phase] = counts.get(phase, 0) + 1
            self.events.begin(connection, message_id, instance, phase, handler)
        elif instance.plugin is None:
            counts[phase] = counts.get(phase, 0) + 1
            self.counters.failed += 1
            self.events.refuse(connection, message_id, phase)
        else:
            raise PDKError(f"{self.spec.name} has no handler for phase {phase}")

    def _start_instance(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        request = arguments[0]
        self._check_name(request["Name"])
        if self._forward(connection, message_id, "plugin.StartInstance", arguments, self._newer(connection)):
            return
        config = json.loads(request["Config"])
        # In a greenlet of its own: what a plugin does with its configuration may have to wait for something.
        greenlet(self._make_instance, self._hub).switch(connection, message_id, config)

    def _make_instance(self, connection: Connection, message_id: Any, config: Any) -> None:
        self._redact.learn(config)
        plugin = None
        self._starting.add(connection)
        try:
            with gevent.Timeout(self.limits.handler_timeout):
                plugin = self.spec.plugin(config)
        except (Exception, gevent.Timeout, EventLoopBlocked) as failure:  # noqa: BLE001 - its requests are answered, whatever it is
            self.counters.failed_instances += 1
            expected = self.spec.configuration_error
            told = (
                str(failure) if expected and isinstance(failure, expected) else "\n" + traceback.format_exc()
            )
            log.error(
                "the plugin could not be started with this configuration: its requests are refused: %s",
                self._redact(told),
            )
        finally:
            self._starting.discard(connection)
        instance = self.instances.add(config, plugin)
        self.counters.started_instances += 1
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
            "PdkCalls": self.counters.pdk_calls,
        }
        connection.send(result(message_id, status))

    def _get_plugin_info(self, connection: Connection, message_id: Any, arguments: Any) -> None:
        self._check_name(arguments[0])
        connection.send(result(message_id, self.spec.describe()))

    def _identify(self, connection: Connection, message_id: Any, _: Any) -> None:
        answer = {"Pid": os.getpid(), "Gateway": self.takeover.gateway, "TakesConnections": True}
        connection.send(result(message_id, answer))

    def _check_name(self, name: Any) -> None:
        if name != self.spec.name:
            raise PDKError(f"unknown plugin: {name}")
