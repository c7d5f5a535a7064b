"""`python -m upstream_stub --listen 127.0.0.1:8080`: serve until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import errno
import signal
import sys

from .server import Connection, Stub
from .world import DEFAULT_MERCHANT


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        asyncio.run(serve(options))
    except OSError as problem:
        host, port = options.listen
        if problem.errno == errno.EADDRINUSE:
            advice = "the port is taken: stop what listens there, or choose another with --listen HOST:PORT"
        else:
            advice = problem.strerror or str(problem)
        print(f"upstream_stub: cannot listen on {host}:{port}: {advice}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def serve(options: argparse.Namespace) -> None:
    """Serve until told to stop. Raises OSError where the address cannot be had."""
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
    host, port = options.listen
    server = await loop.create_server(lambda: Connection(stub), host, port, backlog=4096)
    address = server.sockets[0].getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    print(f"upstream_stub ready http://{shown}:{address[1]}", flush=True)
    await stopped.wait()
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
    return parser.parse_args(arguments)


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
