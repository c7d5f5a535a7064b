"""`python -m kong.embedded`: kong.yml served by a small stand-in for Kong 3.9.1, for development and tests."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from kong_declarative import declarative
from kong_declarative.configuration import Configuration, Store
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.plugin_catalogue import PluginDefinition

from kong.embedded.conf import GatewaySettings, load_settings
from kong.embedded.gateway import ExternalServer, Gateway, ListenError, external_servers
from kong.embedded.http.tls import CertificateError
from kong.embedded.log import Log
from kong.embedded.plugins.lua_plugins import LuaPluginError
from kong.embedded.plugins.plugin_server import PluginServerDefinition, PluginServerError, dump
from kong.embedded.substitution import StandIns

DEFAULT_COMMANDS: dict[str, tuple[str, ...]] = {"yeastar-adapter": (sys.executable, "-m", "yeastar_adapter")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes. Returns the exit status: 0, or 1 after one line that says what is wrong."""
    options = _parse(arguments)
    try:
        return asyncio.run(_serve(options))
    except (
        CertificateError,
        ConfigurationError,
        ListenError,
        LuaPluginError,
        PluginServerError,
        OSError,
    ) as problem:
        print(f"kong.embedded: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


async def _serve(options: argparse.Namespace) -> int:
    settings = load_settings(options.conf) if options.conf else load_settings()
    prefix = str(Path(options.prefix or settings.prefix).resolve())
    try:
        Path(prefix).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OSError(f"cannot use {prefix} as prefix: {problem.strerror}") from None
    log = Log(settings.log_level)
    catalogue, servers = external_servers(settings, _external(options, settings, prefix))
    source = options.kong_yml or settings.declarative_config
    if source is None:
        raise OSError("no configuration: give --kong-yml, or declarative_config in kong.conf")

    def reread() -> Configuration:
        try:
            text = Path(source).read_bytes()
        except OSError as problem:
            raise OSError(f"cannot read {source}: {problem.strerror}") from None
        return declarative.load(text, catalogue, source=str(source))

    gateway = Gateway(Store(reread(), catalogue), settings, servers, log, prefix, options.workers, reread)
    if options.stand_ins:
        stand_ins = StandIns(**json.loads(options.stand_ins.read_text(encoding="utf-8")))
        gateway.adapt = lambda document: stand_ins.use_in(document, os.environ)
    log.notice("kong.embedded: a stand-in for Kong 3.9.1, for development and tests; not for production")
    line = settings.log_line()
    if line:
        log.notice(line)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    starting = loop.create_task(
        gateway.start(options.proxy_listen, options.admin_listen, options.proxy_ssl_listen)
    )
    stopping = loop.create_task(stopped.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return 0
    proxy, admin, *proxy_ssl = starting.result()
    reloads: set[asyncio.Task[None]] = set()

    async def reload_and_tell() -> None:
        done = await gateway.reload()
        print(f"kong.embedded {'reloaded' if done else 'reload failed'}", flush=True)

    def reload() -> None:
        task = loop.create_task(reload_and_tell())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    print(
        f"kong.embedded ready proxy={proxy} admin={admin}{''.join(f' proxy_ssl={url}' for url in proxy_ssl)}",
        flush=True,
    )
    await stopping
    await gateway.stop()
    return 0


def _external(options: argparse.Namespace, settings: GatewaySettings, prefix: str) -> list[ExternalServer]:
    """Every plugin server, asked for its plugin. Raises PluginServerError."""
    given: dict[str, str] = {}
    for item in options.plugin_command or ():
        name, equals, command = item.partition("=")
        if not equals or not command:
            raise PluginServerError(f"--plugin-command needs NAME=COMMAND, not '{item}'")
        given[name] = command
    configured = {server.name: server for server in settings.pluginservers}
    servers = []
    for name in dict.fromkeys((*configured, *given)) or DEFAULT_COMMANDS:
        server = configured.get(name)
        start = given.get(name) or (server.start_cmd if server else None)
        path = (server.socket if server else None) or os.path.join(prefix, f"{name}.socket")
        definition = PluginServerDefinition.make(
            name, start or DEFAULT_COMMANDS.get(name, (name,)), path, _environment(settings)
        )
        query = server.query_cmd if server and name not in given else None
        printed = dump(definition, query)
        try:
            plugin = PluginDefinition.from_dump(printed)
        except ValueError as problem:
            raise PluginServerError(f"plugin server '{name}': {problem}") from None
        servers.append(ExternalServer(definition, plugin))
    return servers


def _environment(settings: GatewaySettings) -> dict[str, str]:
    """What a plugin server sees of the environment: the variables that `nginx_main_env` names."""
    environment: dict[str, str] = {}
    for entry in settings.main_env:
        name, equals, value = entry.partition("=")
        if equals:
            environment[name] = value
        elif name in os.environ:
            environment[name] = os.environ[name]
    return environment


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kong.embedded", description=__doc__)
    parser.add_argument(
        "--kong-yml", help="the declarative configuration; default: kong.conf's declarative_config"
    )
    parser.add_argument("--conf", help="kong.conf")
    parser.add_argument(
        "--proxy-listen", default="127.0.0.1:8000", metavar="HOST:PORT", help="port 0: any free one"
    )
    parser.add_argument(
        "--admin-listen", default="127.0.0.1:8001", metavar="HOST:PORT", help="port 0: any free one"
    )
    parser.add_argument(
        "--proxy-ssl-listen",
        metavar="HOST:PORT",
        help="HTTPS too, with ssl_cert and ssl_cert_key of kong.conf, and kong.yml's certificates and snis",
    )
    parser.add_argument(
        "--prefix", help="directory of the plugin servers' sockets; default: kong.conf's prefix"
    )
    parser.add_argument(
        "--stand-ins",
        type=Path,
        metavar="FILE",
        help="JSON of the demo: the addresses to put into configurations that are posted to the Admin API",
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument(
        "--plugin-command",
        action="append",
        metavar="NAME=COMMAND",
        help="how to start the plugin server NAME",
    )
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
