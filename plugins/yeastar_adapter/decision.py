"""What the adapter decides of a request: to forward an order, or to reply. `handler.py` carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .futuresms.order import Order


class Identity(NamedTuple):
    """Who Kong is told that the caller is: its consumer, and the id of the credential that was shown."""

    consumer: Mapping[str, Any]
    credential_id: str


@dataclass(slots=True, eq=False)
class Forward:
    """Have Kong proxy an order to `path` of the service, with the session's `token`.

    headers: of the answer to the PBX, whatever FutureSMS says.
    """

    path: str
    order: Order
    token: str
    consumer: str
    headers: Mapping[str, str] = field(default_factory=dict)
    identity: Identity | None = None


@dataclass(slots=True, eq=False)
class Reply:
    """Answer at once: an HTTP status, a JSON body, and headers beside the content type."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    identity: Identity | None = None
