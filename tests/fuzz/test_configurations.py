"""Any configuration that Kong lets through: an instance that works, or one that says why not, and lets nobody send."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.handler import Plugin
from yeastar_adapter.limits import LocalLimiter
from yeastar_adapter.observability.exporter import Address
from yeastar_adapter.settings import ConfigurationError, Settings

from . import configurations
from .cases import cases, count
from .pdk import KEY, SEND, Kong

MESSAGE = '{"from": "+63280000001", "to": "+639171234567", "text": "x"}'


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is opened or connected to: the settings alone are tried."""
    monkeypatch.setattr(MerchantSession, "token", lambda self: "token-1")
    monkeypatch.setattr("yeastar_adapter.integration.exporter_at", _address_of)
    monkeypatch.setattr("yeastar_adapter.integration.open_limiter", lambda settings: LocalLimiter())
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)


def _address_of(listen: str | None) -> None:
    try:
        Address.parse((listen or "").strip())
    except ValueError:
        return


@cases(short=50, long=20_000)
@given(config=configurations.configurations())
def test_a_configuration_works_or_is_refused_in_words(
    nowhere: None, turn: int, config: dict[str, Any]
) -> None:
    count("configurations, in process")
    try:
        settings = Settings.parse(config)
    except ConfigurationError:
        return
    kong = Kong(SEND, MESSAGE)
    kong.consumer = {"id": "1", "username": "acme-manila"}
    kong.credential = True
    kong.run(Plugin(config), "access")
    if kong.path is None:
        answer = kong.answer
        assert answer.code in ("10004", "10005", "10006", "10007"), answer
        return
    if settings.authentication == "bearer":
        [name] = {
            entry["username"] for entry in config["consumers"] if KEY in map(str.strip, entry["api_keys"])
        }
        owner = settings.consumers[name]
    else:
        owner = settings.consumers.get("acme-manila") or settings.defaults
    assert owner is not None
    assert owner.enabled
    assert owner.merchant is not None
    order = json.loads(kong.order)
    for value in (order["sender_id"], order["template_id"], owner.merchant.username, owner.merchant.password):
        assert value.strip()
    assert owner.order is not None
    assert order[owner.order.text_field] == "x"
