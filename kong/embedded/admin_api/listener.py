"""The Admin API on a listening socket, from the first connection on."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web


class AdminListener:
    """Serves the application that `make` makes on `listener`.

    What it is made of is loaded when somebody connects: that takes longer than everything else of the gateway, and
    most gateways end without having been asked. Meanwhile the connection waits, and the gateway serves its clients.
    """

    def __init__(self, listener: socket.socket, make: Callable[[], web.Application]) -> None:
        self._socket = listener
        self._make = make
        self._runner: web.AppRunner | None = None
        self._starting = asyncio.get_running_loop().create_task(self._start_when_asked())

    async def _start_when_asked(self) -> None:
        await _readable(self._socket)
        loop = asyncio.get_running_loop()
        try:
            web: Any = await loop.run_in_executor(None, importlib.import_module, "aiohttp.web")
            runner = self._runner = web.AppRunner(self._make(), access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.SockSite(runner, self._socket).start()
        except Exception as problem:  # noqa: BLE001  whatever it is, nobody may wait for an answer
            loop.call_exception_handler({"message": "the Admin API cannot be served", "exception": problem})
            self._socket.close()

    async def close(self) -> None:
        """Finish what is under way, for a second at most."""
        self._starting.cancel()
        await asyncio.gather(self._starting, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self._socket.close()


async def _readable(listener: socket.socket) -> None:
    """Wait for a connection, without taking it."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(listener, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(listener)
