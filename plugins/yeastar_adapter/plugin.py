"""What the adapter decides: from the PBX's request to an order, and from FutureSMS's answer back to the PBX.

Values in, values out: nothing here knows Kong or greenlets. `handler.py` reads and carries out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from . import retry_after
from .decision import Forward, Identity, Reply
from .delivery_reports.address import reference_of
from .futuresms.answer import Answer
from .futuresms.merchant import LoginRefused, Unreachable
from .futuresms.order import Order
from .futuresms.tokens import order_taken
from .integration import Integration
from .limits import LimiterUnavailable, RateLimitResult
from .observability.requests import Fault, RequestRecord, described
from .request import Request, UpstreamAnswer
from .settings import Consumer
from .translation import error_for
from .yeastar.endpoints import Endpoint, endpoint_of, named_in
from .yeastar.errors import (
    INVALID_PARAMETER,
    INVALID_PHONE_NUMBER,
    NO_PERMISSION,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    Refusal,
)
from .yeastar.message import Message
from .yeastar.replies import VERIFIED, sent

FindConsumer = Callable[[str], Mapping[str, Any] | None]
"""Kong's consumer of a name, or None."""

# What a PBX user is told when it was FutureSMS that found fault with the message: no more than he can correct.
_DETAIL = {
    INVALID_PHONE_NUMBER: "'to' is refused by the SMS provider",
    INVALID_PARAMETER: "the message or its 'text' is refused by the SMS provider",
}


class Adapter:
    """The decisions of one plugin instance."""

    def __init__(self, integration: Integration) -> None:
        self._integration = integration
        self._settings = integration.settings

    def access(self, left: Any, find_consumer: FindConsumer) -> Forward | Reply:
        """Decide of a request, as the reader has left it."""
        record = RequestRecord()
        try:
            request = record.request = Request.read(left)
            reference = reference_of(request.line)
            if reference is not None:
                return self._take_report(request, reference)
            return self._decide(request, find_consumer, record)
        except Exception as failure:  # noqa: BLE001 - the one place where refusals become answers
            return _refused(failure, record)

    def response(self, left: Any) -> Reply:
        """Translate FutureSMS's answer, as the reader has left it."""
        record = RequestRecord(Endpoint.SENDMESSAGE)
        try:
            upstream = record.upstream = UpstreamAnswer.read(left)
            return self._translate(upstream, record)
        except Exception as failure:  # noqa: BLE001 - as above
            return _refused(failure, record)

    def _decide(
        self, request: Request, find_consumer: FindConsumer, record: RequestRecord
    ) -> Forward | Reply:
        consumer, credential_id = self._integration.authentication.identify(request)
        record.consumer = consumer.username
        if not consumer.enabled:
            raise Refusal(NO_PERMISSION, reason=f"consumer '{consumer.username}' is disabled")
        if credential_id is not None:
            record.identity = _identity(find_consumer, consumer, credential_id)
        quota = self._admit(consumer, request, record)
        record.endpoint = endpoint_of(request.line)
        if record.endpoint is Endpoint.VERIFY:
            record.verified()
            return Reply(200, VERIFIED, self._quota_headers(quota), record.identity)
        message = Message.parse(request.body, consumer.rules)
        record.recipient = message.recipient
        if consumer.merchant is None:
            raise Refusal(NO_PERMISSION, reason=f"consumer '{consumer.username}' has no FutureSMS account")
        if consumer.order is None:
            raise Refusal(NO_PERMISSION, reason=f"consumer '{consumer.username}' has no template")
        sender_id = consumer.sender_for(message.sender)
        if sender_id is None:
            raise Refusal(NO_PERMISSION, reason="no sender is configured for this 'from'")
        with record.waiting_for_token():
            token = self._integration.session(consumer, request.service).token()
        reports = self._integration.reports
        report_address = partial(reports.address_for, consumer.username, request.id) if reports.on else None
        order = Order.make(consumer.order, sender_id, message.recipient, message.text, report_address)
        record.forwarded(order)
        headers = {} if self._settings.rate_limit.hide_client_headers else self._quota_headers(quota)
        return Forward(consumer.order.path, order, token, consumer.username, headers, record.identity)

    def _take_report(self, request: Request, reference: str) -> Reply:
        """A delivery report of FutureSMS: no PBX's call, so neither key nor rate, and none of its errors."""
        answer = self._integration.reports.answer(
            request.line, reference, request.body, request.id, request.address
        )
        return Reply(answer.status, answer.body, answer.headers)

    def _translate(self, upstream: UpstreamAnswer, record: RequestRecord) -> Reply:
        if not upstream.carried:
            raise Refusal(
                SERVICE_UNAVAILABLE,
                reason="yeastar-guard has not run: it is missing or disabled on this route; no order was made",
            )
        record.consumer = upstream.consumer
        answer = record.answer = Answer.read(upstream.status, upstream.body)
        wait = upstream.retry_after
        if answer.status == 401:
            record.token_rejected = True
            answer, wait = self._submit_again(upstream)
            record.answer = answer
        if answer.is_order:
            order_taken(upstream.token)
            record.sent()
            self._integration.reports.expect(upstream.consumer)
            return Reply(200, sent(answer.order_id))
        error = error_for(answer)
        headers = {"Retry-After": str(retry_after.seconds(wait))} if error is TOO_MANY_REQUESTS else {}
        raise Refusal(error, detail=_DETAIL.get(error), reason=described(answer), headers=headers)

    def _admit(self, consumer: Consumer, request: Request, record: RequestRecord) -> RateLimitResult | None:
        if not consumer.limits.windows:
            return None
        # `verify` has a count of its own: it never spends what messages may use.
        counted_as = named_in(request.line) or Endpoint.SENDMESSAGE
        key = f"{counted_as.value[1]}:{consumer.username}"
        max_wait = self._settings.rate_limit.max_wait_ms / 1000
        try:
            with record.waiting_for_limiter():
                result = self._integration.limiter.admit(key, consumer.limits, max_wait)
                record.turn_seconds = result.wait_microseconds / 1_000_000
        except LimiterUnavailable as unavailable:
            raise Refusal(SERVICE_UNAVAILABLE, reason=f"the rate cannot be counted: {unavailable}") from None
        if not result.allowed:
            seconds = str(result.retry_after_seconds)
            reason = f"over the limit of {result.limit} a {result.window}; retry in {seconds} s"
            headers = {"Retry-After": seconds, **self._quota_headers(result)}
            raise Refusal(TOO_MANY_REQUESTS, reason=reason, headers=headers)
        return result

    def _submit_again(self, upstream: UpstreamAnswer) -> tuple[Answer, str | None]:
        """The order that was answered 401, once more with a new token: a 401 has created nothing.

        The guard has carried it out, so it is ours, even where a plugin server that was replaced since had fetched
        the token.
        """
        consumer = self._integration.authentication.consumer(upstream.consumer)
        session = self._integration.session(consumer, upstream.service)
        return session.submit_again(upstream.path, upstream.order, upstream.token)

    @staticmethod
    def _quota_headers(result: RateLimitResult | None) -> dict[str, str]:
        if result is None:
            return {}
        return {
            "RateLimit-Limit": str(result.limit),
            "RateLimit-Remaining": str(result.remaining),
            "RateLimit-Reset": str(result.reset_seconds),
        }


def _identity(find_consumer: FindConsumer, consumer: Consumer, credential_id: str) -> Identity:
    entity = find_consumer(consumer.username)
    if not entity:
        raise Refusal(
            NO_PERMISSION,
            reason=f"Kong has no consumer '{consumer.username}': add it to Kong, or correct config.consumers",
        )
    return Identity(entity, credential_id)


def _refused(failure: Exception, record: RequestRecord) -> Reply:
    """The answer to what has gone wrong. What was not foreseen goes on to the plugin server, which logs it with its
    traceback and answers 500/10007."""
    fault = None
    if isinstance(failure, LoginRefused):
        refusal = Refusal(NO_PERMISSION, reason=f"FutureSMS refuses the log-in: {failure}")
    elif isinstance(failure, Unreachable):
        refusal = Refusal(SERVICE_UNAVAILABLE, reason=f"FutureSMS cannot be reached: {failure}")
        fault = Fault.FUTURESMS
    elif isinstance(failure, Refusal):
        refusal = failure
    else:
        record.failed()
        raise failure
    record.refused(refusal, fault)
    return Reply(refusal.error.status, refusal.body, refusal.headers, record.identity)
