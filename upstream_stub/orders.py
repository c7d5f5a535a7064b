"""Orders: the field rules of `POST /api/v1/sms/sends`, and the book of what was accepted."""

from __future__ import annotations

import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import clock
from .answers import ApiError
from .reports import Fate, Reports
from .world import SENDERS, TEMPLATES

_E164 = re.compile(r"\+[1-9][0-9]{1,30}")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SUFFIXES = 36**7
_STRIDE = 48_271_943_117
"""Coprime to 36: stepping by it visits every suffix once before any comes again."""


@dataclass(slots=True)
class Order:
    order_id: str
    merchant: str
    client_order_id: str | None
    created_at: str
    received: bytes
    fate: Fate

    def fields(self) -> dict[str, Any]:
        """Every field received, and those that FutureSMS added when it took the order."""
        return {
            **json.loads(self.received),
            "order_id": self.order_id,
            "order_status": "pending",
            "message_status": None,
            "merchant": self.merchant,
            "created_at": self.created_at,
        }

    def as_tracked(self) -> dict[str, Any]:
        """The order as `GET /api/v1/sms/orders/{order_id}` shows it."""
        received = json.loads(self.received)
        return {
            "order_id": self.order_id,
            "client_order_id": self.client_order_id,
            "phone_number": received["phone_number"],
            "sender_value": SENDERS[received["sender_id"]],
            "content": TEMPLATES[received["template_id"]].render(received.get("var")),
            "dlr_address": received.get("dlr_address"),
            "created_at": self.created_at,
            **self.fate.now(),
        }

    def report(self) -> dict[str, Any]:
        """What a delivery report says of the order, beside its status."""
        received = json.loads(self.received)
        return {
            "order_id": self.order_id,
            "client_order_id": self.client_order_id,
            "phone_number": received["phone_number"],
            "sender_value": SENDERS[received["sender_id"]],
        }


class Book:
    """The accepted orders: the last `keep` of them in full, every client_order_id for good.

    A remembered id costs about 150 bytes: 150 MB for a million orders.
    """

    def __init__(self, keep: int, reports: Reports) -> None:
        self.keep = keep
        self._reports = reports
        self.accepted = 0
        self._orders: OrderedDict[str, Order] = OrderedDict()
        self._client_ids: dict[str, set[str]] = {}
        self._suffix = secrets.randbelow(_SUFFIXES)

    def accept(self, merchant: str, body: bytes, fields: dict[str, Any]) -> Order:
        """Enter an order whose fields have passed `check`. Raises ApiError 409 for a known client id."""
        client_id = fields.get("client_order_id")
        if client_id is not None:
            client_id = client_id.strip()
            known = self._client_ids.setdefault(merchant, set())
            if client_id in known:
                raise ApiError(409, "client_order_id already exists for this merchant")
            known.add(client_id)
        iso, compact = clock.now()
        fate = self._reports.fate(fields["phone_number"])
        order = Order(f"SDPS{compact}{self._next_suffix()}", merchant, client_id, iso, body, fate)
        self._orders[order.order_id] = order
        self.accepted += 1
        if len(self._orders) > self.keep:
            self._orders.popitem(last=False)
        if fields.get("dlr_address"):
            self._reports.send(order.report(), fields["dlr_address"], fate)
        return order

    def find(self, order_id: str, merchant: str) -> Order:
        """Raises ApiError 404 for an unknown order and for another merchant's."""
        order = self._orders.get(order_id)
        if order is None or order.merchant != merchant:
            raise ApiError(404, "Order not found")
        return order

    def clear(self) -> None:
        self._orders.clear()
        self._client_ids.clear()
        self.accepted = 0

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders.values())

    def __len__(self) -> int:
        return len(self._orders)

    def _next_suffix(self) -> str:
        self._suffix = rest = (self._suffix + _STRIDE) % _SUFFIXES
        letters = []
        for _ in range(7):
            rest, digit = divmod(rest, 36)
            letters.append(_ALPHABET[digit])
        return "".join(letters)


def check(fields: dict[str, Any]) -> None:
    """The field rules of FutureSMS ("Send SMS"). Unknown fields are tolerated.

    Raises ApiError: 422 names the field in `details`; 404 for a template that does not exist; 403 for one
    that is not approved and for a sender that is not authorised.
    """
    phone_number = _text(fields, "phone_number", 1, 32, required=True)
    if not _E164.fullmatch(phone_number or ""):
        raise ApiError(422, "phone_number: must be an E.164 number")
    template_id = _text(fields, "template_id", 4, 16, required=True)
    sender_id = _text(fields, "sender_id", 1, 64, required=True)
    var = _text(fields, "var", 0, None)
    _text(fields, "client_order_id", 12, 128)
    _text(fields, "dlr_address", 0, 255)

    template = TEMPLATES.get(template_id or "")
    if template is None:
        raise ApiError(404, "template_id: no such template")
    if not template.approved:
        raise ApiError(403, "template_id: the template is not approved")
    if sender_id not in SENDERS:
        reason = "auto routing is not enabled" if sender_id == "AUTO" else "the sender is not authorised"
        raise ApiError(403, f"sender_id: {reason}")
    if template.var_limit is None:
        if var:
            raise ApiError(422, "var: must be empty, the template has no placeholder")
    elif not var:
        raise ApiError(422, "var: is required by the template")
    elif len(var) > template.var_limit:
        raise ApiError(422, f"var: at most {template.var_limit} characters")
    if phone_number and phone_number.endswith("0000"):
        raise ApiError(422, "phone_number: the recipient is not reachable")


def _text(
    fields: dict[str, Any], name: str, least: int, most: int | None, *, required: bool = False
) -> str | None:
    value = fields.get(name)
    if value is None:
        if required:
            raise ApiError(422, f"{name}: is required")
        return None
    if not isinstance(value, str):
        raise ApiError(422, f"{name}: must be a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ApiError(422, f"{name}: is not valid Unicode") from None
    length = len(value.strip()) if name == "client_order_id" else len(value)
    if length < least or (most is not None and length > most):
        raise ApiError(422, f"{name}: must have {least} to {most} characters")
    return value
