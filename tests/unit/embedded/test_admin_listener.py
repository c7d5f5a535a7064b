"""The Admin API is there for whoever connects, and costs a gateway nothing that nobody asks."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest
from aiohttp import ClientSession, web

from kong.embedded.admin_api.listener import AdminListener


@pytest.fixture
def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


async def _hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


def test_those_who_connect_first_are_answered(listening: socket.socket) -> None:
    made = 0

    def make() -> web.Application:
        nonlocal made
        made += 1
        application = web.Application()
        application.router.add_get("/", _hello)
        return application

    async def ask() -> list[str]:
        admin = AdminListener(listening, make)
        url = "http://{}:{}".format(*listening.getsockname())

        async def one() -> str:
            async with ClientSession() as session, session.get(url) as answer:
                return await answer.text()

        try:
            return list(await asyncio.gather(*(one() for _ in range(5))))
        finally:
            await admin.close()

    assert asyncio.run(ask()) == ["hello"] * 5
    assert made == 1


def test_one_that_nobody_has_asked_can_be_closed(listening: socket.socket) -> None:
    async def nobody() -> None:
        await AdminListener(listening, web.Application).close()

    asyncio.run(nobody())
    assert listening.fileno() == -1


def test_what_cannot_be_made_is_told_and_leaves_nobody_waiting(listening: socket.socket) -> None:
    told: list[dict[str, Any]] = []

    def make() -> web.Application:
        raise RuntimeError("no such application")

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        admin = AdminListener(listening, make)
        try:
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
        finally:
            await admin.close()

    asyncio.run(ask())
    assert [str(context["exception"]) for context in told] == ["no such application"]


def test_a_gateway_is_loaded_without_the_admin_api() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, kong.embedded.__main__; print('aiohttp' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == "False\n"
