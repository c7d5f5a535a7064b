"""How long many consumers take to load: `python -m bench.consumers [--consumers 10000]`."""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import time
from typing import Any

from . import processes, traffic
from .load import start_instance
from .processes import OURS, plugin_server

ROUNDS = 5


def configuration(consumers: int, merchant_url: str, round_: int) -> dict[str, Any]:
    """Consumers with a hashed key each; another configuration in each round, so that none is remembered."""
    entries = [
        {
            "username": f"pbx-{number}",
            "api_keys": ["sha256:" + hashlib.sha256(f"key {round_} {number}".encode()).hexdigest()],
            "enabled": True,
        }
        for number in range(consumers)
    ]
    return {**traffic.configuration(merchant_url), "consumers": entries}


def seconds_to_load(consumers: int) -> list[float]:
    """From Kong's StartInstance to the answer, in a plugin server of its own."""
    found = []
    with processes.stub() as merchant, plugin_server(OURS) as server:
        for round_ in range(ROUNDS):
            config = configuration(consumers, merchant, round_)
            start = time.perf_counter()
            start_instance(server.path, OURS, config)
            found.append(time.perf_counter() - start)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.consumers", description=__doc__)
    parser.add_argument("--consumers", type=int, default=10_000)
    options = parser.parse_args()
    found = seconds_to_load(options.consumers)
    print(
        f"{options.consumers} consumers: {statistics.median(found):.2f} s, at most {max(found):.2f} s ({ROUNDS} times)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
