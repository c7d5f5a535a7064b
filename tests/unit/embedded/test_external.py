"""An external plugin's instances, as a worker keeps them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from kong.embedded.plugins.external import ExternalPlugin


class PluginServers:
    """Some that take over from one another: an instance is started at one, and is not known to the next."""

    def __init__(self, count: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.started = 0
        self._count = count

    async def call(self, method: str, _argument: Any) -> Any:
        assert method == "plugin.StartInstance"
        self.started += 1
        return {"Id": self.started}

    def start_call(self, method: str, argument: Any, answered: Any) -> None:
        assert method == "plugin.HandleEvent"
        number = argument["InstanceId"]
        if number < self._count:
            answered(f"no plugin instance #{number}", None)
        else:
            answered(None, {"EventId": 1, "Data": "ret"})


def test_an_instance_is_started_as_often_as_a_plugin_server_does_not_know_it() -> None:
    said: list[str] = []

    async def run() -> int:
        servers = PluginServers(4)
        log = SimpleNamespace(warn=said.append, error=said.append)
        worker = SimpleNamespace(
            server_config=lambda _: (1, "{}"),
            forget_instances=lambda _: plugin.forget_instances(),
            log=log,
        )
        plugin = ExternalPlugin("yeastar-adapter", 1004, ("access",), servers, worker)  # type: ignore[arg-type]
        exchange = SimpleNamespace(request_id="r-1")
        await plugin.run(exchange, SimpleNamespace(id="i-1"), "access")  # type: ignore[arg-type]
        return servers.started

    assert asyncio.run(run()) == 4
    assert said == [f"[yeastar-adapter] no plugin instance #{number}" for number in (1, 2, 3)]
