"""Addresses of one gateway, and reports that come to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from yeastar_adapter.delivery_reports.address import PATH, Reference, ReportAddresses

SECRET = "c0ffee5eed1234567890abcdef-secret!"
ORDER = "0123456789abcdef0123456789abcdef"
MESSAGE = "fedcba9876543210fedcba9876543210"
HANDED_OVER = 1_764_000_000.25


@pytest.fixture
def addresses() -> ReportAddresses:
    return ReportAddresses("https://sms.example.com", SECRET)


@pytest.fixture
def reference_text(addresses: ReportAddresses) -> str:
    """What the path of a report for ORDER ends with."""
    address = addresses.make("acme-manila", ORDER, MESSAGE, HANDED_OVER)
    assert address is not None
    return address.rpartition("/")[2]


@pytest.fixture
def reference(addresses: ReportAddresses, reference_text: str) -> Reference:
    found = addresses.read(reference_text)
    assert found is not None
    return found


@pytest.fixture
def body() -> Callable[..., bytes]:
    """A report as FutureSMS posts it, with changes; `...` leaves a field out."""

    def write(**changes: Any) -> bytes:
        fields = {
            "order_id": "SDPS260325103012A1B2C3D",
            "client_order_id": ORDER,
            "message_status": "DELIVRD",
            "phone_number": "+639171234567",
            "sender_value": "ACME",
            "reported_at": "2026-03-25T10:30:20Z",
            **changes,
        }
        return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()

    return write


@pytest.fixture
def path(reference_text: str) -> str:
    return PATH + reference_text
