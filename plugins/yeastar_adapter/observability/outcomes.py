"""How each request ended: the one place that knows, for log and metrics."""

from __future__ import annotations

import logging
from typing import Any

from ..futuresms.answer import Answer
from ..futuresms.order import Order
from ..gateway.call import Call
from ..yeastar.errors import NO_PERMISSION, SERVICE_UNAVAILABLE, Refusal
from ..yeastar.numbers import masked
from .logs import FIELDS

log = logging.getLogger("yeastar_adapter.requests")

# What somebody has to look at: the set-up, or FutureSMS. The others are between the PBX and its user.
_ALARMING = frozenset({NO_PERMISSION, SERVICE_UNAVAILABLE})


def refused(call: Call, refusal: Refusal) -> None:
    """The PBX gets an error."""
    level = logging.WARNING if refusal.error in _ALARMING else logging.INFO
    if log.isEnabledFor(level):
        reason = refusal.reason or refusal.detail or refusal.error.title
        ending = {"code": refusal.error.code, "status": refusal.error.status}
        log.log(level, "refused: %s", reason, extra={FIELDS: {**ending, **_facts(call)}})


def forwarded(call: Call, order: Order) -> None:
    """The order was handed to Kong."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("forwarded", extra={FIELDS: {**_facts(call), "client_order_id": order.client_order_id}})


def sent(call: Call, answer: Answer) -> None:
    """FutureSMS has taken the order, and the PBX gets its id."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("sent", extra={FIELDS: {**_facts(call), "order_id": answer.order_id}})


def verified(call: Call) -> None:
    """The PBX has verified its key."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("verified", extra={FIELDS: _facts(call)})


def _facts(call: Call) -> dict[str, Any]:
    """What is known of the request, by name; asks Kong for what only Kong knows."""
    facts: dict[str, Any] = {"request_id": call.request_id()}
    if call.answer is not None:
        facts |= _facts_of_answer(call, call.answer)
    if call.consumer:
        facts["consumer"] = call.consumer
    if call.recipient:
        facts["recipient"] = masked(call.recipient)
    if call.limiter_seconds is not None:
        facts["limiter_ms"] = round(call.limiter_seconds * 1000, 2)
    if call.token_seconds is not None:
        facts["token_ms"] = round(call.token_seconds * 1000, 2)
    return facts


def _facts_of_answer(call: Call, answer: Answer) -> dict[str, Any]:
    """The response phase starts with nothing: consumer and order are what the access phase left with Kong."""
    order = call.submitted_order()
    facts = {
        "consumer": (call.kong.client.get_consumer() or {}).get("username"),
        "recipient": masked(str(order.get("phone_number", ""))) if order else None,
        "client_order_id": order.get("client_order_id") if order else None,
        "upstream_status": answer.status,
        "upstream_code": answer.error_code,
        "upstream_request_id": answer.request_id,
        "upstream_ms": call.upstream_milliseconds(),
        "submitted_again": call.submitted_again or None,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}
