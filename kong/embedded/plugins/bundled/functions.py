"""pre-function and post-function: Lua from the configuration, run in Kong's sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange, Worker
    from kong.embedded.plugins.lua import Chunk


class Functions(BundledPlugin):
    """Code is compiled once for a configuration, when the first request needs it."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._compiled: dict[tuple[str, int], dict[str, list[Chunk]]] = {}

    def _chunks(self, phase: str, instance: PluginInstance) -> list[Chunk]:
        phases = self._compiled.get((instance.id, instance.seq))
        if phases is None:
            self._compiled = {key: value for key, value in self._compiled.items() if key[0] != instance.id}
            phases = self._compiled[(instance.id, instance.seq)] = {}
        chunks = phases.get(phase)
        if chunks is None:
            code = instance.config.get(phase) or ()
            chunks = phases[phase] = [self.worker.lua.compile(text) for text in code]
        return chunks

    def _run(self, phase: str, exchange: Exchange, instance: PluginInstance) -> None:
        for chunk in self._chunks(phase, instance):
            chunk.run(exchange)

    async def rewrite(self, exchange: Exchange, instance: PluginInstance) -> None:
        for chunk in self._chunks("rewrite", instance):
            await chunk.run_waiting(exchange)

    async def access(self, exchange: Exchange, instance: PluginInstance) -> None:
        for chunk in self._chunks("access", instance):
            await chunk.run_waiting(exchange)

    def header_filter(self, exchange: Exchange, instance: PluginInstance) -> None:
        self._run("header_filter", exchange, instance)

    def body_filter(self, exchange: Exchange, instance: PluginInstance) -> None:
        self._run("body_filter", exchange, instance)

    def log(self, exchange: Exchange, instance: PluginInstance) -> None:
        self._run("log", exchange, instance)


class PreFunction(Functions):
    name = "pre-function"
    priority = 1_000_000


class PostFunction(Functions):
    name = "post-function"
    priority = -1000
