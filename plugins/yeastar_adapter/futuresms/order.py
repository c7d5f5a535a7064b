"""The order that the Merchant API takes: `POST /api/v1/sms/sends` (contract, section 2)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

_ID_BYTES = 16

_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True)
class OrderForm:
    """What configuration says of every order of one consumer."""

    path: str
    template_id: str
    text_field: str
    dlr_address: str | None


class Order(NamedTuple):
    """One order, ready to be sent: its `client_order_id` and its JSON body."""

    client_order_id: str
    body: bytes

    @classmethod
    def make(
        cls,
        form: OrderForm,
        sender_id: str,
        recipient: str,
        text: str,
        report_address: Callable[[str], str | None] | None = None,
    ) -> Order:
        """Write the order for one message; `recipient` goes out exactly as the PBX sent it.

        `report_address`: the `dlr_address` for a `client_order_id`, in place of the form's.
        """
        client_order_id = new_client_order_id()
        fields = {
            "phone_number": recipient,
            "template_id": form.template_id,
            "sender_id": sender_id,
            form.text_field: text,
            "client_order_id": client_order_id,
        }
        dlr_address = form.dlr_address if report_address is None else report_address(client_order_id)
        if dlr_address:
            fields["dlr_address"] = dlr_address
        return cls(client_order_id, _ENCODER.encode(fields).encode())


def new_client_order_id() -> str:
    """A fresh id of 32 characters, 128 random bits: unique, unguessable, and tells nothing."""
    return secrets.token_hex(_ID_BYTES)
