"""Files of certificates: what can be used, what is said of the rest, and what `describe` finds at a server."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import certifi
import pytest
import trustme
from yeastar_adapter import trust
from yeastar_adapter.trust import TrustError, TrustStore, check, default_bundle, describe, trust_store

from tests.harness.authority import Authority
from tests.harness.stub import StubServer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_a_file_is_one_context_for_the_life_of_the_process(authority: Authority) -> None:
    file = str(authority.certificate)
    assert trust_store(file) is trust_store(file)
    assert trust_store(file).context() is trust_store(file).context()


def test_every_context_verifies_chain_and_host_name(authority: Authority) -> None:
    for store in (TrustStore(), TrustStore(str(authority.certificate))):
        assert store.context().verify_mode == ssl.CERT_REQUIRED
        assert store.context().check_hostname


def test_the_default_is_the_bundle_of_the_system(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    assert default_bundle() == str(authority.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    monkeypatch.setattr(trust, "_BUNDLES", (str(tmp_path / "nothing"), str(authority.certificate)))
    assert default_bundle() == str(authority.certificate)
    monkeypatch.setattr(trust, "_BUNDLES", ())
    assert default_bundle() == certifi.where()


def unusable(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    key = trustme.CA().private_key_pem.bytes()
    yield tmp_path / "nothing.pem", "cannot be read: No such file or directory"
    for name, content in (("empty", b""), ("text", b"no certificate\n"), ("key", key)):
        file = tmp_path / f"{name}.pem"
        file.write_bytes(content)
        yield file, "holds no certificate in PEM form"
    yield tmp_path, "cannot be read|holds no certificate"


def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path) -> None:
    for file, reason in unusable(tmp_path):
        with pytest.raises(TrustError, match=f"{file} ({reason})"):
            TrustStore(str(file)).context()
        assert str(file) in (check(str(file)) or "")
    assert "is not the name of a file" in (check("a\0b") or "")


def test_certificates_that_have_all_expired_are_refused_and_old_beside_new_are_not(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = ssl.cert_time_to_seconds(
        str(TrustStore(str(authority.certificate)).context().get_ca_certs()[0]["notAfter"])
    )
    monkeypatch.setattr(trust.time, "time", lambda: end + 1)
    with pytest.raises(TrustError, match="holds no certificate that is valid: the last ended on"):
        TrustStore(str(authority.certificate)).context()
    monkeypatch.setattr(trust.time, "time", lambda: end - 1)
    assert check(str(authority.certificate)) is None


def test_a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    store = TrustStore(str(authority.certificate))
    before = store.context()
    authority.certificate.write_text("half a certif")
    assert store.context() is before
    assert store.context() is before
    assert [record.getMessage() for record in caplog.records] == [
        f"{authority.certificate} holds no certificate in PEM form; the certificates that were read before stay trusted"
    ]
    Authority(tmp_path / "other").certificate.replace(authority.certificate)
    assert store.context() is not before


def test_a_link_that_is_turned_to_another_file_counts_as_a_change(tmp_path: Path) -> None:
    """As the secrets of Kubernetes change."""
    one, other = Authority(tmp_path / "one"), Authority(tmp_path / "other")
    link = tmp_path / "ca.pem"
    link.symlink_to(one.certificate)
    store = TrustStore(str(link))
    before = store.context()
    (tmp_path / "new").symlink_to(other.certificate)
    os.replace(tmp_path / "new", link)
    assert store.context() is not before


@pytest.fixture
def tls_stub(tmp_path: Path, authority: Authority) -> Iterator[StubServer]:
    server = StubServer(tmp_path, tls=authority.issue())
    yield server
    server.stop()


def test_describe_shows_the_chain_and_until_when(tls_stub: StubServer, authority: Authority) -> None:
    port = int(tls_stub.tls_url.rpartition(":")[2])
    chain = describe("localhost", port, str(authority.certificate))
    assert chain.problem is None
    assert chain.bundle == str(authority.certificate)
    assert chain.protocol == "TLSv1.3"
    assert set(chain.certificates[0].names) == {"localhost", "127.0.0.1"}
    assert chain.certificates[0].not_after > datetime.now(timezone.utc)


def test_describe_shows_a_chain_that_is_not_trusted_and_says_why(tls_stub: StubServer) -> None:
    port = int(tls_stub.tls_url.rpartition(":")[2])
    chain = describe("localhost", port)
    assert "unable to get local issuer certificate" in str(chain.problem)
    assert "localhost" in chain.certificates[0].names


def test_describe_says_that_there_is_no_tls(tls_stub: StubServer) -> None:
    with pytest.raises(OSError, match="SSL"):
        describe("localhost", int(tls_stub.url.rpartition(":")[2]))
