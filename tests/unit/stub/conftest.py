from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.merchant import Merchant
from tests.harness.stub import StubClient


@pytest.fixture
def log_in(stub: StubClient) -> Callable[..., Merchant]:
    return lambda *credentials: Merchant(stub.url, *credentials)


@pytest.fixture
def merchant(stub: StubClient) -> Merchant:
    return Merchant(stub.url)
