"""Values that come from files and vaults: with the line break that ends a file, and with worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from yeastar_adapter.settings import Consumer, Settings

KEY = "ystr_test_acme_manila_0123456789"


def parse(end: str = "", **changes: Mapping[str, Any]) -> Settings:
    """Everything that a vault may hold, with `end` after it."""
    config: dict[str, Any] = {
        "consumers": [
            {
                "username": "acme-manila",
                "api_keys": [KEY + end],
                "senders": {"+63280000001": "SID-1002" + end},
                **changes.pop("entry", {}),
            }
        ],
        "order": {"template_id": "TPL1001" + end, "sender_id": "SID-1" + end, **changes.pop("order", {})},
        "merchant": {"username": "u" + end, "password": "p w " + end, **changes.pop("merchant", {})},
        "rate_limit": {"policy": "redis", "redis": {"username": "r" + end, "password": " s" + end}},
        **changes,
    }
    return Settings.parse(config)


def of(settings: Settings) -> Consumer:
    return settings.consumers["acme-manila"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_line_breaks_at_the_end_are_taken_off_and_nothing_else(end: str) -> None:
    with_end, without = parse(end), parse()
    assert with_end.warnings == without.warnings == ()
    assert with_end.keys.keys() == without.keys.keys()
    assert of(with_end) == of(without)
    assert with_end.rate_limit == without.rate_limit
    merchant = of(with_end).merchant
    assert merchant is not None
    assert (merchant.username, merchant.password) == ("u", "p w ")
    assert with_end.rate_limit.redis.password == " s"


@pytest.mark.parametrize("name", ["username", "password"])
def test_a_line_break_in_the_middle_is_told_in_one_line(name: str) -> None:
    settings = parse(merchant={name: "one\ntwo"})
    assert of(settings).merchant is None
    assert settings.warnings == (
        f"consumer acme-manila: merchant.{name} has a line break in it; its messages are refused with 10005",
    )


@pytest.mark.parametrize("value", [" SID-1", "SID-1 ", "SID 1", "SID-1\t"])
def test_white_space_in_a_sender_or_template_is_told_in_one_line(value: str) -> None:
    settings = parse(entry={"senders": None, "sender_id": value})
    assert of(settings).sender_for("+63280000001") is None
    assert settings.warnings == (
        "consumer acme-manila: order.sender_id has white space in it; its messages are refused with 10005",
    )
    settings = parse(order={"template_id": value})
    assert of(settings).order is None
    assert len(settings.warnings) == 1
    settings = parse(entry={"senders": {"+63280000001": value}})
    assert of(settings).sender_for("+63280000001") is None
    assert settings.warnings == (
        "consumer acme-manila: senders: the sender of '+63280000001' has white space in it",
    )
