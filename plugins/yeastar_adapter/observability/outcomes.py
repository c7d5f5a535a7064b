"""How each request ended: the one place that knows, for log and metrics."""

from __future__ import annotations

import logging
import re
from enum import Enum
from time import time
from typing import Any

from ..call import Call
from ..futuresms.answer import Answer
from ..futuresms.order import Order
from ..yeastar.endpoints import Endpoint, endpoint_of
from ..yeastar.errors import (
    AUTHENTICATION_FAILED,
    INVALID_PARAMETER,
    INVALID_PHONE_NUMBER,
    NO_PERMISSION,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNSUPPORTED_MEDIA,
    Refusal,
)
from ..yeastar.numbers import masked
from .counts import Counts
from .logs import FIELDS

log = logging.getLogger("yeastar_adapter.requests")

counts = Counts()


class Fault(Enum):
    """Who can mend it."""

    PBX = "pbx"
    SETUP = "setup"
    FUTURESMS = "futuresms"
    GATEWAY = "gateway"


# What an error means where nothing more is known: before FutureSMS has answered, and after.
_AT_FAULT = {
    INVALID_PHONE_NUMBER: (Fault.PBX, Fault.PBX),
    INVALID_PARAMETER: (Fault.PBX, Fault.PBX),
    UNSUPPORTED_MEDIA: (Fault.PBX, Fault.PBX),
    AUTHENTICATION_FAILED: (Fault.PBX, Fault.PBX),
    NO_PERMISSION: (Fault.SETUP, Fault.SETUP),
    TOO_MANY_REQUESTS: (Fault.PBX, Fault.FUTURESMS),
    SERVICE_UNAVAILABLE: (Fault.GATEWAY, Fault.FUTURESMS),
}

# Fields of an order that come from the configuration. The others come from the PBX.
_CONFIGURED_FIELDS = ("template_id", "sender_id", "dlr_address")
_FIELDS = ("phone_number", "client_order_id", *_CONFIGURED_FIELDS)

# What somebody has to look at: the set-up, or FutureSMS. The others are between the PBX and its user.
_ALARMING = frozenset({NO_PERMISSION, SERVICE_UNAVAILABLE})

# The statuses that the contract tells apart; any other is counted by its class, so that FutureSMS cannot
# make series.
_STATUSES = frozenset((200, 201, 202, 400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504))

_CODE = re.compile(r"(?!.*[0-9]{6})[A-Za-z][A-Za-z0-9_.-]{0,63}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_CLIENT_ORDER_ID = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}")


def refused(call: Call, refusal: Refusal, fault: Fault | None = None) -> None:
    """The PBX gets an error. `fault`: who can mend it, where the refusal does not tell."""
    error, answer = refusal.error, call.answer
    if fault is None:
        fault = _fault(refusal, answer)
    if answer is not None:
        # The response phase starts with nothing: the consumer is what the access phase has told Kong.
        entity = call.kong.client.get_consumer() or {}
        call.consumer = entity.get("username") or entity.get("id") or ""
        counts.answers[_status(answer.status), error.code] += 1
        counts.tokens_rejected += call.token_rejected
    _observe_waits(call)
    endpoint = _endpoint(call)
    counts.refused[counts.label(call.consumer), endpoint, error.code, fault.value] += 1
    level = logging.WARNING if error in _ALARMING else logging.INFO
    if log.isEnabledFor(level):
        reason = refusal.reason or refusal.detail or error.title
        ending = {"code": error.code, "status": error.status, "fault": fault.value, "endpoint": endpoint}
        log.log(level, "refused: %s", reason, extra={FIELDS: _known(ending, _facts(call))})


def failed(call: Call) -> None:
    """Something unforeseen: the plugin server is about to log its traceback, and to answer 500/10007."""
    error, endpoint = SERVICE_UNAVAILABLE, _endpoint(call)
    if call.answer is not None:
        counts.answers[_status(call.answer.status), error.code] += 1
    _observe_waits(call)
    counts.refused[counts.label(call.consumer), endpoint, error.code, Fault.GATEWAY.value] += 1
    ending = {"code": error.code, "status": error.status, "fault": Fault.GATEWAY.value, "endpoint": endpoint}
    try:
        facts = _facts(call)
    except Exception:  # noqa: BLE001 - what failed may be just what is asked here
        facts = {"consumer": call.consumer}
    log.error("failed: the traceback follows", extra={FIELDS: _known(ending, facts)})


def forwarded(call: Call, order: Order) -> None:
    """The order was handed to Kong."""
    _observe_waits(call)
    counts.forwarded[counts.label(call.consumer)] += 1
    if log.isEnabledFor(logging.DEBUG):
        facts = {**_facts(call), "client_order_id": order.client_order_id}
        log.debug("forwarded", extra={FIELDS: _known(facts)})


def sent(call: Call, answer: Answer) -> None:
    """FutureSMS has taken the order, and the PBX gets its id."""
    counts.accepted += 1
    counts.accepted_last = time()
    counts.answers[_status(answer.status), ""] += 1
    if call.token_rejected:
        counts.tokens_rejected += 1
    if log.isEnabledFor(logging.DEBUG):
        entity = call.kong.client.get_consumer() or {}
        call.consumer = entity.get("username") or entity.get("id") or ""
        log.debug("sent", extra={FIELDS: _known(_facts(call), {"order_id": answer.order_id})})


def verified(call: Call) -> None:
    """The PBX has verified its key."""
    _observe_waits(call)
    counts.verified[counts.label(call.consumer)] += 1
    if log.isEnabledFor(logging.DEBUG):
        log.debug("verified", extra={FIELDS: _known(_facts(call))})


def described(answer: Answer) -> str:
    """An answer of FutureSMS in a few words, for a reason: `FutureSMS answered 422 VALIDATION_ERROR`."""
    codes = (_only(_CODE, answer.error_code), _only(_CODE, answer.reason))
    return " ".join(("FutureSMS answered", str(answer.status), *filter(None, codes)))


def _fault(refusal: Refusal, answer: Answer | None) -> Fault:
    before, after = _AT_FAULT[refusal.error]
    if answer is None:
        return before
    if refusal.error is INVALID_PARAMETER and any(map(answer.concerns, _CONFIGURED_FIELDS)):
        return Fault.SETUP
    if refusal.error is SERVICE_UNAVAILABLE and answer.status == 401:
        return before  # a request that reached FutureSMS past the plugin, while its server was down
    return after


def _observe_waits(call: Call) -> None:
    if call.limiter_seconds is not None:
        counts.limiter_wait.observe(call.limiter_seconds)
    if call.token_seconds is not None:
        counts.token_wait.observe(call.token_seconds)


def _endpoint(call: Call) -> str:
    """`verify`, `sendmessage`, or "" of a request that was refused before anybody looked."""
    if call.answer is not None:
        return Endpoint.SENDMESSAGE.value[1]
    if call.known_request_line is None:
        return ""
    try:
        return endpoint_of(call.known_request_line).value[1]
    except Refusal:
        return ""


def _status(status: int) -> str:
    return str(status) if status in _STATUSES else f"{status // 100}xx"


def _facts(call: Call) -> dict[str, Any]:
    """What is known of the request, by name; asks Kong for what only Kong knows."""
    facts: dict[str, Any] = {"request_id": call.request_id(), "consumer": call.consumer}
    if call.recipient:
        facts["recipient"] = masked(call.recipient)
    if call.limiter_seconds is not None:
        facts["limiter_ms"] = round(call.limiter_seconds * 1000, 2)
    if call.token_seconds is not None:
        facts["token_ms"] = round(call.token_seconds * 1000, 2)
    if call.answer is not None:
        facts |= _facts_of_answer(call, call.answer)
    return facts


def _facts_of_answer(call: Call, answer: Answer) -> dict[str, Any]:
    """The response phase starts with nothing: the order is what the access phase has left with Kong."""
    order = call.submitted_order() or {}
    fields = dict.fromkeys((*_FIELDS, *filter(_CODE.fullmatch, order)))
    return {
        "recipient": masked(str(order["phone_number"])) if order.get("phone_number") else None,
        "client_order_id": _only(_CLIENT_ORDER_ID, str(order.get("client_order_id") or "")),
        "upstream_status": answer.status,
        "upstream_code": _only(_CODE, answer.error_code),
        "upstream_reason": _only(_CODE, answer.reason),
        "upstream_about": ",".join(field for field in fields if answer.concerns(field)),
        "upstream_request_id": _only(_REQUEST_ID, answer.request_id),
        "upstream_ms": call.upstream_milliseconds(),
        "token_rejected": call.token_rejected or None,
    }


def _only(form: re.Pattern[str], text: str) -> str:
    """A code or an id as it is; in place of prose, which could quote the message or its recipient, its length."""
    return text if not text or form.fullmatch(text) else f"({len(text)} characters)"


def _known(*facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for part in facts for name, value in part.items() if value is not None and value != ""
    }
