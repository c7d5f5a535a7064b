"""How each request ended: the one place that knows, for log and metrics."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from enum import Enum
from time import perf_counter, time
from typing import Any

from ..decision import Identity
from ..futuresms.answer import Answer
from ..futuresms.order import Order
from ..request import Request, UpstreamAnswer
from ..yeastar.countries import region_of
from ..yeastar.endpoints import Endpoint, endpoint_of
from ..yeastar.errors import (
    AUTHENTICATION_FAILED,
    INVALID_PARAMETER,
    INVALID_PHONE_NUMBER,
    NO_PERMISSION,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNSUPPORTED_MEDIA,
    DestinationRefused,
    Refusal,
)
from ..yeastar.numbers import masked
from .counters import RequestCounters
from .logs import FIELDS
from .strangers import strangers

log = logging.getLogger("yeastar_adapter.requests")

counters = RequestCounters()


class Fault(Enum):
    """Who can correct it."""

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


class _Waiting:
    """Tells how long its block took, whatever its end; `contextlib` would take longer than most of them."""

    __slots__ = ("_start", "_tell")

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        self._start = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._tell(perf_counter() - self._start)


class RequestRecord:
    """What becomes known of a request on its way through one phase, and what is logged and counted of it at its end.

    One of `verified`, `forwarded`, `sent`, `refused` and `failed` ends it.
    """

    __slots__ = (
        "answer",
        "consumer",
        "country",
        "endpoint",
        "identity",
        "limiter_seconds",
        "recipient",
        "request",
        "token_rejected",
        "token_seconds",
        "turn_seconds",
        "upstream",
    )

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        self.request: Request | None = None
        self.upstream: UpstreamAnswer | None = None
        self.endpoint = endpoint
        self.consumer = ""
        self.identity: Identity | None = None
        self.recipient = ""
        self.country = ""
        self.limiter_seconds: float | None = None
        self.turn_seconds = 0.0
        self.token_seconds: float | None = None
        self.answer: Answer | None = None
        self.token_rejected = False

    def waiting_for_limiter(self) -> _Waiting:
        """Measures what a request waits for its rate to be counted, without what it waits for its turn."""
        return _Waiting(self._limiter_answered)

    def waiting_for_token(self) -> _Waiting:
        """Measures what a message waits for an access token."""
        return _Waiting(self._token_there)

    def _limiter_answered(self, seconds: float) -> None:
        self.limiter_seconds = max(0.0, seconds - self.turn_seconds)

    def _token_there(self, seconds: float) -> None:
        self.token_seconds = seconds

    def refused(self, refusal: Refusal, fault: Fault | None = None) -> None:
        """The PBX gets an error. `fault`: who can correct it, where the refusal does not tell."""
        error, answer = refusal.error, self.answer
        if isinstance(refusal, DestinationRefused):
            self.recipient, self.country = refusal.recipient, refusal.region
            counters.destinations[refusal.region, "refused"] += 1
        if fault is None:
            fault = _fault(refusal, answer)
        if answer is not None:
            counters.answers[_status(answer.status), error.code] += 1
            counters.tokens_rejected += self.token_rejected
        self._observe_waits()
        endpoint = self._endpoint_name()
        counters.refused[counters.label(self.consumer), endpoint, error.code, fault.value] += 1
        level = logging.WARNING if error in _ALARMING else logging.INFO
        if log.isEnabledFor(level):
            reason = refusal.reason or refusal.detail or error.title
            ending = {"code": error.code, "status": error.status, "fault": fault.value, "endpoint": endpoint}
            if error is AUTHENTICATION_FAILED:
                address = self.request.address if self.request else ""
                if not strangers.note(reason, address):
                    return
                ending |= {"address": address}
            log.log(level, "refused: %s", reason, extra={FIELDS: _known(ending, self._fields())})

    def failed(self) -> None:
        """Something unforeseen: the plugin server is about to log its traceback, and to answer 500/10007."""
        error, endpoint = SERVICE_UNAVAILABLE, self._endpoint_name()
        if self.answer is not None:
            counters.answers[_status(self.answer.status), error.code] += 1
        self._observe_waits()
        counters.refused[counters.label(self.consumer), endpoint, error.code, Fault.GATEWAY.value] += 1
        ending = {
            "code": error.code,
            "status": error.status,
            "fault": Fault.GATEWAY.value,
            "endpoint": endpoint,
        }
        log.error("failed: the traceback follows", extra={FIELDS: _known(ending, self._fields())})

    def forwarded(self, order: Order) -> None:
        """The order is handed to Kong."""
        self._observe_waits()
        counters.forwarded[counters.label(self.consumer)] += 1
        self.country = region_of(self.recipient)
        counters.destinations[self.country, "forwarded"] += 1
        if log.isEnabledFor(logging.DEBUG):
            fields = {**self._fields(), "client_order_id": order.client_order_id}
            log.debug("forwarded", extra={FIELDS: _known(fields)})

    def sent(self) -> None:
        """FutureSMS has taken the order, and the PBX gets its id."""
        answer = self.answer
        assert answer is not None  # noqa: S101 - only an answer can be an order
        counters.accepted += 1
        counters.accepted_last = time()
        counters.answers[_status(answer.status), ""] += 1
        counters.tokens_rejected += self.token_rejected
        if log.isEnabledFor(logging.DEBUG):
            log.debug("sent", extra={FIELDS: _known(self._fields(), {"order_id": answer.order_id})})

    def verified(self) -> None:
        """The PBX has verified its key."""
        self._observe_waits()
        counters.verified[counters.label(self.consumer)] += 1
        if log.isEnabledFor(logging.DEBUG):
            log.debug("verified", extra={FIELDS: _known(self._fields())})

    def _observe_waits(self) -> None:
        if self.limiter_seconds is not None:
            counters.limiter_wait.observe(self.limiter_seconds)
        if self.turn_seconds:
            counters.turn_wait.observe(self.turn_seconds)
        if self.token_seconds is not None:
            counters.token_wait.observe(self.token_seconds)

    def _endpoint_name(self) -> str:
        """`verify`, `sendmessage`, or "" where the request line is neither's."""
        endpoint = self.endpoint
        if endpoint is None and self.request is not None:
            try:
                endpoint = endpoint_of(self.request.line)
            except Refusal:
                return ""
        return endpoint.value[1] if endpoint else ""

    def _fields(self) -> dict[str, Any]:
        """What is known of the request, by name."""
        source = self.request or self.upstream
        fields: dict[str, Any] = {"request_id": source.id if source else "", "consumer": self.consumer}
        if self.recipient:
            fields |= {"recipient": masked(self.recipient), "country": self.country}
        if self.limiter_seconds is not None:
            fields["limiter_ms"] = round(self.limiter_seconds * 1000, 2)
        if self.turn_seconds:
            fields["turn_ms"] = round(self.turn_seconds * 1000, 2)
        if self.token_seconds is not None:
            fields["token_ms"] = round(self.token_seconds * 1000, 2)
        if self.upstream is not None:
            fields |= _upstream_fields(self.upstream)
        if self.answer is not None:
            fields |= _answer_fields(self.answer, self.upstream)
            fields["token_rejected"] = self.token_rejected or None
        return fields


def described(answer: Answer) -> str:
    """An answer of FutureSMS in a few words, for a reason: `FutureSMS answered 422 VALIDATION_ERROR`."""
    codes = (_only(_CODE, answer.error_code), _only(_CODE, answer.reason))
    return " ".join(("FutureSMS answered", str(answer.status), *filter(None, codes)))


def _fault(refusal: Refusal, answer: Answer | None) -> Fault:
    if isinstance(refusal, DestinationRefused):
        return Fault.PBX
    before, after = _AT_FAULT[refusal.error]
    if answer is None:
        return before
    if refusal.error is INVALID_PARAMETER and any(map(answer.concerns, _CONFIGURED_FIELDS)):
        return Fault.SETUP
    return after


def _status(status: int) -> str:
    return str(status) if status in _STATUSES else f"{status // 100}xx"


def _upstream_fields(upstream: UpstreamAnswer) -> dict[str, Any]:
    recipient = _fields_of(upstream).get("phone_number")
    return {
        "recipient": masked(str(recipient)) if recipient else None,
        "client_order_id": upstream.client_order_id,
        "upstream_ms": upstream.waited_ms,
    }


def _answer_fields(answer: Answer, upstream: UpstreamAnswer | None) -> dict[str, Any]:
    order = _fields_of(upstream) if upstream else {}
    fields = dict.fromkeys((*_FIELDS, *filter(_CODE.fullmatch, order)))
    return {
        "upstream_status": answer.status,
        "upstream_code": _only(_CODE, answer.error_code),
        "upstream_reason": _only(_CODE, answer.reason),
        "upstream_about": ",".join(field for field in fields if answer.concerns(field)),
        "upstream_request_id": _only(_REQUEST_ID, answer.request_id),
    }


def _fields_of(upstream: UpstreamAnswer) -> dict[str, Any]:
    """The order that was submitted, which the reader leaves for every status but 2xx."""
    if not upstream.order:
        return {}
    fields: dict[str, Any] = json.loads(upstream.order)
    return fields


def _only(form: re.Pattern[str], text: str) -> str:
    """A code or an id as it is; in place of prose, which could quote the message or its recipient, its length."""
    return text if not text or form.fullmatch(text) else f"({len(text)} characters)"


def _known(*fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for part in fields for name, value in part.items() if value is not None and value != ""
    }
