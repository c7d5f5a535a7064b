"""What yeastar-reader leaves for the adapter, made without a Kong."""

from __future__ import annotations

import json
from typing import Any

BASE = "/api/v1/integration/yeastar/sms"
SEND = f"POST {BASE}/sendmessage HTTP/1.1"
VERIFY = f"GET {BASE}/verify HTTP/1.1"
MESSAGE = {"from": "+63280000001", "to": "+639171234567", "text": "Your table is ready"}
NONCE = "0123456789abcdef0123456789abcdef"
SERVICE = "http://futuresms:8080"


def left(line: str = SEND, message: Any = MESSAGE, key: str | None = None, **changes: Any) -> dict[str, Any]:
    """A request: `left(key=KEY)`, `left(VERIFY, b"", KEY)`. A `message` that is no bytes is sent as JSON."""
    octets = message if isinstance(message, bytes) else json.dumps(message).encode()
    request: dict[str, Any] = {
        "interface": 1,
        "nonce": NONCE,
        "id": "r-1",
        "line": line,
        "address": "192.0.2.7",
        "body": octets.decode("utf-8", "surrogateescape"),
        "service": SERVICE,
    }
    if key is not None:
        request["authorization"] = f"Bearer {key}"
    return {**request, **changes}


def answered(status: int = 202, body: Any = None, order: Any = None, **changes: Any) -> dict[str, Any]:
    """An answer of FutureSMS to `order`, whose guard has carried it out; by default an accepted one."""
    if body is None:
        body = {"data": {"order_id": "SDPS1"}} if status == 202 else {}
    answer: dict[str, Any] = {
        "interface": 1,
        "nonce": NONCE,
        "id": "r-1",
        "status": status,
        "body": body if isinstance(body, bytes) else json.dumps(body),
        "waited_ms": 12,
        "carried": True,
        "consumer": "acme-manila",
        "client_order_id": "71b96bec16d54186d69054cfa3f3f95c",
        "token": "token-1",
    }
    if not 200 <= status <= 299:
        answer |= {
            "path": "/api/v1/sms/sends",
            "order": json.dumps(order if order is not None else ORDER),
            "service": SERVICE,
        }
    return {**answer, **changes}


ORDER = {
    "phone_number": "+639171234567",
    "template_id": "TPL1001",
    "sender_id": "SID-1",
    "var": "Your table is ready",
    "client_order_id": "71b96bec16d54186d69054cfa3f3f95c",
}
