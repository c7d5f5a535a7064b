"""An order as FutureSMS shows it, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yeastar_adapter.delivery_reports.statuses import MEANINGS, OUTCOMES, Outcome, status_of
from yeastar_adapter.yeastar.numbers import masked

# Of an order that nothing more will become of, whatever its message.
_ENDED = frozenset({"failed", "rejected", "cancelled", "canceled", "refunded", "expired"})


@dataclass(frozen=True)
class Tracked:
    """`data` of `GET /api/v1/sms/orders/{order_id}`."""

    fields: dict[str, Any]

    @property
    def order_id(self) -> str:
        return self._text("order_id")

    @property
    def state(self) -> str:
        """`accepted`, `charged`, `under way`, `delivered`, `undelivered`, or FutureSMS's own word."""
        word = self._text("message_status")
        if word:
            status = status_of(word)
            if status is None:
                return word
            outcome = OUTCOMES[status]
            return "under way" if outcome is Outcome.INTERIM else outcome.value
        order = self._text("order_status")
        return {"pending": "accepted"}.get(order.lower(), order) or "unknown"

    @property
    def why(self) -> str:
        """What the message's status means; "" where there is none."""
        word = self._text("message_status")
        status = status_of(word) if word else None
        return MEANINGS[status] if status else ""

    @property
    def final(self) -> bool:
        """Nothing more is to be expected."""
        word = self._text("message_status")
        status = status_of(word) if word else None
        if status is not None:
            return OUTCOMES[status] is not Outcome.INTERIM
        return self._text("order_status").lower() in _ENDED

    def report(self, show_text: bool, show_number: bool) -> dict[str, Any]:
        """For `--json`. The `dlr_address` is left out: whoever has it can report on the order."""
        number, text = self._text("phone_number"), self._text("content")
        names = (
            "order_status",
            "message_status",
            "sender_value",
            "merchant_price_usd",
            "created_at",
            "updated_at",
        )
        return {
            "order_id": self.order_id,
            "client_order_id": self.fields.get("client_order_id"),
            "state": self.state,
            "why": self.why or None,
            "final": self.final,
            **{name: self.fields.get(name) for name in names},
            "phone_number": number if show_number else masked(number) if number else None,
            "content": text if show_text else f"({len(text)} characters)",
            "asks_for_report": bool(self.fields.get("dlr_address")),
        }

    def lines(self, show_text: bool, show_number: bool) -> tuple[str, list[str]]:
        """A headline, and what else there is to say."""
        shown = self.report(show_text, show_number)
        word = self._text("message_status")
        headline = self.state + (f" ({word})" if word else "")
        if self.final or word:
            headline += f", {self._text('updated_at')}"
        details = []
        if self.why:
            details.append(f"{word}: {self.why}")
        elif not word:
            details.append(
                "there is no delivery report yet: FutureSMS has the message, the phone perhaps not"
            )
        charged = f"{self._text('order_status') or 'no status'}, {shown['merchant_price_usd'] or '?'} USD"
        details.append(f"accepted {self._text('created_at')}; the order is {charged}")
        details.append(
            f"to {shown['phone_number'] or '?'}, from {shown['sender_value'] or '?'}: {shown['content']}"
        )
        if shown["client_order_id"]:
            details.append(f"client_order_id {shown['client_order_id']}")
        return headline, details

    def _text(self, name: str) -> str:
        value = self.fields.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)
