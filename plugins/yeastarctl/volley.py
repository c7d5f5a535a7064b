"""Many messages at a steady rate over a bounded number of connections."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from . import latency
from .pbx import Answer, Pbx, Unreachable


@dataclass
class Tally:
    """What came of the messages so far."""

    answers: Counter[str] = field(default_factory=Counter)
    order_ids: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    unreachable: int = 0
    why_unreachable: str = ""
    first_refusal: Answer | None = None
    elapsed: float = 0.0

    @property
    def accepted(self) -> int:
        return len(self.order_ids)

    @property
    def sent(self) -> int:
        """Messages that were tried, answered or not."""
        return sum(self.answers.values()) + self.unreachable

    def count(self, answer: Answer) -> None:
        self.seconds.append(answer.seconds)
        if answer.status == 200 and answer.order_id:
            self.answers["200"] += 1
            self.order_ids.append(answer.order_id)
            return
        error = answer.error
        self.answers[f"{answer.status} {error['code']}" if error else f"{answer.status}"] += 1
        self.first_refusal = self.first_refusal or answer

    def report(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "sent": self.sent,
            "accepted": self.accepted,
            "answers": dict(self.answers),
            "unreachable": self.unreachable,
            "elapsed_seconds": round(self.elapsed, 3),
            "messages_per_second": round(self.sent / self.elapsed, 1) if self.elapsed else None,
            "latency_ms": latency.summary(self.seconds),
            "order_ids": self.order_ids,
        }


class Volley:
    """`count` messages, at most `rate` a second and `connections` at once.

    Stops early when as many messages as there are connections found nobody at the address: an address that is
    wrong should not cost `count` time-outs.
    """

    def __init__(self, count: int, rate: float, connections: int) -> None:
        self._count = count
        self._rate = rate
        self._connections = min(connections, count)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._next = 0
        self.tally = Tally()

    def run(
        self, pbx: Callable[[], Pbx], send: Callable[[Pbx], Answer], progress: Callable[[], None]
    ) -> Tally:
        """Send them all; a KeyboardInterrupt ends the volley and still gives the tally."""
        started = time.perf_counter()
        threads = [
            threading.Thread(target=self._work, args=(started, pbx, send, progress), daemon=True)
            for _ in range(self._connections)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._stop.set()
            for thread in threads:
                thread.join()
        self.tally.elapsed = time.perf_counter() - started
        return self.tally

    def _work(
        self,
        started: float,
        make: Callable[[], Pbx],
        send: Callable[[Pbx], Answer],
        progress: Callable[[], None],
    ) -> None:
        with _closing(make()) as pbx:
            for number in self._turns():
                if self._stop.wait(max(0.0, started + number / self._rate - time.perf_counter())):
                    return
                try:
                    answer: Answer | Unreachable = send(pbx)
                except Unreachable as error:
                    answer = error
                with self._lock:
                    self._record(answer)
                    progress()

    def _turns(self) -> Iterator[int]:
        while not self._stop.is_set():
            with self._lock:
                number, self._next = self._next, self._next + 1
            if number >= self._count:
                return
            yield number

    def _record(self, answer: Answer | Unreachable) -> None:
        if isinstance(answer, Answer):
            self.tally.count(answer)
            return
        self.tally.unreachable += 1
        self.tally.why_unreachable = str(answer)
        if self.tally.unreachable >= self._connections:
            self._stop.set()


@contextmanager
def _closing(pbx: Pbx) -> Iterator[Pbx]:
    try:
        yield pbx
    finally:
        pbx.close()
