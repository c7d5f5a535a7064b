"""The whole way of a request: from the PBX to an order, and from FutureSMS's answer back to the PBX."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import retry_after
from .config import Consumer
from .futuresms.answer import Answer
from .futuresms.merchant import LoginRefused, Unreachable
from .futuresms.order import Order, read_back
from .gateway.call import Call
from .integration import integration_of
from .limits import LimiterUnavailable, Verdict
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
from .yeastar.message import Message
from .yeastar.replies import sent, verified

log = logging.getLogger(__name__)

# What a PBX user is told when it was FutureSMS that found fault with the message: no more than he can mend.
_DETAIL = {
    INVALID_PHONE_NUMBER: "'to' is refused by the SMS provider",
    INVALID_PARAMETER: "the message is refused by the SMS provider, for example because 'text' is too long",
}


class Plugin:
    """One instance of the plugin: Kong starts one for each configuration in each nginx worker."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._integration = integration_of(config)
        self._settings = self._integration.settings

    def access(self, kong: Any) -> None:
        """From the PBX's request to the order that Kong will proxy, or to a refusal."""
        call = Call(kong)
        with answering(call):
            caller = self._integration.authentication.caller(call)
            consumer = caller.consumer
            quota = self._admit(consumer)
            if endpoint_of(call.request_line()) is Endpoint.VERIFY:
                call.reply(verified(_quota_headers(quota)))
            message = Message.parse(call.body(), self._settings.recipient_check)
            sender_id = consumer.sender_for(message.sender)
            if sender_id is None or consumer.order is None:
                raise Refusal(
                    NO_PERMISSION, reason=f"consumer '{consumer.username}' has no sender or template"
                )
            token = self._integration.session(call, consumer).token()
            order = Order.make(consumer.order, sender_id, message.recipient, message.text)
            if caller.entity is not None:
                call.authenticate(caller.entity, caller.credential_id)
            if not self._settings.rate_limit.hide_client_headers:
                kong.response.set_headers(_quota_headers(quota))
            call.forward(consumer.order.path, order, token)

    def response(self, kong: Any) -> None:
        """From FutureSMS's answer to the PBX's. Kong skips this phase when nothing has answered."""
        call = Call(kong)
        with answering(call):
            answer = Answer.read(kong.service.response.get_status(), kong.service.response.get_raw_body())
            wait = kong.service.response.get_header("retry-after") if answer.status == 429 else None
            if answer.status == 401:
                answer, wait = self._submit_again(call)
            if answer.is_order:
                call.reply(sent(answer.order_id))
            raise _refusal(answer, wait)

    def _admit(self, consumer: Consumer) -> Verdict | None:
        if not consumer.rates.windows:
            return None
        try:
            verdict = self._integration.limiter.admit(consumer.username, consumer.rates)
        except LimiterUnavailable as unavailable:
            raise Refusal(SERVICE_UNAVAILABLE, reason=f"the rate cannot be counted: {unavailable}") from None
        if not verdict.allowed:
            wait = {"Retry-After": str(verdict.retry_after_seconds)}
            raise Refusal(
                TOO_MANY_REQUESTS,
                reason=f"consumer '{consumer.username}' is over its limit of {verdict.limit}",
                headers={**wait, **_quota_headers(verdict)},
            )
        return verdict

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
    """The one place where refusals and accidents become Yeastar errors."""
    try:
        yield
    except Refusal as refusal:
        log.info("%s", refusal)
        call.refuse(refusal)
    except LoginRefused as refused:
        log.info("FutureSMS refuses the log-in: %s", refused)
        call.refuse(Refusal(NO_PERMISSION))
    except Unreachable as unreachable:
        log.info("FutureSMS cannot be reached: %s", unreachable)
        call.refuse(Refusal(SERVICE_UNAVAILABLE))
    except Exception:
        log.exception("a request could not be handled")
        call.refuse(Refusal(SERVICE_UNAVAILABLE))


def _refusal(answer: Answer, wait: str | None) -> Refusal:
    error = error_for(answer)
    headers = {"Retry-After": str(retry_after.seconds(wait))} if error is TOO_MANY_REQUESTS else {}
    said = " ".join(filter(None, (str(answer.status), answer.error_code, answer.reason)))
    return Refusal(error, detail=_DETAIL.get(error), reason=f"FutureSMS answered {said}", headers=headers)


def _quota_headers(verdict: Verdict | None) -> dict[str, str]:
    if verdict is None:
        return {}
    return {
        "RateLimit-Limit": str(verdict.limit),
        "RateLimit-Remaining": str(verdict.remaining),
        "RateLimit-Reset": str(verdict.reset_seconds),
    }
