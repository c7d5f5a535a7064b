"""Fixtures for breaking things: a gateway, a stub and a Redis server of this test's own session."""

from __future__ import annotations

import pytest

from tests.harness.faults import Faults
from tests.harness.gateway import EmbeddedGateway
from tests.harness.kong_yml import KongYml
from tests.harness.load import Load
from tests.harness.pbx import Pbx
from tests.harness.redis import RedisServer
from tests.harness.stub import StubServer


@pytest.fixture
def faults(
    embedded_gateway: EmbeddedGateway, stub: StubServer, redis_server: RedisServer, kong_yml: KongYml
) -> Faults:
    """The session's processes, with a high rate limit that Redis counts."""
    redis_server.start()
    kong_yml.limit(minute=1_000_000)
    kong_yml.config["rate_limit"]["policy"] = "redis"
    embedded_gateway.load(kong_yml)
    return Faults(embedded_gateway, stub, redis_server)


@pytest.fixture
def load(faults: Faults, pbx: Pbx, stub: StubServer) -> Load:
    """PBXs that send all the while, once the gateway serves."""
    assert pbx.send().status == 200
    return Load(pbx, stub)
