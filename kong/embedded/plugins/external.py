"""A plugin in another process: its instances, as each worker keeps them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from kong.embedded import phases
from kong.embedded.http.exchange import Exchange
from kong.embedded.phases import LuaError
from kong.embedded.plugins.rpc import Event, RpcClient, RpcError

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Worker

# Kong cannot talk to a socket in the other two, whatever a plugin server announces.
USABLE = ("rewrite", "access", "response", "log")


class _Started:
    """An instance at the plugin server, or the promise of one."""

    __slots__ = ("id", "ready", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.id: Any = None
        self.ready = asyncio.Event()


class ExternalPlugin:
    """One worker's view of an external plugin."""

    def __init__(
        self, name: str, priority: int, phase_names: tuple[str, ...], rpc: RpcClient, worker: Worker
    ) -> None:
        self.name = name
        self.priority = priority
        self.phases = 0
        for phase in phase_names:
            if phase in USABLE:
                self.phases |= phases.OF_PLUGINS[phase]
        self.rpc = rpc
        self._worker = worker
        self._instances: dict[str, _Started] = {}

    async def run(self, exchange: Exchange, instance: PluginInstance, phase: str) -> None:
        """Have the plugin server handle a phase.

        A server that cannot be reached, or that does not answer, is logged and otherwise ignored: Kong goes on with
        the request. Raises LuaError when no instance can be started or a PDK call fails, PhaseEnd after an exit.
        """
        while True:
            instance_id = await self._instance_id(instance)
            reason = await Event(self.rpc, exchange).run(instance_id, phase)
            if reason is None:
                return
            if "no plugin instance" not in reason.lower():
                self._worker.log.error(f"[{self.name}] {reason}, request_id: {exchange.request_id}")
                return
            # Kong begins anew as often as it hears this (`mp_rpc.lua`). While one plugin server takes over from another
            # an instance can be started at the one and asked for at the other, more than once.
            self._worker.forget_instances(self.name)
            self._worker.log.warn(f"[{self.name}] {reason}")

    async def _instance_id(self, instance: PluginInstance) -> Any:
        seq, text = self._worker.server_config(instance)
        started = self._instances.get(instance.id)
        while started is not None and started.id is None:
            await started.ready.wait()
            started = self._instances.get(instance.id)
        if started is not None and started.seq == seq:
            return started.id
        former = started.id if started is not None else None
        started = self._instances[instance.id] = _Started(seq)
        try:
            answer = await self.rpc.call("plugin.StartInstance", {"Name": self.name, "Config": text})
            started.id = answer["Id"]
        except (RpcError, KeyError, TypeError) as problem:
            self._worker.log.error(f"[{self.name}] starting instance: {problem}")
            raise LuaError(str(problem)) from problem
        finally:
            if started.id is None and self._instances.get(instance.id) is started:
                del self._instances[instance.id]
            started.ready.set()
        if former is not None:
            with contextlib.suppress(RpcError):  # it went with a server that has died
                await self.rpc.call("plugin.CloseInstance", former)
        return started.id

    def forget_instances(self) -> None:
        """Another worker found that the plugin server has been replaced."""
        self._instances = {key: value for key, value in self._instances.items() if value.id is None}
