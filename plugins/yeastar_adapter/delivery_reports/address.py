"""The address that a delivery report comes to: it says which order it is for, and that this gateway has made it.

`<public_url>/api/v1/integration/yeastar/sms/reports/<reference>`, the reference in base64url:

| bytes | what |
| --- | --- |
| 16 | MAC over the rest: HMAC-SHA256 under `delivery_reports.secret`, cut to 128 bits |
| 6 | when the order was handed to Kong, in milliseconds of Unix time |
| 16 | the order's `client_order_id` |
| 16 | Kong's id of the PBX's request, zeros where it has another form |
| 1– | the consumer's username, UTF-8 |

So nothing has to be remembered, on no node, and nobody can report on an order who was not given its address.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from urllib.parse import unquote

PATH = "/api/v1/integration/yeastar/sms/reports/"

LONGEST = 255
"""Characters that a `dlr_address` may have."""

_MAC = 16
_TIME = 6
_ID = 16
_HEAD = _MAC + _TIME + 2 * _ID
_DOMAIN = b"yeastar-adapter delivery report 1\0"
_NO_ID = bytes(_ID)


@dataclass(frozen=True)
class Reference:
    """The order of a report. `handed_over`: when, in seconds of Unix time; `request_id` "" where it is not known."""

    consumer: str
    client_order_id: str
    request_id: str
    handed_over: float


class ReportAddresses:
    """Makes and reads addresses. Raises ValueError for a `client_order_id` that is not 32 hexadecimal digits."""

    def __init__(self, public_url: str, secret: str) -> None:
        self._base = public_url.rstrip("/") + PATH
        self._key = hashlib.sha256(_DOMAIN + secret.encode("utf-8", "surrogateescape")).digest()

    def room(self, consumer: str) -> int:
        """Characters that are left of the `dlr_address` of a consumer's orders; negative: it is too long."""
        size = _HEAD + len(consumer.encode("utf-8", "surrogateescape"))
        return LONGEST - len(self._base) - -(-size * 4 // 3)

    def make(self, consumer: str, client_order_id: str, request_id: str, now: float) -> str | None:
        """The address for one order; None when it would be longer than FutureSMS takes."""
        name = consumer.encode("utf-8", "surrogateescape")
        content = b"".join(
            (
                int(now * 1000).to_bytes(_TIME, "big"),
                bytes.fromhex(client_order_id),
                _id_bytes(request_id),
                name,
            )
        )
        reference = urlsafe_b64encode(self._mac(content) + content).rstrip(b"=").decode()
        address = self._base + reference
        return address if len(address) <= LONGEST else None

    def read(self, reference: str) -> Reference | None:
        """What a reference says, or None when this gateway has not made it."""
        if len(reference) > LONGEST:
            return None
        try:
            signed = urlsafe_b64decode(reference + "=" * (-len(reference) % 4))
        except ValueError:
            return None
        mac, content = signed[:_MAC], signed[_MAC:]
        if len(signed) <= _HEAD or not hmac.compare_digest(mac, self._mac(content)):
            return None
        request_id = content[_TIME + _ID : _TIME + 2 * _ID]
        return Reference(
            consumer=content[_TIME + 2 * _ID :].decode("utf-8", "surrogateescape"),
            client_order_id=content[_TIME : _TIME + _ID].hex(),
            request_id="" if request_id == _NO_ID else request_id.hex(),
            handed_over=int.from_bytes(content[:_TIME], "big") / 1000,
        )

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)[:_MAC]


def reference_of(request_line: str) -> str | None:
    """The reference of a request line (`POST /api/v1/…/reports/<reference> HTTP/1.1`); None on any other path.

    The path is compared as Kong routes it, like that of the endpoints.
    """
    target = request_line.partition(" ")[2].rsplit(" ", 1)[0]
    if "/reports" not in target and "%" not in target:
        return None  # most requests end here
    path = posixpath.normpath(unquote(target.partition("?")[0]))
    if path + "/" == PATH:
        return ""
    return path.removeprefix(PATH) if path.startswith(PATH) else None


def _id_bytes(request_id: str) -> bytes:
    try:
        raw = bytes.fromhex(request_id)
    except ValueError:
        return _NO_ID
    return raw if len(raw) == _ID else _NO_ID
