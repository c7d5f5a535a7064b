"""A certificate authority of a test's own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files: the certificate with its chain, and its key."""

    chain: Path
    key: Path


class Authority:
    """Issues certificates; `certificate` is the PEM file of the authority itself."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._authority = trustme.CA()
        self._numbers = itertools.count(1)
        self.certificate = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.certificate))

    def issue(self, *names: str, expired: bool = False) -> ServerCertificate:
        """A certificate for host names and addresses; `localhost` and `127.0.0.1` where none is given."""
        end = datetime.now(timezone.utc) - timedelta(days=1) if expired else None
        issued = self._authority.issue_cert(*(names or ("localhost", "127.0.0.1")), not_after=end)
        number = next(self._numbers)
        files = ServerCertificate(self._directory / f"{number}.pem", self._directory / f"{number}.key")
        self.show(issued, files)
        return files

    def replace(self, files: ServerCertificate, *names: str, expired: bool = False) -> None:
        """Put another certificate into these files."""
        other = self.issue(*names, expired=expired)
        other.key.replace(files.key)
        other.chain.replace(files.chain)

    @staticmethod
    def show(issued: trustme.LeafCert, files: ServerCertificate) -> None:
        issued.private_key_pem.write_to_path(str(files.key))
        for number, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(str(files.chain), append=number > 0)
