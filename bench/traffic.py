"""What the measured plugin is configured with, and the requests that it gets."""

from __future__ import annotations

import json
import random
from typing import Any

from .load import Request

KEY = "ystr_bench_acme_manila_7Jw2pVqX9sKd4nBt"
SEND = "POST /api/v1/integration/yeastar/sms/sendmessage HTTP/1.1"
VERIFY = "GET /api/v1/integration/yeastar/sms/verify HTTP/1.1"

# Possible numbers of different lengths in different plans; {} is filled with random digits.
NUMBERS = (
    ("+639", 9, 6),
    ("+6597", 6, 1),
    ("+1415", 7, 1),
    ("+4479", 8, 1),
    ("+4915", 9, 1),
    ("+8613", 9, 1),
    ("+614", 8, 1),
    ("+819", 9, 1),
)


def configuration(merchant_url: str, redis_port: int | None = None) -> dict[str, Any]:
    """Everything on: two consumers, keys, limits in every window, validation, orders."""
    windows = {"second": 1_000_000, "minute": 10_000_000, "hour": 100_000_000, "day": 1_000_000_000}
    redis = {"host": "127.0.0.1", "port": redis_port or 6379, "database": 0, "ssl": False, "timeout_ms": 500}
    return {
        "__plugin_id": "59e49850-483c-5d81-8562-cbd46b11e97b",
        "__seq__": 2,
        "authentication": "bearer",
        "consumers": [
            {"username": "acme-manila", "api_keys": [KEY], "enabled": True},
            {
                "username": "globex-cebu",
                "api_keys": ["ystr_bench_globex_cebu_Qm5TzL8rYc3WhN6v"],
                "enabled": False,
            },
        ],
        "order": {
            "path": "/api/v1/sms/sends",
            "template_id": "TPL1001",
            "sender_id": "SID-1",
            "text_field": "var",
        },
        "merchant": {
            "username": "yeastar-gateway",
            "password": "stub-password",
            "base_url": merchant_url,
            "timeout_ms": 5000,
        },
        "rate_limit": {
            **windows,
            "policy": "local" if redis_port is None else "redis",
            "fault_tolerant": False,
            "redis": redis,
        },
        "recipient_check": "possible",
        "consumer_cache_seconds": 60,
        "log": {"level": "info", "format": "text"},
    }


def accepted(count: int = 20_000, seed: int = 20) -> list[Request]:
    """Messages to `count` different recipients, each of which becomes an order."""
    numbers = random.Random(seed)
    weights = [weight for *_, weight in NUMBERS]
    requests = []
    for index in range(count):
        prefix, digits, _ = numbers.choices(NUMBERS, weights)[0]
        to = prefix + "".join(numbers.choices("0123456789", k=digits))
        text = f"Your appointment {index} is at 10:30. Reply to this number to change it."
        body = json.dumps({"from": "+63280000001", "to": to, "text": text}).encode()
        order = {
            "order_id": f"SDPS260325103012A1B2{index:04X}",
            "order_status": "pending",
            "message_status": None,
            "created_at": "2026-03-25T10:30:12Z",
        }
        envelope = {"message": "Accepted", "details": None, "data": order, "meta": {}}
        requests.append(Request(f"Bearer {KEY}", SEND, body, 202, json.dumps(envelope).encode()))
    return requests


def refused_key() -> list[Request]:
    return [Request("Bearer " + "x" * 40, SEND, b"{}", expected_status=401)]


def verify() -> list[Request]:
    return [Request(f"Bearer {KEY}", VERIFY, b"", expected_status=200)]


def invalid_recipient() -> list[Request]:
    body = json.dumps({"from": "+63280000001", "to": "0917", "text": "Hello"}).encode()
    return [Request(f"Bearer {KEY}", SEND, body, expected_status=400)]
