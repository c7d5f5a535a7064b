"""The Merchant session: one log-in for all, tokens renewed in time, failures not hammered."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from yeastar_adapter.futuresms.answer import Answer
from yeastar_adapter.futuresms.merchant import Account, LoginRefused, Throttled, Tokens, Unreachable
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.futuresms.tokens import order_taken

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
        self.rejects: set[str] = set()
        self.rejects_all = False

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
        return (Answer(401) if token in self.rejects or self.rejects_all else Answer(202, "SDPS1")), None

    def log_out(self, token: str) -> None:
        self.calls.append(f"logout {token}")

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


def test_every_token_that_was_rejected_is_remembered_not_the_last_alone(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    """Two generations of orders are on their way when the second token is revoked too."""
    first = session.token()
    session.submit_again("/p", b"{}", first)
    second = session.token()
    session.submit_again("/p", b"{}", second)
    session.submit_again("/p", b"{}", first)
    assert session.token() == "access-3"
    assert api.issued == 3
    assert [token for _, _, token, _ in api.submitted] == ["access-2", "access-3", "access-3"]


def test_it_knows_the_tokens_that_it_was_issued(session: MerchantSession) -> None:
    first = session.token()
    session.submit_again("/p", b"{}", first)
    assert session.tokens.issued(first)
    assert session.tokens.issued(session.token())
    assert not session.tokens.issued("access-9")
    assert not session.tokens.issued("")


def test_orders_that_are_answered_401_whatever_the_token_are_stopped(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    """Twenty messages made forty attempts, and a log-in each."""
    api.rejects_all = True
    attempts = 0
    for _ in range(20):
        try:
            token = session.token()
        except LoginRefused:
            continue
        attempts += 1  # Kong's, which is answered 401
        session.submit_again("/p", b"{}", token)
    assert attempts + len(api.submitted) == 8
    assert api.calls.count("login") + len(api.submitted) <= 8


@pytest.mark.parametrize("apart", [0.0, 10.0])
def test_a_401_now_and_then_stops_nobody(
    session: MerchantSession, api: MerchantApi, clock: Clock, apart: float
) -> None:
    """A token may be revoked just after it was issued; that is no trouble with the account."""
    for _ in range(3 if not apart else 20):
        api.rejects_all = True
        session.submit_again("/p", b"{}", session.token())
        api.rejects_all = False
        assert session.submit_again("/p", b"{}", session.token())[0].is_order
        clock.now += apart


def test_messages_that_come_seldom_are_stopped_too_when_none_of_them_is_taken(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    api.rejects_all = True
    refused = 0
    for _ in range(20):
        clock.now += 5
        try:
            session.submit_again("/p", b"{}", session.token())
        except LoginRefused:
            refused += 1
    assert refused > 5


def test_a_message_that_kong_has_proxied_well_ends_the_trouble(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    for _ in range(10):
        api.rejects_all = True
        session.submit_again("/p", b"{}", session.token())
        api.rejects_all = False
        order_taken(session.token())
    order_taken("a token of nobody")
    assert not session.tokens.paused


def test_orders_that_were_on_their_way_meanwhile_are_not_submitted_again(
    session: MerchantSession, api: MerchantApi
) -> None:
    api.rejects_all = True
    rejected = session.token()
    for _ in range(4):
        assert session.submit_again("/p", b"{}", rejected)[0].status == 401
    for _ in range(20):
        with pytest.raises(LoginRefused):
            session.submit_again("/p", b"{}", rejected)
    assert len(api.submitted) == 4


def test_it_tries_again_with_a_log_in_after_ever_longer_pauses_and_recovers(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    api.rejects_all = True
    pauses = []
    rejected = session.token()
    for _ in range(3):
        session.submit_again("/p", b"{}", rejected)
        assert not session.tokens.paused
    for _ in range(6):
        session.submit_again("/p", b"{}", rejected)
        start = clock.now
        while session.tokens.paused:
            clock.now += 0.25
        pauses.append(clock.now - start)
        rejected = session.token()
        assert api.calls[-1] == "login"
    assert pauses == [1, 2, 4, 8, 15, 15]
    api.rejects_all = False
    assert session.submit_again("/p", b"{}", rejected)[0].is_order
    assert session.token() == session.token()
    api.rejects_all = True
    session.submit_again("/p", b"{}", session.token())
    clock.now += 1
    session.token()


def test_a_token_that_futuresms_gives_again_is_tried_again(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    api.rejects_all = True
    session.submit_again("/p", b"{}", session.token())
    clock.now += 2
    api.issued = 0
    api.rejects_all = False
    assert session.token() == "access-1"
    assert session.token() == "access-1"


def test_429_on_a_refresh_is_no_dead_refresh_token(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    session.token()
    clock.now += 901
    real_refresh = api.refresh
    api.refresh = lambda token: (_ for _ in ()).throw(Throttled("429", 7))  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        session.token()
    api.refresh = real_refresh  # type: ignore[method-assign]
    clock.now += 6.5
    with pytest.raises(Unreachable):
        session.token()
    assert api.calls == ["login"]
    clock.now += 0.5
    assert session.token() == "access-2"
    assert api.calls == ["login", "refresh refresh-1"]


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 0.5), (30.0, 30.0), (86400.0, 60.0)])
def test_a_wait_that_futuresms_asks_for_is_kept_within_bounds(
    session: MerchantSession, api: MerchantApi, clock: Clock, asked: float, pause: float
) -> None:
    api.failures = [Throttled("429", asked)]
    with pytest.raises(Throttled):
        session.token()
    clock.now += pause - 0.1
    with pytest.raises(Throttled):
        session.token()
    clock.now += 0.1
    assert session.token() == "access-1"


def test_an_order_with_hardly_any_time_left_is_not_submitted(
    session: MerchantSession, api: MerchantApi, clock: Clock
) -> None:
    """Nobody would know what became of it."""
    rejected = session.token()
    real_refresh = api.refresh

    def slow_refresh(token: str) -> Tokens:
        clock.now += 4.9
        return real_refresh(token)

    api.refresh = slow_refresh  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match="was not submitted again"):
        session.submit_again("/p", b"{}", rejected)
    assert api.submitted == []


class Gate:
    """Lets submissions begin, and end when the test says so."""

    def __init__(self, api: MerchantApi) -> None:
        self.begun: queue.Queue[int] = queue.Queue()
        self.release = threading.Semaphore(0)
        submit = api.submit

        def gated(path: str, body: bytes, token: str, timeout: float) -> tuple[Answer, str | None]:
            self.begun.put(int(body))
            assert self.release.acquire(timeout=20)
            return submit(path, body, token, timeout)

        api.submit = gated  # type: ignore[method-assign]

    def all_begun(self) -> list[int]:
        """Those that have begun since, once no more do for a moment."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self.begun.get(timeout=0.3))
        return found


def test_the_first_order_with_a_new_token_goes_alone_and_then_a_few_at_once(
    api: MerchantApi, clock: Clock
) -> None:
    session = MerchantSession(ACCOUNT, api, clock, start=lambda work: work())
    rejected, gate = session.token(), Gate(api)
    orders = [
        threading.Thread(target=session.submit_again, args=("/p", b"%d" % number, rejected))
        for number in range(100)
    ]
    for order in orders:
        order.start()
    assert len(gate.all_begun()) == 1
    gate.release.release()
    assert 8 <= len(gate.all_begun()) <= 64
    gate.release.release(len(orders))
    for order in orders:
        order.join(20)
    assert len(api.submitted) == 100
    assert api.issued == 2


def test_a_thousand_orders_behind_one_that_is_rejected_again_are_not_submitted(
    api: MerchantApi, clock: Clock
) -> None:
    session = MerchantSession(ACCOUNT, api, clock, start=lambda work: work())
    rejected, gate, refused = session.token(), Gate(api), []
    api.rejects_all = True

    def submit(number: int) -> None:
        try:
            session.submit_again("/p", b"%d" % number, rejected)
        except LoginRefused as failure:
            refused.append(failure)

    orders = [threading.Thread(target=submit, args=(number,)) for number in range(200)]
    for order in orders:
        order.start()
    assert len(gate.all_begun()) == 1
    gate.release.release(len(orders))
    for order in orders:
        order.join(20)
    assert len(api.submitted) == 4
    assert len(refused) == 196


def test_an_order_for_which_no_place_becomes_free_in_time_is_told_so_and_not_submitted(
    api: MerchantApi,
) -> None:
    account = replace(ACCOUNT, timeout=0.5)
    session = MerchantSession(account, api, start=lambda work: work())
    rejected, gate = session.token(), Gate(api)
    first = threading.Thread(target=session.submit_again, args=("/p", b"1", rejected))
    first.start()
    assert gate.begun.get(timeout=20) == 1
    session.tokens.trial_seconds = lambda longest: longest  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match=r"was not submitted again: no time left of 0\.5 s"):
        session.submit_again("/p", b"2", rejected)
    gate.release.release()
    first.join(20)
    assert [body for _, body, _, _ in api.submitted] == [b"1"]


def test_secrets_are_in_no_representation(session: MerchantSession) -> None:
    session.token()
    assert "stub-password" not in repr(session.account)
    assert "access-1" not in repr(session.tokens._tokens)
