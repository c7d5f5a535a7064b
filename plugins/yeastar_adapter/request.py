"""What yeastar-reader leaves of a request, and of FutureSMS's answer to it: values, read once.

`kong/plugins/yeastar-reader/handler.lua` is the other side; "Between Lua and Python" of
docs/architecture.md has the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .yeastar.errors import SERVICE_UNAVAILABLE, Refusal

INTERFACE = 1
"""The agreement between reader, adapter and guard, whatever the release of each."""

REQUEST = "yeastar_request"
"""Key in `kong.ctx.shared` of what the reader leaves for the adapter."""


@dataclass(slots=True, eq=False)
class Request:
    """A request of the PBX, as it came.

    line: method, target and version. body: None when it is longer than the reader hands over; `body_bytes` says how
    long. address: of the client. service: where FutureSMS is, as `merchant.base_url` says it. consumer: whom a Kong
    plugin has authenticated (`id`, `username`, `custom_id`), with a credential or as its anonymous consumer.
    """

    nonce: str
    id: str
    line: str
    authorization: str | None = None
    body: bytes | None = b""
    body_bytes: int = 0
    address: str = ""
    service: str | None = None
    consumer: Mapping[str, Any] | None = None
    credential: bool = False

    @classmethod
    def read(cls, left: Any) -> Request:
        """Read what the reader has left. Raises Refusal 10007 where there is nothing, or of another interface."""
        _assert_interface(left)
        return cls(
            nonce=left["nonce"],
            id=str(left.get("id") or ""),
            line=str(left.get("line") or ""),
            authorization=left.get("authorization"),
            body=_octets(left.get("body")),
            body_bytes=int(left.get("body_bytes") or 0),
            address=str(left.get("address") or ""),
            service=left.get("service"),
            consumer=left.get("consumer"),
            credential=bool(left.get("credential")),
        )


@dataclass(slots=True, eq=False)
class UpstreamAnswer:
    """An answer of FutureSMS, and of the order that it is about what the answer needs.

    carried: the guard has made the request an order; without it nothing below is known. token: FutureSMS's, which the
    order was sent with. The order itself (`path`, `order`, `service`) is there for every status but 2xx. waited_ms: how
    long Kong waited for the answer.
    """

    nonce: str
    id: str
    status: int
    body: bytes | None = b""
    waited_ms: float | None = None
    carried: bool = True
    consumer: str = ""
    client_order_id: str = ""
    retry_after: str | None = None
    token: str = ""
    path: str = ""
    order: bytes = b""
    service: str | None = None

    @classmethod
    def read(cls, left: Any) -> UpstreamAnswer:
        """Read what the reader has left. Raises Refusal 10007 where there is nothing, or of another interface."""
        _assert_interface(left)
        return cls(
            nonce=left["nonce"],
            id=str(left.get("id") or ""),
            status=int(left["status"]),
            body=_octets(left.get("body")),
            waited_ms=left.get("waited_ms"),
            carried=bool(left.get("carried")),
            consumer=str(left.get("consumer") or ""),
            client_order_id=str(left.get("client_order_id") or ""),
            retry_after=left.get("retry_after"),
            token=str(left.get("token") or ""),
            path=str(left.get("path") or ""),
            order=_octets(left.get("order")) or b"",
            service=left.get("service"),
        )


def _assert_interface(left: Any) -> None:
    if not isinstance(left, dict):
        raise Refusal(
            SERVICE_UNAVAILABLE, reason="yeastar-reader has not run: it is missing or disabled on this route"
        )
    if left.get("interface") != INTERFACE:
        raise Refusal(
            SERVICE_UNAVAILABLE,
            reason=f"yeastar-reader is of another version: it speaks interface {left.get('interface')}, "
            f"this yeastar-adapter speaks {INTERFACE}; install the three of one release",
        )


def _octets(text: str | bytes | None) -> bytes | None:
    # Kong's MessagePack knows one kind of string.
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
