"""The order that the Merchant API takes: `POST /api/v1/sms/sends` (contract, section 2)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

_NONCE_BYTES = 16
_SEAL_HEX = 16

_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True)
class OrderForm:
    """What configuration says of every order of one consumer.

    `seal_key` marks the orders of this gateway: see `new_client_order_id`.
    """

    path: str
    template_id: str
    text_field: str
    dlr_address: str | None
    seal_key: bytes


@dataclass(frozen=True)
class Order:
    """One order, ready to be sent: its `client_order_id` and its JSON body."""

    client_order_id: str
    body: bytes

    @classmethod
    def make(cls, form: OrderForm, sender_id: str, recipient: str, text: str) -> Order:
        """Write the order for one message; `recipient` goes out exactly as the PBX sent it."""
        client_order_id = new_client_order_id(form.seal_key)
        fields = {
            "phone_number": recipient,
            "template_id": form.template_id,
            "sender_id": sender_id,
            form.text_field: text,
            "client_order_id": client_order_id,
        }
        if form.dlr_address:
            fields["dlr_address"] = form.dlr_address
        return cls(client_order_id, _ENCODER.encode(fields).encode())


def new_client_order_id(seal_key: bytes) -> str:
    """A fresh id of 49 characters: 128 random bits and a seal of 64 bits over them.

    The seal lets the gateway recognise its own orders later, in another phase, another process or on another
    node, without remembering them: what is submitted a second time must be an order that it has made itself.
    """
    nonce = secrets.token_hex(_NONCE_BYTES)
    return f"{nonce}-{_seal(seal_key, nonce)}"


def read_back(body: bytes, seal_key: bytes) -> dict[str, object] | None:
    """The fields of an order that this gateway has made, or None when the body is anything else."""
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    nonce, _, seal = str(fields.get("client_order_id", "")).partition("-")
    return fields if hmac.compare_digest(seal.encode(), _seal(seal_key, nonce).encode()) else None


def _seal(key: bytes, nonce: str) -> str:
    return hmac.digest(key, nonce.encode(), hashlib.sha256).hex()[:_SEAL_HEX]
