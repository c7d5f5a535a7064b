"""The whole way of a request: from the PBX to an order, and from FutureSMS's answer back to the PBX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NoReturn

from . import retry_after
from .call import Call
from .config import Consumer
from .futuresms.answer import Answer
from .futuresms.merchant import LoginRefused, Unreachable
from .futuresms.order import Order, read_back
from .integration import Integration
from .limits import LimiterUnavailable, Verdict
from .observability import outcomes
from .observability.outcomes import Fault
from .translation import error_for
from .yeastar.endpoints import Endpoint, endpoint_of
from .yeastar.errors import (
    INVALID_PARAMETER,
    INVALID_PHONE_NUMBER,
    NO_PERMISSION,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    Refusal,
)
from .yeastar.message import Message, MessageRules
from .yeastar.replies import sent, verified

# What a PBX user is told when it was FutureSMS that found fault with the message: no more than he can mend.
_DETAIL = {
    INVALID_PHONE_NUMBER: "'to' is refused by the SMS provider",
    INVALID_PARAMETER: "the message or its 'text' is refused by the SMS provider",
}


class Plugin:
    """One instance of the plugin: Kong starts one for each configuration in each nginx worker."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._integration = Integration(config)
        self._settings = self._integration.settings

    def access(self, kong: Any) -> None:
        """From the PBX's request to the order that Kong will proxy, or to a refusal."""
        call = Call(kong, self._integration.handed_over(kong))
        with answering(call):
            consumer = self._integration.authentication.caller(call)
            quota = self._admit(call, consumer)
            if endpoint_of(call.request_line()) is Endpoint.VERIFY:
                outcomes.verified(call)
                call.reply(verified(_quota_headers(quota)))
            message = Message.parse(call.body(), MessageRules(self._settings.recipient_check))
            call.recipient = message.recipient
            sender_id = consumer.sender_for(message.sender)
            if sender_id is None or consumer.order is None:
                raise Refusal(NO_PERMISSION, reason="no sender or template is configured for this message")
            token = self._token(call, consumer)
            order = Order.make(consumer.order, sender_id, message.recipient, message.text)
            if quota and not self._settings.rate_limit.hide_client_headers:
                kong.response.set_headers(_quota_headers(quota))
            call.forward(consumer.order.path, order, token)
            outcomes.forwarded(call, order)

    def response(self, kong: Any) -> None:
        """From FutureSMS's answer to the PBX's. Kong skips this phase when nothing has answered."""
        call = Call(kong)
        with answering(call):
            answer = Answer.read(kong.service.response.get_status(), kong.service.response.get_raw_body())
            wait = kong.service.response.get_header("retry-after") if answer.status == 429 else None
            call.answer = answer
            if answer.status == 401:
                call.token_rejected = True
                answer, wait = self._submit_again(call)
                call.answer = answer
            if answer.is_order:
                outcomes.sent(call, answer)
                call.reply(sent(answer.order_id))
            raise _refusal(answer, wait)

    def _admit(self, call: Call, consumer: Consumer) -> Verdict | None:
        if not consumer.rates.windows:
            return None
        start = perf_counter()
        try:
            verdict = self._integration.limiter.admit(consumer.username, consumer.rates)
        except LimiterUnavailable as unavailable:
            raise Refusal(SERVICE_UNAVAILABLE, reason=f"the rate cannot be counted: {unavailable}") from None
        finally:
            call.limiter_seconds = perf_counter() - start
        if not verdict.allowed:
            wait = {"Retry-After": str(verdict.retry_after_seconds)}
            reason = f"over the limit of {verdict.limit}; room again in {verdict.retry_after_seconds} s"
            raise Refusal(TOO_MANY_REQUESTS, reason=reason, headers={**wait, **_quota_headers(verdict)})
        return verdict

    def _token(self, call: Call, consumer: Consumer) -> str:
        start = perf_counter()
        try:
            return self._integration.session(call, consumer).token()
        finally:
            call.token_seconds = perf_counter() - start

    def _submit_again(self, call: Call) -> tuple[Answer, str | None]:
        """The order that was answered 401, once more with a new token: a 401 has created nothing."""
        consumer = self._integration.authentication.consumer_of(call)
        body = call.body()
        if consumer.order is None or read_back(body, consumer.order.seal_key) is None:
            # A request that went past a plugin server that was down: never authenticated, so never an order.
            raise Refusal(SERVICE_UNAVAILABLE, reason="what FutureSMS rejected is no order of this gateway")
        rejected = str(call.kong.request.get_header("authorization") or "").removeprefix("Bearer ")
        return self._integration.session(call, consumer).submit_again(consumer.order.path, body, rejected)


@contextmanager
def answering(call: Call) -> Iterator[None]:
    """The one place where refusals become answers.

    What else goes wrong goes on to the plugin server, which logs it with its traceback and answers 500/10007.
    """
    try:
        yield
    except Refusal as refusal:
        _refuse(call, refusal)
    except LoginRefused as refused:
        _refuse(call, Refusal(NO_PERMISSION, reason=f"FutureSMS refuses the log-in: {refused}"))
    except Unreachable as unreachable:
        reason = f"FutureSMS cannot be reached: {unreachable}"
        _refuse(call, Refusal(SERVICE_UNAVAILABLE, reason=reason), Fault.FUTURESMS)
    except Exception:
        outcomes.failed(call)
        raise


def _refuse(call: Call, refusal: Refusal, fault: Fault | None = None) -> NoReturn:
    outcomes.refused(call, refusal, fault)
    call.refuse(refusal)


def _refusal(answer: Answer, wait: str | None) -> Refusal:
    error = error_for(answer)
    headers = {"Retry-After": str(retry_after.seconds(wait))} if error is TOO_MANY_REQUESTS else {}
    return Refusal(error, detail=_DETAIL.get(error), reason=outcomes.described(answer), headers=headers)


def _quota_headers(verdict: Verdict | None) -> dict[str, str]:
    if verdict is None:
        return {}
    return {
        "RateLimit-Limit": str(verdict.limit),
        "RateLimit-Remaining": str(verdict.remaining),
        "RateLimit-Reset": str(verdict.reset_seconds),
    }
