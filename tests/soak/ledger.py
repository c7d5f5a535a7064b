"""What FutureSMS has, order by order, written down while it comes in; and the balance with what PBXs were told."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from tests.harness.stub import StubClient

from .load import Load, text_of

OVERLAP = 4000
"""Orders that are asked for each time; more than come in between two times."""


class Ledger:
    """Reads the stub's book about once a second, which itself keeps only the last ones in full."""

    def __init__(self, stub: StubClient) -> None:
        self._stub = stub
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="ledger", daemon=True)
        self.texts: dict[str, str] = {}
        """Text by order id."""
        self.client_order_ids: set[str] = set()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Write down the last ones. Raises AssertionError where one was missed."""
        self._stopped.set()
        self._thread.join()
        self._read()
        accepted = self._stub.status()["orders"]
        assert len(self.texts) == accepted, f"{len(self.texts)} of {accepted} orders written down"

    def _keep(self) -> None:
        while not self._stopped.wait(1):
            self._read()

    def _read(self) -> None:
        for order in self._stub.orders(last=OVERLAP):
            self.texts[order["order_id"]] = order["var"]
            self.client_order_ids.add(order["client_order_id"])


@dataclass(frozen=True)
class Balance:
    """Requests and orders held against each other."""

    requests: int
    messages: int
    accepted: int
    """Messages that were answered 200."""
    orders: int
    orders_of_500: int
    """Orders of messages that were answered 500: FutureSMS's answer found nobody to read it."""
    orders_of_no_answer: int
    """Orders of messages whose own connection ended first."""
    statuses: dict[str, int]
    unanswered: int
    """Requests whose connection ended, or that had no answer in a minute."""

    @classmethod
    def of(cls, load: Load, ledger: Ledger) -> Balance:
        """Raises AssertionError for an order too many, without a key, or with another's text."""
        assert not load.outside, f"answers outside the contract: {load.outside}"
        messages = {text_of(sent.number): sent for sent in load.sent if sent.kind == "message"}
        by_text = Counter(ledger.texts.values())
        assert not by_text or max(by_text.values()) == 1, "a message became two orders"
        assert len(ledger.client_order_ids) == len(ledger.texts), "two orders with one client_order_id"
        assert by_text.keys() <= messages.keys(), "an order of a request that had no key, or no recipient"
        for text, sent in messages.items():
            if sent.status == 200:
                assert ledger.texts.get(sent.order_id or "") == text, (
                    "a PBX was told of an order that is not its own"
                )
        accepted = sum(sent.status == 200 for sent in messages.values())
        assert all(messages[text].status in (200, 500, 0) for text in by_text), "a refused message was sent"
        return cls(
            requests=len(load.sent),
            messages=len(messages),
            accepted=accepted,
            orders=len(ledger.texts),
            orders_of_500=sum(messages[text].status == 500 for text in by_text),
            orders_of_no_answer=sum(messages[text].status == 0 for text in by_text),
            statuses={f"{kind} {status}": n for (kind, status), n in sorted(_statuses(load).items())},
            unanswered=sum(not sent.status for sent in load.sent),
        )


def _statuses(load: Load) -> Counter[tuple[str, int]]:
    return Counter((sent.kind, sent.status) for sent in load.sent)
