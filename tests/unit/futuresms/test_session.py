"""The Merchant session: one log-in for all, tokens renewed in time, failures not hammered."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from yeastar_adapter.futuresms.answer import Answer
from yeastar_adapter.futuresms.merchant import Account, LoginRefused, Tokens, Unreachable
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.futuresms.sessions import session_of

ACCOUNT = Account("http://futuresms", "yeastar-gateway", "stub-password", timeout=5.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class MerchantApi:
    """FutureSMS as a session sees it: tokens are numbered, refresh tokens work once."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[str] = []
        self.failures: list[Exception] = []
        self.issued = 0
        self.access_life = 900.0
        self.dead_refresh_tokens: set[str] = set()
        self.submitted: list[tuple[str, bytes, str, float]] = []

    def log_in(self) -> Tokens:
        self.calls.append("login")
        return self._issue()

    def refresh(self, refresh_token: str) -> Tokens:
        self.calls.append(f"refresh {refresh_token}")
        if refresh_token in self.dead_refresh_tokens:
            raise LoginRefused("dead")
        self.dead_refresh_tokens.add(refresh_token)
        return self._issue()

    def submit(self, path: str, body: bytes, token: str, timeout: float) -> tuple[Answer, str | None]:
        self.submitted.append((path, body, token, timeout))
        return Answer(202, "SDPS1"), None

    def _issue(self) -> Tokens:
        if self.failures:
            raise self.failures.pop(0)
        self.issued += 1
        return Tokens(
            f"access-{self.issued}", f"refresh-{self.issued}", self.clock(), self.access_life, 86400.0
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(clock: Clock) -> MerchantApi:
    return MerchantApi(clock)


@pytest.fixture
def session(api: MerchantApi, clock: Clock) -> MerchantSession:
    return MerchantSession(ACCOUNT, api, clock, start=lambda work: work())


def test_it_logs_in_on_first_need_and_keeps_the_token(session: MerchantSession, api: MerchantApi) -> None:
    assert api.calls == []
    assert [session.token() for _ in range(3)] == ["access-1"] * 3
    assert api.calls == ["login"]


def test_many_who_wait_share_one_log_in(api: MerchantApi, clock: Clock) -> None:
    begun: list[Callable[[], None]] = []
    session = MerchantSession(ACCOUNT, api, clock, start=begun.append)
    tokens: list[str] = []
    waiting = [threading.Thread(target=lambda: tokens.append(session.token())) for _ in range(20)]
    for thread in waiting:
        thread.start()
    while not begun:
        pass
    begun[0]()
    for thread in waiting:
        thread.join(10)
    assert tokens == ["access-1"] * 20
    assert len(begun) == 1
    assert api.calls == ["login"]


def test_a_token_near_its_end_is_refreshed_while_it_still_serves(api: MerchantApi, clock: Clock) -> None:
    begun: list[Callable[[], None]] = []
    session = MerchantSession(
        ACCOUNT, api, clock, start=lambda work: work() if not begun_later else begun.append(work)
    )
    begun_later: list[bool] = []
    session.token()
    begun_later.append(True)
    clock.now += 900 - 59
    assert session.token() == "access-1"
    assert session.token() == "access-1"
    assert len(begun) == 1
    begun[0]()
    assert session.token() == "access-2"
    assert api.calls == ["login", "refresh refresh-1"]


def test_a_token_that_has_ended_is_refreshed_before_anything_is_sent(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    session.token()
    clock.now += 901
    assert session.token() == "access-2"
    assert api.calls[-1] == "refresh refresh-1"


def test_a_refresh_token_is_never_used_twice(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    session.token()
    for _ in range(3):
        clock.now += 901
        api.failures = [Unreachable("down")]
        with pytest.raises(Unreachable):
            session.token()
        clock.now += 10
        session.token()
    used = [call for call in api.calls if call.startswith("refresh")]
    assert len(used) == len(set(used))


def test_a_dead_refresh_token_falls_back_on_a_log_in(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    session.token()
    api.dead_refresh_tokens.add("refresh-1")
    clock.now += 901
    assert session.token() == "access-2"
    assert api.calls == ["login", "refresh refresh-1", "login"]


def test_a_refresh_token_past_its_end_is_not_tried(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    session.token()
    clock.now += 90000
    session.token()
    assert api.calls == ["login", "login"]


@pytest.mark.parametrize("failure", [LoginRefused("no"), Unreachable("down")])
def test_a_failed_log_in_is_not_hammered(
    session: MerchantSession, api: MerchantApi, clock: Clock, failure: Exception
) -> None:
    pauses = []
    for _ in range(9):
        api.failures = [failure]
        with pytest.raises(type(failure)):
            session.token()
        calls = len(api.calls)
        start = clock.now
        while len(api.calls) == calls:
            with pytest.raises(type(failure)):
                session.token()
            clock.now += 0.25
            api.failures = [failure]
        pauses.append(clock.now - start)
    assert pauses == sorted(pauses)
    assert pauses[0] >= 0.5
    assert pauses[-1] <= 61


def test_it_heals_when_the_pause_is_over(session: MerchantSession, api: MerchantApi, clock: Clock) -> None:
    api.failures = [Unreachable("down")]
    with pytest.raises(Unreachable):
        session.token()
    clock.now += 0.6
    assert session.token() == "access-1"


def test_a_pause_does_not_take_a_token_that_still_serves(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    session.token()
    clock.now += 900 - 30
    api.failures = [Unreachable("down")]
    assert session.token() == "access-1"
    assert session.token() == "access-1"


def test_who_waits_too_long_is_told_and_the_log_in_goes_on(api: MerchantApi, clock: Clock) -> None:
    begun: list[Callable[[], None]] = []
    account = Account("http://futuresms", "u", "p", timeout=0.01)
    session = MerchantSession(account, api, clock, start=begun.append)
    with pytest.raises(Unreachable, match="no token within"):
        session.token()
    begun[0]()
    assert session.token() == "access-1"
    assert api.calls == ["login"]


def test_an_order_is_submitted_again_with_another_token(session: MerchantSession, api: MerchantApi) -> None:
    rejected = session.token()
    answer, _ = session.submit_again("/p", b"{}", rejected)
    assert answer.is_order
    assert [(path, body, token) for path, body, token, _ in api.submitted] == [("/p", b"{}", "access-2")]


def test_many_who_meet_the_same_401_renew_the_token_once(session: MerchantSession, api: MerchantApi) -> None:
    rejected = session.token()
    for _ in range(5):
        session.submit_again("/p", b"{}", rejected)
    assert api.issued == 2


def test_a_token_that_futuresms_has_rejected_is_not_tried_again(
    session: MerchantSession, api: MerchantApi
) -> None:
    rejected = session.token()
    api.dead_refresh_tokens.add("refresh-1")
    api.failures = [LoginRefused("changed password")]
    for _ in range(3):
        with pytest.raises(LoginRefused):
            session.submit_again("/p", b"{}", rejected)
        with pytest.raises(LoginRefused):
            session.token()
    assert api.submitted == []


def test_token_and_order_share_one_time_limit(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    rejected = session.token()
    real_refresh = api.refresh

    def slow_refresh(token: str) -> Tokens:
        clock.now += 4.0
        return real_refresh(token)

    api.refresh = slow_refresh  # type: ignore[method-assign]
    session.submit_again("/p", b"{}", rejected)
    assert api.submitted[0][3] == pytest.approx(1.0)


def test_one_account_has_one_session_while_somebody_holds_it() -> None:
    first, second = (
        session_of(ACCOUNT),
        session_of(Account("http://futuresms", "yeastar-gateway", "stub-password", 5.0)),
    )
    assert first is second
    assert session_of(Account("http://futuresms", "yeastar-gateway", "other", 5.0)) is not first


def test_secrets_are_in_no_representation(session: MerchantSession) -> None:
    session.token()
    assert "stub-password" not in repr(session.account)
    assert "access-1" not in repr(session._tokens)
