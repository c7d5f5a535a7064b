"""Who is calling."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from yeastar_adapter.authentication import Authentication, authentication_for
from yeastar_adapter.call import Call
from yeastar_adapter.settings import Settings
from yeastar_adapter.yeastar.errors import AUTHENTICATION_FAILED, NO_PERMISSION, Refusal

KEY = "ystr_test_acme_manila_0123456789"
ENTITY = {"id": "f70c4878", "username": "acme-manila"}


class Kong:
    """The PDK calls of authentication."""

    def __init__(self, authorization: Any = None, consumer: Any = None, credential: Any = None) -> None:
        self.loaded: list[str] = []
        self.database: dict[str, Any] = {"acme-manila": ENTITY}
        self.request = SimpleNamespace(get_header=lambda name: authorization)
        self.authenticated: list[tuple[Any, Any]] = []
        self.client = SimpleNamespace(
            get_consumer=lambda: consumer,
            get_credential=lambda: credential,
            load_consumer=self._load,
            authenticate=lambda *who: self.authenticated.append(who),
        )

    def _load(self, username: str, by_username: bool) -> Any:
        assert by_username
        self.loaded.append(username)
        return self.database.get(username)


def settings(**changes: Any) -> Settings:
    consumers = [
        {"username": "acme-manila", "api_keys": [KEY], "enabled": True},
        {"username": "globex-cebu", "api_keys": [KEY + "-globex"], "enabled": False},
    ]
    return Settings.parse({"consumers": consumers, **changes})


@pytest.fixture
def bearer() -> Authentication:
    return authentication_for(settings())


def refused(authentication: Authentication, kong: Kong) -> Refusal:
    with pytest.raises(Refusal) as caught:
        authentication.caller(Call(kong))
    return caught.value


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_a_key_is_recognised_whatever_the_case_of_its_scheme(bearer: Authentication, scheme: str) -> None:
    kong = Kong(f"{scheme} {KEY}")
    assert bearer.caller(Call(kong)).username == "acme-manila"
    [(entity, credential)] = kong.authenticated
    assert entity == ENTITY
    assert KEY not in credential["id"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY} x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY}x",
        f"Bearer\t{KEY}",
        f"Bearer{KEY}",
        f'Bearer "{KEY}"',
        f"Bearer {KEY.upper()}",
        "Bearer \udcff\udcfe",
        b"Bearer \xff",
        f"Bearer x, Bearer {KEY}",
    ],
)
def test_every_other_header_gets_one_and_the_same_answer(bearer: Authentication, header: Any) -> None:
    refusal = refused(bearer, Kong(header))
    assert refusal.error is AUTHENTICATION_FAILED
    assert refusal.headers == {"WWW-Authenticate": "Bearer"}
    assert refusal.body == refused(bearer, Kong(None)).body


def test_a_switched_off_consumer_is_refused_before_kong_is_asked_for_it(bearer: Authentication) -> None:
    kong = Kong(f"Bearer {KEY}-globex")
    assert refused(bearer, kong).error is NO_PERMISSION
    assert kong.loaded == []


def test_kong_is_asked_for_a_consumer_once_in_a_while() -> None:
    now = [100.0]
    parsed = settings(consumer_cache_seconds=60)
    authentication = authentication_for(parsed)
    authentication._clock = lambda: now[0]  # type: ignore[attr-defined]
    kong = Kong(f"Bearer {KEY}")
    for step in (0, 1, 58, 2, 1):
        now[0] += step
        authentication.caller(Call(kong))
    assert kong.loaded == ["acme-manila"] * 2


def test_no_memory_at_all_when_that_is_configured() -> None:
    authentication = authentication_for(settings(consumer_cache_seconds=0))
    kong = Kong(f"Bearer {KEY}")
    for _ in range(3):
        authentication.caller(Call(kong))
    assert len(kong.loaded) == 3


def test_a_consumer_that_kong_does_not_have_is_named_in_the_log_and_found_soon_after_it_is_added() -> None:
    now = [100.0]
    authentication = authentication_for(settings())
    authentication._clock = lambda: now[0]  # type: ignore[attr-defined]
    kong = Kong(f"Bearer {KEY}")
    kong.database.clear()
    refusal = refused(authentication, kong)
    assert refusal.error is NO_PERMISSION
    assert "'acme-manila'" in str(refusal)
    kong.database["acme-manila"] = ENTITY
    now[0] += 6
    assert authentication.caller(Call(kong)).username == "acme-manila"


KongMode = Callable[..., Authentication]


def kong_mode(**changes: Any) -> Authentication:
    return authentication_for(settings(authentication="kong", **changes))


def test_kong_s_consumer_is_trusted_when_it_has_an_entry() -> None:
    kong = Kong(consumer=ENTITY, credential={"id": "c"})
    assert kong_mode().caller(Call(kong)).username == "acme-manila"
    assert kong.authenticated == []


def test_kong_s_anonymous_consumer_is_nobody() -> None:
    assert (
        refused(kong_mode(), Kong(consumer={"id": "x", "username": "anonymous"})).error
        is AUTHENTICATION_FAILED
    )
    assert refused(kong_mode(), Kong(consumer=ENTITY)).error is AUTHENTICATION_FAILED
    assert refused(kong_mode(), Kong()).error is AUTHENTICATION_FAILED


def test_a_consumer_of_kong_without_entry_or_instance_has_no_permission() -> None:
    refusal = refused(kong_mode(), Kong(consumer={"id": "x", "username": "initech"}, credential={"id": "c"}))
    assert refusal.error is NO_PERMISSION
    assert "'initech'" in str(refusal)


def test_an_instance_of_its_own_is_permission_enough() -> None:
    scoped = kong_mode(consumer_id="x")
    caller = scoped.caller(Call(Kong(consumer={"id": "x", "username": "initech"}, credential={"id": "c"})))
    assert caller.username == "initech"


def test_a_consumer_that_is_switched_off_in_its_entry_is_off_for_kong_s_consumers_too() -> None:
    refusal = refused(
        kong_mode(), Kong(consumer={"id": "y", "username": "globex-cebu"}, credential={"id": "c"})
    )
    assert refusal.error is NO_PERMISSION
