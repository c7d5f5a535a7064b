"""What does a TLS handshake with FutureSMS or Redis cost the plugin server, on whose one thread all are served?

`python -m bench.handshake` makes connections as the adapter does, to servers with a chain of three certificates. While
a handshake waits for the server, others are served: the longest piece of it, between two waits, is how long they may be
held up. The benchmark fails where one handshake in a hundred has a piece of more than 5 ms of CPU.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import thread_time
from urllib.parse import urlsplit

from gevent import monkey

monkey.patch_all()

import greenlet  # noqa: E402
import trustme  # noqa: E402
from yeastar_adapter.trust import remember_session, trust_store  # noqa: E402

from .processes import tls_stub  # noqa: E402

MOST = 0.005
"""Seconds of CPU that a single piece of work may keep everybody else waiting."""

REQUEST = b"GET /api/v1/auth/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Handshake:
    """Seconds of CPU."""

    whole: float
    longest_piece: float


class Pieces:
    """Measures what runs between one switch of greenlets and the next."""

    def __enter__(self) -> list[float]:
        self._pieces: list[float] = []
        self._since = thread_time()
        greenlet.settrace(self._switched)
        return self._pieces

    def __exit__(self, *_: object) -> None:
        greenlet.settrace(None)
        self._switched()

    def _switched(self, *_: object) -> None:
        now = thread_time()
        self._pieces.append(now - self._since)
        self._since = now


def handshakes(url: str, ca_certificates: str, times: int, *, resumed: bool) -> list[Handshake]:
    """Make so many; `resumed`: with the session of the connection before."""
    address = urlsplit(url)
    context = trust_store(ca_certificates).context()
    found = []
    for number in range(times + resumed):
        with socket.create_connection((address.hostname, address.port)) as plain:
            with Pieces() as pieces:
                secured = context.wrap_socket(plain, server_hostname=address.hostname)
            with secured:
                secured.sendall(REQUEST)
                while secured.recv(65536):
                    pass
                if resumed:
                    remember_session(secured)
                if secured.session_reused is not (resumed and number > 0):
                    raise RuntimeError("the server does not resume sessions, or resumes them unasked")
        if number or not resumed:
            found.append(Handshake(sum(pieces), max(pieces)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.handshake", description=__doc__)
    parser.add_argument("--times", type=int, default=300)
    options = parser.parse_args()
    longest = 0.0
    print("| server's key | handshake | CPU, ms | 99th percentile | longest piece, ms | 99th percentile |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for kind in (trustme.KeyType.ECDSA, trustme.KeyType.RSA):
        with tempfile.TemporaryDirectory() as directory:
            files = Path(directory)
            _write_chain(kind, files)
            with tls_stub(files / "chain.pem", files / "key.pem") as (_, url):
                for resumed in (False, True):
                    taken = handshakes(url, str(files / "ca.pem"), options.times, resumed=resumed)
                    whole = [one.whole * 1000 for one in taken]
                    piece = [one.longest_piece * 1000 for one in taken]
                    longest = max(longest, _99th(piece) / 1000)
                    cells = [statistics.median(whole), _99th(whole), statistics.median(piece), _99th(piece)]
                    numbers = " | ".join(f"{cell:.1f}" for cell in cells)
                    print(f"| {kind.name} | {'resumed' if resumed else 'whole'} | {numbers} |", flush=True)
    return 0 if longest <= MOST else 1


def _99th(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def _write_chain(kind: trustme.KeyType, files: Path) -> None:
    root = trustme.CA(key_type=kind)
    shown = (
        root.create_child_ca(key_type=kind)
        .create_child_ca(key_type=kind)
        .issue_cert("localhost", key_type=kind)
    )
    root.cert_pem.write_to_path(str(files / "ca.pem"))
    shown.private_key_pem.write_to_path(str(files / "key.pem"))
    for number, pem in enumerate(shown.cert_chain_pems):
        pem.write_to_path(str(files / "chain.pem"), append=number > 0)


if __name__ == "__main__":
    sys.exit(main())
