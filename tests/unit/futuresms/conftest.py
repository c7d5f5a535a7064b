"""The FutureSMS stub over TLS, with a certificate of an authority that only this test knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.authority import Authority, ServerCertificate
from tests.harness.stub import StubServer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def shown(authority: Authority) -> ServerCertificate:
    """The files of the certificate that the stub shows."""
    return authority.issue()


@pytest.fixture
def tls_stub(tmp_path: Path, shown: ServerCertificate) -> Iterator[StubServer]:
    server = StubServer(tmp_path, tls=shown)
    yield server
    server.stop()
