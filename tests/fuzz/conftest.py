"""Fixtures of the fuzzing, and the count of what was tried."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from yeastar_adapter.futuresms.answer import Answer
from yeastar_adapter.futuresms.session import MerchantSession
from yeastar_adapter.handler import Plugin
from yeastar_adapter.observability.logs import JsonFormatter, TextFormatter

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.stub import StubClient

from .cases import counted
from .line import Line
from .pdk import KEY


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if counted:
        terminalreporter.section("cases")
        for kind, number in sorted(counted.items()):
            terminalreporter.line(f"{number:9,}  {kind}")
        terminalreporter.line(f"{counted.total():9,}  in all")


class _Discreet(logging.Handler):
    """Writes every line in both forms, and looks for what may stand in none."""

    def emit(self, record: logging.LogRecord) -> None:
        for formatter in (TextFormatter(), JsonFormatter()):
            line = formatter.format(record)
            assert "\n" not in line, line
            assert not [secret for secret in (KEY, "token-1", "639171234567") if secret in line], line


@pytest.fixture
def log() -> Iterator[None]:
    handler = _Discreet()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch, log: None) -> Plugin:
    """The plugin in this process, with a Merchant session that has a token and submits nothing."""
    monkeypatch.setattr(MerchantSession, "token", lambda self: "token-1")
    monkeypatch.setattr(
        MerchantSession, "submit_again", lambda self, path, body, rejected: (Answer.read(401, b""), None)
    )
    return Plugin(
        {
            "route_id": "fd579e05",
            "consumers": [{"username": "acme-manila", "api_keys": [KEY], "enabled": True}],
            "order": {"template_id": "TPL1", "sender_id": "SID-1"},
            "merchant": {"username": "u", "password": "p"},
            "rate_limit": {"policy": "local", "day": 1_000_000_000},
            "log": {"level": "info"},
        }
    )


@pytest.fixture
def line(gateway: Gateway, kong_yml: KongYml, stub: StubClient) -> Line:
    """The way through this session's gateway, with rates that are counted and never reached."""
    kong_yml.limit(minute=100_000_000)
    gateway.load(kong_yml)
    return Line(gateway, stub)


@pytest.fixture
def impatient_line(gateway: Gateway, kong_yml: KongYml, stub: StubClient) -> Line:
    """The same, where FutureSMS is waited for shortly."""
    kong_yml.service["read_timeout"] = 300
    kong_yml.config["merchant"]["timeout_ms"] = 300
    gateway.load(kong_yml)
    return Line(gateway, stub)
