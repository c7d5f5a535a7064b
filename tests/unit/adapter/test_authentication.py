"""Who is calling."""

from __future__ import annotations

from typing import Any

import pytest
from yeastar_adapter.authentication import Authentication, authentication_for
from yeastar_adapter.request import Request
from yeastar_adapter.settings import Settings
from yeastar_adapter.yeastar.errors import AUTHENTICATION_FAILED, NO_PERMISSION, Refusal

KEY = "ystr_test_acme_manila_0123456789"
ENTITY = {"id": "f70c4878", "username": "acme-manila"}


def request(authorization: Any = None, consumer: Any = None, credential: bool = False) -> Request:
    return Request("n", "r-1", "", authorization, consumer=consumer, credential=credential)


def settings(**changes: Any) -> Settings:
    consumers = [
        {"username": "acme-manila", "api_keys": [KEY], "enabled": True},
        {"username": "globex-cebu", "api_keys": [KEY + "-globex"], "enabled": False},
    ]
    return Settings.parse({"consumers": consumers, **changes})


@pytest.fixture
def bearer() -> Authentication:
    return authentication_for(settings())


def refused(authentication: Authentication, call: Request) -> Refusal:
    with pytest.raises(Refusal) as caught:
        authentication.identify(call)
    return caught.value


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_a_key_is_recognised_whatever_the_case_of_its_scheme(bearer: Authentication, scheme: str) -> None:
    consumer, credential_id = bearer.identify(request(f"{scheme} {KEY}"))
    assert consumer.username == "acme-manila"
    assert credential_id
    assert KEY not in credential_id


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
        f"Bearer x, Bearer {KEY}",
    ],
)
def test_every_other_header_gets_one_and_the_same_answer(bearer: Authentication, header: Any) -> None:
    refusal = refused(bearer, request(header))
    assert refusal.error is AUTHENTICATION_FAILED
    assert refusal.headers == {"WWW-Authenticate": "Bearer"}
    assert refusal.body == refused(bearer, request()).body


def by_kong(**changes: Any) -> Authentication:
    return authentication_for(settings(authentication="kong", **changes))


def test_kongs_consumer_is_trusted_when_it_has_an_entry() -> None:
    consumer, credential_id = by_kong().identify(request(consumer=ENTITY, credential=True))
    assert consumer.username == "acme-manila"
    assert credential_id is None


@pytest.mark.parametrize("consumer", [{"id": "x", "username": "anonymous"}, ENTITY, None])
def test_a_consumer_without_a_credential_is_nobody(consumer: Any) -> None:
    assert refused(by_kong(), request(consumer=consumer)).error is AUTHENTICATION_FAILED


def test_a_consumer_of_kong_without_entry_or_instance_has_no_permission() -> None:
    refusal = refused(by_kong(), request(consumer={"id": "x", "username": "initech"}, credential=True))
    assert refusal.error is NO_PERMISSION
    assert "'initech'" in str(refusal)


def test_an_instance_of_its_own_is_permission_enough() -> None:
    scoped = by_kong(consumer_id="x")
    consumer, _ = scoped.identify(request(consumer={"id": "x", "username": "initech"}, credential=True))
    assert consumer.username == "initech"
