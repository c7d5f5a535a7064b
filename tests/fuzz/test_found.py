"""What fuzzing has found, and what raising at every line has, each by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from yeastar_adapter.futuresms.merchant import Account, MerchantApi, Tokens, Unreachable
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.limits import LocalLimiter, RateLimits
from yeastar_adapter.limits.window import Window
from yeastar_adapter.settings import Settings

from tests.harness.gateway import EmbeddedGateway
from tests.harness.pbx import Pbx
from tests.harness.stub import LOGIN, SENDS, StubClient


@pytest.mark.parametrize("length", ["8\u00b3", "1" * 5000, "9" * 19, "+8", "8_0", ""])
def test_a_content_length_of_futuresms_that_is_no_number_is_10007(
    pbx: Pbx, stub: StubClient, length: str
) -> None:
    """The embedded gateway took every digit of Unicode for one, failed on it, and closed the connection."""
    stub.behave(path=SENDS, raw=f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}")
    assert pbx.send().code == "10007"


@pytest.mark.parametrize("size", ["\u00b2", "0x2", "+2", "1_0", "-2", "f" * 16, ""])
def test_a_chunk_of_futuresms_that_has_no_size_is_10007(pbx: Pbx, stub: StubClient, size: str) -> None:
    stub.behave(
        path=SENDS, raw=f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n"
    )
    assert pbx.send().code == "10007"


def test_a_plugin_server_that_hangs_holds_a_request_no_longer_than_kong_is_told_to_wait(
    embedded_gateway: EmbeddedGateway, pbx: Pbx
) -> None:
    """On a connection that had been idle for longer, the embedded gateway waited for the end of the idle time."""
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(lambda _: pbx.send(), range(32))} == {200}
    embedded_gateway.stop_plugin_server()
    for _ in range(2):
        assert pbx.send(timeout=30).code == "10007"


class OneToken:
    """A Merchant API that knows one token."""

    def log_in(self) -> Tokens:
        return Tokens("access", "refresh", 0.0, 900.0, 900.0)

    def refresh(self, refresh_token: str) -> Tokens:
        return self.log_in()

    def submit(self, *_: Any) -> Any:
        raise NotImplementedError


def test_a_renewal_that_could_not_be_started_is_not_waited_for() -> None:
    """Every later message waited for it in vain, until the plugin server was started again."""
    refuse = True

    def start(work: Callable[[], None]) -> None:
        if refuse:
            raise RuntimeError("can't start new thread")
        work()

    account = Account("http://futuresms", "yeastar-gateway", "stub-password", timeout=5.0)
    session = MerchantSession(account, OneToken(), clock=lambda: 0.0, start=start)
    with pytest.raises(RuntimeError, match="can't start"):
        session.token()
    refuse = False
    assert session.token() == "access"


def test_a_count_that_was_broken_off_does_not_refuse_everything_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half counted, a consumer's window raised at each of its requests."""
    limiter, limits = LocalLimiter(clock=lambda: 1), RateLimits(minute=5)
    assert limiter.admit("acme-manila", limits).allowed

    def give(window: Window, turn: int, limit: int) -> None:
        window.times.append(turn)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Window, "give", give)
        with pytest.raises(MemoryError):
            limiter.admit("acme-manila", limits)
    assert limiter.admit("acme-manila", limits).allowed


def test_a_log_in_that_is_answered_with_endless_nesting_is_no_log_in(stub: StubClient) -> None:
    """It ended the renewal without a pause, and each message tried the next one."""
    stub.behave(path=LOGIN, body="[" * 100_000)
    with pytest.raises(Unreachable):
        MerchantApi(Account(stub.url, "yeastar-gateway", "stub-password")).log_in()


def settings(**entry: Any) -> Settings:
    return Settings.parse(
        {
            "consumers": [{"username": "acme-manila", "api_keys": [], **entry}],
            "order": {"template_id": "TPL1001", "sender_id": "SID-1"},
            "merchant": {"username": "u", "password": "p"},
        }
    )


@pytest.mark.parametrize("prefix", ["SHA256:", "Sha256:", " sha256:"])
def test_a_digest_is_a_digest_in_capitals_too_and_no_key(prefix: str) -> None:
    """It was taken for a key, with which anybody could have sent who had seen the configuration."""
    digest = hashlib.sha256(b"the key of a PBX").digest()
    found = settings(api_keys=[prefix + digest.hex().upper()])
    assert set(found.keys) == {digest}


def test_a_mistyped_vault_reference_is_no_key() -> None:
    """As above."""
    found = settings(api_keys=["{vault:/env/acme-manila-key}"])
    assert found.keys == {}
    assert "consumer acme-manila: api_keys[1] is a vault reference with a mistake in it" in found.warnings[0]


@pytest.mark.parametrize("name", ["username", "password"])
def test_credentials_that_are_not_utf_8_are_their_consumer_s_own_trouble(name: str) -> None:
    """A password in Latin-1 kept the whole instance from starting."""
    found = settings(merchant={name: b"p\xe4ssword".decode("utf-8", "surrogateescape")})
    assert found.consumers["acme-manila"].merchant is None
    assert f"consumer acme-manila: merchant.{name} is not valid UTF-8" in found.warnings[0]


@pytest.mark.parametrize(
    "url", ["http://x?a=b", "http://x#y", "http://u:p@x", "http://x\r\nHost: y", "http://x y", "http://x\t"]
)
def test_an_address_with_more_than_a_host_and_a_path_is_none(url: str) -> None:
    """The calls would have gone elsewhere, or with a user's name in place of the token."""
    found = settings(merchant={"base_url": url})
    assert found.consumers["acme-manila"].merchant is None
    assert "merchant.base_url" in found.warnings[0]
