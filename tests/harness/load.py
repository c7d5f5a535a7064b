"""PBXs that go on sending while something breaks, and the count of what came of it."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .gateway import wait_until
from .pbx import Answer, Pbx
from .stub import StubClient

_numbers = itertools.count(1)


@dataclass
class Sent:
    """One message of the load: who has sent it, its text, which no other message has, and what came back."""

    sender: int
    text: str
    valid_key: bool
    seconds: float
    answer: Answer | None
    """None: the connection broke before a whole answer."""


@dataclass
class Load:
    """Messages with a good key, and some with a wrong one, from several PBXs at once until it is stopped.

    Every answer is held against the contract as it comes (`Pbx`); one that is outside it ends the load and is raised
    when it stops.
    """

    pbx: Pbx
    stub: StubClient
    senders: int = 6
    rate: float | None = None
    """Messages a second; None: as many as are answered."""
    sent: list[Sent] = field(default_factory=list)
    _outside: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Send until the block is left."""
        threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(self.senders)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(90)
        assert not [thread for thread in threads if thread.is_alive()], "a request was never answered"
        if self._outside:
            raise self._outside[0]

    def wait_for(self, messages: int, seconds: float = 60) -> None:
        """Until so many more messages have been answered. Raises AssertionError when they are not."""
        goal = len(self.sent) + messages
        deadline = time.monotonic() + seconds
        while len(self.sent) < goal and not self._outside:
            assert time.monotonic() < deadline, (
                f"only {len(self.sent)} of {goal} messages answered in {seconds:g} s"
            )
            time.sleep(0.01)

    def wait_for_each(self, messages: int = 2, seconds: float = 60) -> None:
        """Until every sender has had so many more answers; what was under way has been answered with the first.

        For a fault that an order survives once: a mere count of messages says nothing of one that hangs behind.
        Raises AssertionError when they do not come.
        """
        before = len(self.sent)

        def answered() -> bool:
            counts = Counter(sent.sender for sent in self.sent[before:])
            return all(counts[number] >= messages for number in range(self.senders))

        wait_until(lambda: answered() or self._outside, seconds, f"{messages} answers to each sender")

    def wait_for_status(self, status: int, messages: int = 5, seconds: float = 60) -> None:
        """Until so many messages in a row (those with a good key) got this status."""
        deadline = time.monotonic() + seconds
        while not self._outside:
            last = [sent.answer.status for sent in self.sent[-50:] if sent.valid_key and sent.answer][
                -messages:
            ]
            if last == [status] * messages:
                return
            assert time.monotonic() < deadline, f"no {messages} times {status} in a row; last: {last}"
            time.sleep(0.01)

    @property
    def statuses(self) -> Counter[int | None]:
        """How often each status came back to a good key; None: the connection broke."""
        return Counter(sent.answer.status if sent.answer else None for sent in self.sent if sent.valid_key)

    @property
    def slowest(self) -> float:
        """Seconds that the slowest answer took."""
        return max(sent.seconds for sent in self.sent)

    def verdict(self) -> None:
        """The invariants that hold under every fault.

        At most one order a message; every order id that a PBX was given is one that FutureSMS has; no two orders with
        one `client_order_id`; none for a wrong key.
        """
        orders = self.stub.orders()
        by_text = Counter(order["var"] for order in orders)
        assert max(by_text.values(), default=0) <= 1, "a message became two orders"
        assert len({order["client_order_id"] for order in orders}) == len(orders)
        strangers = {sent.text for sent in self.sent if not sent.valid_key}
        assert not strangers & by_text.keys(), "a message without a valid key became an order"
        assert by_text.keys() <= {sent.text for sent in self.sent} | self._of_others(by_text)
        ids = {order["order_id"]: order["var"] for order in orders}
        for sent in self.sent:
            if sent.answer is not None and sent.answer.status == 200:
                assert ids.get(str(sent.answer.order_id)) == sent.text, (
                    "a PBX was told of an order that is not its own"
                )

    def _of_others(self, by_text: Counter[str]) -> set[str]:
        return {text for text in by_text if not text.startswith("load ")}

    def _send(self, number: int) -> None:
        while not self._stop.is_set():
            # One in eight is a stranger.
            count = next(_numbers)
            valid = count % 8 != 0
            options: dict[str, Any] = {} if valid else {"key": f"stranger-{count:030}"}
            text = f"load {number} {count} {time.monotonic_ns()}"
            start = time.monotonic()
            answer: Answer | None = None
            try:
                answer = self.pbx.send(text=text, **options)
                if not valid:
                    assert answer.status in (401, 500), f"a stranger got {answer.status}"
            except (OSError, http.client.HTTPException):
                answer = None
            except AssertionError as outside:
                self._outside.append(outside)
                self._stop.set()
            self.sent.append(Sent(number, text, valid, time.monotonic() - start, answer))
            if self.rate is not None:
                self._stop.wait(max(0.0, start + self.senders / self.rate - time.monotonic()))
