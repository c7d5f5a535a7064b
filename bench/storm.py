"""A token is revoked while a thousand orders are on their way: what becomes of them, and who else has to wait?

`python -m bench.storm` answers every order 401 at once, over TLS, as FutureSMS would, and has the adapter's Merchant
session submit all of them again. It fails unless each order was made once, or was refused and never made, and nobody
else was kept waiting for more than 50 ms.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402
import requests  # noqa: E402
import trustme  # noqa: E402
from yeastar_adapter.futuresms.merchant import Account, LoginRefused, Unreachable  # noqa: E402
from yeastar_adapter.futuresms.sessions import session_of  # noqa: E402

from .processes import tls_stub  # noqa: E402

PATH = "/api/v1/sms/sends"
LONGEST_WAIT = 0.050
"""Seconds that somebody who has nothing to do with it may be kept waiting."""

PULSE = 0.002


@dataclass
class Outcome:
    """What the orders came to, and what it was like meanwhile. Times in seconds."""

    answers: Counter[str] = field(default_factory=Counter)
    made: int = 0
    made_twice: int = 0
    made_and_refused: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    waits: list[tuple[float, float]] = field(default_factory=list)
    """How long, and how much of it this process was at work: the rest it did not have a CPU."""

    @property
    def longest_wait(self) -> float:
        return max((seconds for seconds, _ in self.waits), default=0.0)

    @property
    def longest_work(self) -> float:
        return max((cpu for _, cpu in self.waits), default=0.0)

    @property
    def is_good(self) -> bool:
        true_answers = not self.made_twice and not self.made_and_refused
        return true_answers and self.longest_wait <= LONGEST_WAIT


def storm(url: str, controls: str, ca_certificates: str | None, orders: int, timeout: float) -> Outcome:
    """Revoke the token of `orders` orders in flight, and submit them again."""
    account = Account(url, "yeastar-gateway", "stub-password", timeout, ca_certificates)
    session = session_of(account)
    rejected = session.token()
    requests.post(f"{controls}/__stub__/revoke-tokens", timeout=10).raise_for_status()
    outcome = Outcome()
    answered: dict[str, str] = {}

    def submit(number: int) -> None:
        order = {
            "phone_number": "+639171234567",
            "template_id": "TPL1001",
            "sender_id": "SID-1",
            "var": "Your table is ready",
            "client_order_id": f"storm-order-{number:06}",
        }
        try:
            answer, _ = session.submit_again(PATH, json.dumps(order).encode(), rejected)
            told = "order" if answer.is_order else f"status {answer.status}"
        except LoginRefused:
            told = "10005"
        except Unreachable as failure:
            told = "10007, not submitted" if "not submitted" in str(failure) else "10007, may have arrived"
        answered[order["client_order_id"]] = told

    def somebody_else() -> None:
        while True:
            begun, cpu = perf_counter(), thread_time()
            gevent.sleep(PULSE)
            outcome.waits.append((perf_counter() - begun - PULSE, thread_time() - cpu))

    gc.collect()
    gc.freeze()  # as the plugin server does when it has started
    pulse = gevent.spawn(somebody_else)
    gevent.sleep(0.05)
    outcome.waits.clear()
    begun, cpu = perf_counter(), process_time()
    gevent.joinall([gevent.spawn(submit, number) for number in range(orders)])
    outcome.seconds, outcome.cpu = perf_counter() - begun, process_time() - cpu
    pulse.kill()
    outcome.answers.update(answered.values())
    made: list[dict[str, Any]] = requests.get(f"{controls}/__stub__/orders", timeout=30).json()
    times = Counter(order["client_order_id"] for order in made)
    outcome.made = len(times)
    outcome.made_twice = sum(1 for count in times.values() if count > 1)
    refused = {"10005", "10007, not submitted"}
    outcome.made_and_refused = sum(1 for order in times if answered[order] in refused)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--timeout", type=float, default=3.0, help="merchant.timeout_ms, in seconds")
    options = parser.parse_args()
    good = True
    print(
        "| way | orders | made | 10005 | 10007, not submitted | 10007, may have arrived | s | CPU s "
        "| others waited, ms | of it at work |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as directory:
        files = Path(directory)
        authority = trustme.CA()
        shown = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(str(files / "ca.pem"))
        shown.private_key_pem.write_to_path(str(files / "key.pem"))
        for number, pem in enumerate(shown.cert_chain_pems):
            pem.write_to_path(str(files / "chain.pem"), append=number > 0)
        for way in ("HTTP", "TLS"):
            with tls_stub(files / "chain.pem", files / "key.pem") as (plain, secure):
                url = plain if way == "HTTP" else secure
                outcome = storm(url, plain, str(files / "ca.pem"), options.orders, options.timeout)
            good = good and outcome.is_good
            print(_row(way, options.orders, outcome), flush=True)
    return 0 if good else 1


def _row(way: str, orders: int, outcome: Outcome) -> str:
    answers = outcome.answers
    cells = [
        way,
        orders,
        f"{outcome.made} ({outcome.made_twice} twice)",
        answers["10005"],
        answers["10007, not submitted"],
        answers["10007, may have arrived"],
        f"{outcome.seconds:.2f}",
        f"{outcome.cpu:.2f}",
        f"{outcome.longest_wait * 1000:.0f}",
        f"{outcome.longest_work * 1000:.0f}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
