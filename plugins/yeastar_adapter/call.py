"""One request, as one phase of it sees it through Kong's PDK."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from .futuresms.answer import Answer
from .futuresms.order import Order
from .yeastar.errors import AUTHENTICATION_FAILED, Refusal
from .yeastar.replies import Reply

# The guard in kong.yml knows by this header that an answer is the adapter's own, and takes it away.
SIGNATURE = {"X-Yeastar-Adapter": "1"}

# Where the reader in kong.yml leaves the request: line, authorization, body and id.
HANDED_OVER = "yeastar_request"

# What the reader hands over, where there is no reader.
_ASK: dict[str, Callable[[Any], Any]] = {
    "authorization": lambda kong: kong.request.get_header("authorization"),
    "line": lambda kong: kong.nginx.get_var("request"),
    # 0: from disk too. Any other limit makes Kong fail on a longer body.
    "body": lambda kong: kong.request.get_raw_body(0),
    "id": lambda kong: kong.nginx.get_var("kong_request_id"),
}

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Call:
    """The PDK calls that the adapter makes, in the order of a request's way.

    The number of calls is the cost of a request (20–25 µs each on nginx's side, more on ours), so what Kong
    tells in one call is not asked in two.
    """

    __slots__ = (
        "_handed_over",
        "_request_line",
        "answer",
        "consumer",
        "kong",
        "limiter_seconds",
        "recipient",
        "token_rejected",
        "token_seconds",
    )

    def __init__(self, kong: Any, handed_over: Mapping[str, Any] | None = None) -> None:
        self.kong = kong
        self._handed_over = handed_over
        self._request_line: str | None = None
        # What becomes known on the way, for log and metrics.
        self.consumer = ""
        self.recipient = ""
        self.limiter_seconds: float | None = None
        self.token_seconds: float | None = None
        self.answer: Answer | None = None
        self.token_rejected = False

    def _read(self, name: str) -> Any:
        request = self._handed_over
        return _ASK[name](self.kong) if request is None else request.get(name)

    def bearer_key(self) -> str:
        """The key of the `Authorization` header. Raises Refusal 10004 when there is none."""
        header = self._read("authorization")
        match = _BEARER.fullmatch(header) if isinstance(header, str) else None
        if match is None:
            raise unauthenticated(
                "no bearer key" if header is None else "the Authorization header is malformed"
            )
        return match[1]

    def request_line(self) -> str:
        """Method, target and version as the client wrote them."""
        if self._request_line is None:
            line = self._read("line")
            self._request_line = str(line or "")
        return self._request_line

    @property
    def known_request_line(self) -> str | None:
        """The same, if it is known without asking Kong."""
        if self._request_line is None and self._handed_over is not None:
            return self.request_line()
        return self._request_line

    def body(self) -> bytes:
        """The whole body."""
        body = self._read("body")
        return body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body or b""

    def authenticate(self, consumer: dict[str, Any], credential_id: str) -> None:
        """Make the consumer known to Kong's logs and to the plugins that run later."""
        self.kong.client.authenticate(consumer, {"id": credential_id})

    def forward(self, path: str, order: Order, token: str) -> None:
        """Hand the order to Kong. Setting the path is also what tells the guard that it was accepted."""
        request = self.kong.service.request
        if "?" in self.request_line():
            request.set_raw_query("")
        request.set_headers(
            {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                # With the client's own, FutureSMS might compress what the response phase has to read.
                "Accept-Encoding": "identity",
            }
        )
        request.set_raw_body(order.body)
        request.set_path(path)

    def request_id(self) -> str | None:
        """Kong's id of the request, which is also in Kong's own log."""
        request_id = self._read("id")
        return None if request_id is None else str(request_id)

    def submitted_order(self) -> dict[str, Any] | None:
        """In the response phase: the fields of the order that Kong has proxied."""
        try:
            order = json.loads(self.body())
        except ValueError:
            return None
        return order if isinstance(order, dict) else None

    def upstream_milliseconds(self) -> float | None:
        """In the response phase: how long Kong has waited for FutureSMS."""
        # Kong's own measure, from its context: nginx's `upstream_response_time` is not set while Kong buffers.
        waited = self.kong.nginx.get_ctx("KONG_WAITING_TIME")
        return waited if isinstance(waited, int | float) else None

    def reply(self, reply: Reply) -> NoReturn:
        """Answer 200; the last thing that a handler does."""
        self._exit(200, reply.body, reply.headers)

    def refuse(self, refusal: Refusal) -> NoReturn:
        """Answer with an entry of Yeastar's catalogue; the last thing that a handler does."""
        self._exit(refusal.error.status, refusal.body, refusal.headers)

    def _exit(self, status: int, body: str, headers: dict[str, str]) -> NoReturn:
        self.kong.response.exit(status, body, {"Content-Type": "application/json", **SIGNATURE, **headers})
        raise AssertionError("exit ends the handler")


def unauthenticated(reason: str) -> Refusal:
    """The one answer to every missing, malformed or unknown key."""
    return Refusal(AUTHENTICATION_FAILED, reason=reason, headers={"WWW-Authenticate": "Bearer"})
