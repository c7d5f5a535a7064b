"""Who may use the gateway."""

from __future__ import annotations

import hashlib

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY, DEMO_KEY_OFF, VERIFY, Pbx
from tests.harness.stub import StubClient

NEW_KEY = "ystr_test_rotation_Rf8mZk2QwLx7Vb3N"


def test_a_good_key_is_verified(pbx: Pbx) -> None:
    answer = pbx.verify()
    assert (answer.status, answer.json) == (200, {"data": {"status": "ok"}})


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR", "Bearer "])
def test_the_scheme_is_written_in_any_case(pbx: Pbx, scheme: str) -> None:
    assert pbx.request("GET", VERIFY, headers={"Authorization": f"{scheme} {DEMO_KEY}"}).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        DEMO_KEY,
        f"Basic {DEMO_KEY}",
        f"Token {DEMO_KEY}",
        f"Bearer {DEMO_KEY[:-1]}",
        f"Bearer {DEMO_KEY}0",
        f"Bearer {DEMO_KEY.lower()}",
        f"Bearer {DEMO_KEY} {DEMO_KEY}",
        f"Bearer {DEMO_KEY},",
        f"Bearer {hashlib.sha256(DEMO_KEY.encode()).hexdigest()}",
        f"Bearer sha256:{hashlib.sha256(DEMO_KEY.encode()).hexdigest()}",
        "Bearer " + "x" * 4000,
        "Bearer \xff\xfe",
        "Bearer null",
    ],
)
@pytest.mark.parametrize("call", ["verify", "send"])
def test_every_other_authorization_gets_one_and_the_same_401(
    pbx: Pbx, stub: StubClient, authorization: str | None, call: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answers = {
        "verify": lambda: pbx.request("GET", VERIFY, headers=headers),
        "send": lambda: pbx.send(key=None, headers=headers),
    }
    answer = answers[call]()
    assert answer.code == "10004"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.body == pbx.verify(key=None).body
    assert stub.requests() == []


def test_two_keys_of_one_pbx_both_work_while_one_replaces_the_other(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx
) -> None:
    kong_yml.entry("acme-manila")["api_keys"].append(NEW_KEY)
    gateway.load(kong_yml)
    assert pbx.verify().status == 200
    assert pbx.verify(key=NEW_KEY).status == 200
    kong_yml.entry("acme-manila")["api_keys"].pop(0)
    gateway.load(kong_yml)
    assert pbx.verify().code == "10004"
    assert pbx.verify(key=NEW_KEY).status == 200


@pytest.mark.parametrize(
    "key", ["{vault://env/no-such-variable-anywhere}", "too-short", "sha256:0123", "", " "]
)
def test_a_configured_key_that_is_no_key_matches_nothing(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, key: str
) -> None:
    kong_yml.entry("acme-manila")["api_keys"] = [key]
    gateway.load(kong_yml)
    for given in ("", key, " "):
        assert pbx.request("GET", VERIFY, headers={"Authorization": f"Bearer {given}"}).code == "10004"
    assert pbx.verify(key=None).code == "10004"
    assert pbx.verify(key=DEMO_KEY_OFF).code == "10005"


def test_a_switched_off_consumer_has_no_permission(pbx: Pbx, stub: StubClient) -> None:
    assert pbx.verify(key=DEMO_KEY_OFF).code == "10005"
    assert pbx.send(key=DEMO_KEY_OFF).code == "10005"
    assert stub.requests() == []


def test_a_consumer_that_kong_does_not_have_has_no_permission(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    kong_yml["consumers"] = [c for c in kong_yml["consumers"] if c["username"] != "acme-manila"]
    gateway.load(kong_yml)
    assert pbx.send().code == "10005"
    assert stub.requests() == []


def test_two_consumers_with_one_key_let_nobody_in(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    kong_yml.add_pbx("initech", DEMO_KEY)
    gateway.load(kong_yml)
    assert pbx.verify().code == "10007"
    assert pbx.send().code == "10007"
    assert stub.requests() == []


def test_the_key_never_reaches_futuresms(pbx: Pbx, stub: StubClient) -> None:
    assert pbx.send().status == 200
    assert DEMO_KEY not in repr(stub.requests())
