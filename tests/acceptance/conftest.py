"""Fixtures of the acceptance suite: what a gateway of any kind can be brought to through its configuration."""

from __future__ import annotations

import itertools

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.stub import StubClient

_numbers = itertools.count(1)


@pytest.fixture
def gateway_without_session(gateway: Gateway, kong_yml: KongYml, stub: StubClient) -> str:
    """The gateway with a Merchant account that it has never used; the user's name."""
    username = f"user-{next(_numbers)}"
    stub.merchant(username, password="first-password")
    kong_yml.config["merchant"].update(username=username, password="first-password")
    gateway.load(kong_yml)
    return username
