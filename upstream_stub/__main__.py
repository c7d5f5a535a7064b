"""`python -m upstream_stub --listen 127.0.0.1:8080`: serve until SIGINT or SIGTERM.

With `--tls-listen` over TLS as well.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import functools
import os
import signal
import ssl
import sys

from .server import Connection, Stub
from .world import DEFAULT_MERCHANT


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        asyncio.run(serve(options))
    except ssl.SSLError as problem:
        print(
            f"upstream_stub: {options.tls_certificate}, {options.tls_key}: {problem.reason}", file=sys.stderr
        )
        return 1
    except FileNotFoundError as problem:
        print(
            f"upstream_stub: {options.tls_certificate}, {options.tls_key}: {problem.strerror}",
            file=sys.stderr,
        )
        return 1
    except _CannotListenError as problem:
        print(f"upstream_stub: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


class _CannotListenError(Exception):
    """An address cannot be had; says which, and what to do."""

    def __init__(self, host: str, port: int, problem: OSError) -> None:
        if problem.errno == errno.EADDRINUSE:
            advice = "the port is taken: stop what listens there, or choose another with --listen HOST:PORT"
        else:
            advice = problem.strerror or str(problem)
        super().__init__(f"cannot listen on {host}:{port}: {advice}")


async def serve(options: argparse.Namespace) -> None:
    """Serve until told to stop. Raises OSError for a file that is not there, _CannotListenError."""
    stub = Stub(
        [DEFAULT_MERCHANT, *options.merchant],
        keep_orders=options.keep_orders,
        keep_requests=options.keep_requests,
        access_seconds=options.access_seconds,
    )
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    listeners = [("http", options.listen, None)]
    if options.tls_listen is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load = functools.partial(context.load_cert_chain, options.tls_certificate, options.tls_key)
        load()
        stub.controls.read_certificate = load
        listeners.append(("https", options.tls_listen, context))
    servers, urls = [], []
    for scheme, (host, port), tls in listeners:
        try:
            server = await loop.create_server(lambda: Connection(stub), host, port, backlog=4096, ssl=tls)
        except OSError as problem:
            raise _CannotListenError(host, port, problem) from None
        address = server.sockets[0].getsockname()
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        servers.append(server)
        urls.append(f"{scheme}://{shown}:{address[1]}")
    print("upstream_stub ready", *urls, flush=True)
    await stopped.wait()
    for server in servers:
        server.close()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="upstream_stub", description="A stand-in for the FutureSMS Merchant API."
    )
    parser.add_argument(
        "--listen",
        type=_address,
        default=("127.0.0.1", 8080),
        metavar="HOST:PORT",
        help="port 0: any free one",
    )
    parser.add_argument(
        "--tls-listen",
        type=_address,
        default=os.environ.get("STUB_TLS_LISTEN") or None,
        metavar="HOST:PORT",
        help="TLS, beside --listen; needs certificate and key (STUB_TLS_LISTEN)",
    )
    for name, content in (("certificate", "the certificate and its chain"), ("key", "its key")):
        variable = f"STUB_TLS_{name.upper()}"
        parser.add_argument(
            f"--tls-{name}",
            default=os.environ.get(variable) or None,
            metavar="FILE",
            help=f"PEM file with {content} ({variable})",
        )
    parser.add_argument(
        "--merchant",
        type=_merchant,
        action="append",
        default=[],
        metavar="USER:PASSWORD",
        help=f"one more merchant beside {DEFAULT_MERCHANT[0]}; may be given several times",
    )
    parser.add_argument("--access-seconds", type=float, default=1800, help="life time of access tokens")
    parser.add_argument("--keep-orders", type=int, default=200_000, help="accepted orders kept in full")
    parser.add_argument("--keep-requests", type=int, default=10_000, help="received requests kept in full")
    options = parser.parse_args(arguments)
    if options.tls_listen and not (options.tls_certificate and options.tls_key):
        parser.error("--tls-listen needs --tls-certificate and --tls-key")
    return options


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("HOST:PORT is needed, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def _merchant(text: str) -> tuple[str, str]:
    username, colon, password = text.partition(":")
    if not (username and colon and password):
        raise argparse.ArgumentTypeError("USER:PASSWORD is needed")
    return username, password


if __name__ == "__main__":
    sys.exit(main())
