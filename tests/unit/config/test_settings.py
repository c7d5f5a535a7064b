"""Configuration as Kong hands it over: what is made of it, and what an administrator is told."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from yeastar_adapter.limits import RateLimits
from yeastar_adapter.settings import KONGS_PATIENCE, ConfigurationError, Settings
from yeastar_adapter.yeastar.message import MessageRules

KONG_CONF = Path(__file__).parents[3] / "kong" / "kong.conf"

KEY = "ystr_test_acme_manila_0123456789"
MERCHANT = {"username": "u", "password": "p", "timeout_ms": 3000}
ORDER = {"path": "/api/v1/sms/sends", "template_id": "TPL1001", "sender_id": "SID-1", "text_field": "var"}


def parse(*consumers: dict[str, Any], **changes: Any) -> Settings:
    config = {
        "authentication": "bearer",
        "consumers": [
            {"enabled": True, "api_keys": [KEY], "username": "acme-manila", **c} for c in consumers
        ],
        "order": ORDER,
        "merchant": MERCHANT,
        "rate_limit": {"policy": "local", "fault_tolerant": True, "redis": {}},
        **changes,
    }
    return Settings.parse(config)


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def test_a_key_may_be_plain_or_hashed_and_there_may_be_several() -> None:
    other = "another-key-of-twenty-characters"
    settings = parse({"api_keys": [KEY, "sha256:" + digest(other).hex().upper()]})
    assert settings.warnings == ()
    assert {settings.keys[digest(k)][0].username for k in (KEY, other)} == {"acme-manila"}
    assert len({settings.keys[digest(k)][1] for k in (KEY, other)}) == 2


@pytest.mark.parametrize(
    "key", ["", "  ", "short", "x" * 19, "sha256:", "sha256:" + "0" * 63, "sha256:" + "g" * 64]
)
def test_a_key_that_is_blank_short_or_malformed_matches_nothing_and_is_named(key: str) -> None:
    settings = parse({"api_keys": [key, KEY]})
    assert set(settings.keys) == {digest(KEY)}
    [warning] = settings.warnings
    assert warning.startswith("consumer acme-manila: api_keys[1]")


def test_a_consumer_without_a_usable_key_is_named() -> None:
    settings = parse({"api_keys": [""]})
    assert settings.keys == {}
    assert any("no usable key" in warning for warning in settings.warnings)


def test_two_consumers_with_one_key_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="acme-manila and globex-cebu have the same API key"):
        parse({}, {"username": "globex-cebu", "api_keys": ["sha256:" + digest(KEY).hex()]})


def test_two_entries_of_one_consumer_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="acme-manila has two entries"):
        parse({}, {"api_keys": ["another-key-of-twenty-characters"]})


def test_a_consumer_overrides_what_it_names_and_takes_the_rest() -> None:
    settings = parse(
        {
            "sender_id": "SID-9",
            "template_id": "TPL9",
            "merchant": {"username": "other"},
            "rate_limit": {"minute": 7},
        },
        rate_limit={"second": 2, "minute": 60, "redis": {}},
    )
    consumer = settings.consumers["acme-manila"]
    assert consumer.sender_for("+63") == "SID-9"
    assert consumer.order is not None
    assert consumer.order.template_id == "TPL9"
    assert consumer.merchant is not None
    assert (consumer.merchant.username, consumer.merchant.password) == ("other", "p")
    assert consumer.limits == RateLimits(second=2, minute=7)


def test_senders_by_the_pbx_s_number_let_no_other_number_through() -> None:
    consumer = parse({"senders": {"+63280000001": "SID-1002"}}).consumers["acme-manila"]
    assert consumer.sender_for("+63280000001") == "SID-1002"
    assert consumer.sender_for("+63280000002") is None


@pytest.mark.parametrize("senders", [{"+63280000001": ""}, {"+63280000001": "  "}, {}])
def test_a_blank_sender_of_a_number_is_no_sender(senders: dict[str, str]) -> None:
    assert parse({"senders": senders}).consumers["acme-manila"].sender_for("+63280000001") is None


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_override_is_missing_and_does_not_fall_back(blank: str) -> None:
    settings = parse({"sender_id": blank})
    assert settings.consumers["acme-manila"].sender_for("+63") is None
    assert settings.warnings == (
        "consumer acme-manila: order.sender_id is blank (a vault variable that is not set?); "
        "its messages are refused with 10005",
    )


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("name", ["template_id", "sender_id"])
def test_an_order_without_template_or_sender_is_named(name: str, value: str | None) -> None:
    settings = parse({}, order={**ORDER, name: value})
    consumer = settings.consumers["acme-manila"]
    assert consumer.sender_for("+63") is None or consumer.order is None
    assert f"consumer acme-manila: order.{name}" in settings.warnings[0]


@pytest.mark.parametrize("value", [None, "", " "])
@pytest.mark.parametrize("name", ["username", "password"])
def test_an_account_without_credentials_is_no_account_and_is_named(name: str, value: str | None) -> None:
    settings = parse({}, merchant={**MERCHANT, name: value})
    consumer = settings.consumers["acme-manila"]
    assert (consumer.merchant, consumer.order) == (None, None)
    assert f"consumer acme-manila: merchant.{name}" in settings.warnings[0]


@pytest.mark.parametrize("url", ["https://", "http://:80", "http://x:99999", "httpx://x", "http//x"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    settings = parse({}, merchant={**MERCHANT, "base_url": url})
    assert settings.consumers["acme-manila"].merchant is None
    assert "merchant.base_url" in settings.warnings[0]


@pytest.mark.parametrize(
    "name", ["phone_number", "sender_id", "template_id", "client_order_id", "dlr_address"]
)
def test_the_text_cannot_go_into_a_field_of_the_order(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"order\.text_field"):
        parse({}, order={**ORDER, "text_field": name})


def test_an_instance_of_one_consumer_has_settings_for_it() -> None:
    settings = parse(authentication="kong", consumer_id="5fd13671-c5c4-56df-9b22-e5e826685754")
    assert settings.defaults is not None
    assert settings.defaults.sender_for("+63") == "SID-1"
    assert parse(authentication="kong").defaults is None


def test_redis_without_a_user_or_password_has_none() -> None:
    redis = parse(
        rate_limit={"policy": "redis", "redis": {"host": "h", "username": "", "password": ""}}
    ).rate_limit.redis
    assert (redis.host, redis.username, redis.password) == ("h", None, None)


def test_secrets_are_in_no_representation() -> None:
    shown = repr(
        parse(
            {}, rate_limit={"redis": {"password": "redis-secret"}}, merchant={**MERCHANT, "password": "pw-1"}
        )
    )
    for secret in (KEY, "redis-secret", "pw-1", digest(KEY).hex()):
        assert secret not in shown


def rules(settings: Settings) -> MessageRules:
    [consumer] = settings.consumers.values()
    return consumer.rules


def test_a_consumer_s_rules_are_its_own_before_those_of_all() -> None:
    common = {
        "order": {**ORDER, "text_limit": 160, "sms_parts": 1},
        "recipients": {"countries": ["PH"]},
        "recipient_check": "valid",
    }
    assert rules(parse({}, **common)) == MessageRules("valid", frozenset({"PH"}), 160, 1)
    own = {"text_limit": 700, "sms_parts": 5, "recipients": {"countries": ["SG", "PH"]}}
    assert rules(parse(own, **common)) == MessageRules("valid", frozenset({"SG", "PH"}), 700, 5)
    assert rules(parse({"recipients": {}}, **common)).countries == frozenset({"PH"})
    assert rules(parse({})) == MessageRules()


@pytest.mark.parametrize(
    ("code", "regions", "words"),
    [
        ("ph", {"PH", "SG"}, "'ph' is taken for PH"),
        ("UK", {"SG"}, "'UK' is no region code that has phone numbers, and allows nothing; write GB"),
        ("XX", {"SG"}, "'XX' is no region code"),
    ],
)
def test_a_country_that_is_none_is_named_with_field_and_consumer(
    code: str, regions: set[str], words: str
) -> None:
    for settings in (
        parse({"recipients": {"countries": [code, "SG"]}}),
        parse({}, recipients={"countries": [code, "SG"]}),
    ):
        assert rules(settings).countries == regions
        [warning] = settings.warnings
        assert warning.startswith("consumer acme-manila: recipients.countries: ")
        assert words in warning


def test_without_a_country_that_exists_nothing_can_be_sent_and_that_is_said() -> None:
    settings = parse({"recipients": {"countries": ["XX"]}})
    assert rules(settings).countries == frozenset()
    assert any("is empty; its messages are refused with 10005" in w for w in settings.warnings)


def test_waits_that_are_longer_than_kong_s_are_named() -> None:
    limits = {"policy": "redis", "max_wait_ms": 5000, "redis": {"timeout_ms": 200}}
    [warning] = parse({}, rate_limit=limits).warnings
    assert "together are 8.2 s: nginx_http_lua_socket_read_timeout in kong.conf" in warning
    assert parse({}, rate_limit={**limits, "max_wait_ms": 1000}).warnings == ()


def test_the_waits_as_shipped_fit_into_kong_s() -> None:
    assert parse({}, rate_limit={"policy": "redis"}).warnings == ()
    shipped = re.search(r"^nginx_http_lua_socket_read_timeout = (\d+)s$", KONG_CONF.read_text(), re.MULTILINE)
    assert shipped is not None
    assert float(shipped[1]) == KONGS_PATIENCE
