"""One session a user, through changes of the configuration, and its end when nobody has the user any more."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest
from yeastar_adapter.futuresms.answer import Answer
from yeastar_adapter.futuresms.merchant import Account, Tokens, Unreachable
from yeastar_adapter.futuresms.sessions import GRACE, Sessions, session_of

ACCOUNT = Account("http://futuresms", "yeastar-gateway", "stub-password", timeout=5.0)


class World:
    """FutureSMS and the time: `calls` are what came in; `pass_grace` lets every grace that has begun end."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.down = False
        self._later: list[Callable[[], None]] = []

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        assert seconds == GRACE
        self._later.append(work)

    def pass_grace(self) -> None:
        due, self._later = self._later, []
        for work in due:
            work()

    def api(self, account: Account) -> Api:
        return Api(self, account)


class Api:
    def __init__(self, world: World, account: Account) -> None:
        self._world = world
        self._account = account

    def log_in(self) -> Tokens:
        self._world.calls.append(f"login {self._account.username} {self._account.password}")
        return Tokens(f"access-{len(self._world.calls)}", "refresh", 1e9, 900.0, 86400.0)

    def refresh(self, refresh_token: str) -> Tokens:
        raise NotImplementedError

    def submit(self, path: str, body: bytes, token: str, timeout: float) -> tuple[Answer, str | None]:
        raise NotImplementedError

    def log_out(self, token: str) -> None:
        if self._world.down:
            raise Unreachable("down")
        self._world.calls.append(f"logout {token}")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def sessions(world: World) -> Sessions:
    return Sessions(world.later, world.api)


def test_one_account_has_one_session() -> None:
    assert session_of(ACCOUNT) is session_of(replace(ACCOUNT))


def test_a_session_outlives_the_moment_in_which_nobody_holds_it(sessions: Sessions, world: World) -> None:
    """Kong starts the instances of a changed configuration before it closes the old ones, or after."""
    token = sessions.of(ACCOUNT).token()
    gc.collect()
    again = sessions.of(ACCOUNT)
    world.pass_grace()
    assert again.token() == token
    assert world.calls == ["login yeastar-gateway stub-password"]


def test_another_time_limit_or_bundle_is_the_same_session(sessions: Sessions, world: World) -> None:
    first = sessions.of(ACCOUNT)
    other = sessions.of(replace(ACCOUNT, timeout=1.0, ca_certificates="/ca.pem"))
    assert first.token() == other.token()
    assert (first.account.timeout, other.account.timeout) == (5.0, 1.0)
    assert world.calls == ["login yeastar-gateway stub-password"]
    assert len(sessions.open()) == 1


def test_an_account_that_is_gone_is_logged_out_after_a_grace(sessions: Sessions, world: World) -> None:
    session = sessions.of(ACCOUNT)
    token = session.token()
    del session
    gc.collect()
    assert world.calls == ["login yeastar-gateway stub-password"]
    world.pass_grace()
    assert world.calls[1:] == [f"logout {token}"]
    assert sessions.open() == []


def test_a_session_that_is_held_again_starts_its_grace_anew(sessions: Sessions, world: World) -> None:
    sessions.of(ACCOUNT).token()
    gc.collect()
    due = list(world._later)
    sessions.of(ACCOUNT)
    gc.collect()
    for work in due:
        work()
    assert len(world.calls) == 1, "the first grace is not the second's"
    world.pass_grace()
    assert len(world.calls) == 2


def test_a_changed_password_is_a_new_log_in_and_the_old_session_ends(
    sessions: Sessions, world: World
) -> None:
    old = sessions.of(ACCOUNT)
    token = old.token()
    new = sessions.of(replace(ACCOUNT, password="changed"))
    assert new.token() != token
    assert not new.tokens.issued(token)
    del old
    gc.collect()
    world.pass_grace()
    assert world.calls == [
        "login yeastar-gateway stub-password",
        "login yeastar-gateway changed",
        f"logout {token}",
    ]


def test_a_session_without_a_token_has_nothing_to_end(sessions: Sessions, world: World) -> None:
    sessions.of(ACCOUNT)
    gc.collect()
    world.pass_grace()
    assert world.calls == []


def test_a_log_out_that_fails_is_told_and_forgotten(
    sessions: Sessions, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    sessions.of(ACCOUNT).token()
    gc.collect()
    world.down = True
    world.pass_grace()
    assert "merchant yeastar-gateway: the session could not be logged out (down)" in caplog.text
    assert sessions.open() == []
