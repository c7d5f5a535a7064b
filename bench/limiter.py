"""`python -m bench.limiter`: what the limiter costs alone, and what share of an accepted message that is.

CPU time, of the process that limits and of the Redis server: microseconds a request, the median of several
rounds. For comparison the same script is asked for through redis-py's own client, one request after the
other.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all(select=False)  # the load generator needs epoll

import argparse  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from functools import partial  # noqa: E402

import gevent  # noqa: E402
import redis  # noqa: E402
from yeastar_adapter.limits import RateLimits, RateLimitSettings, RedisSettings, open_limiter  # noqa: E402
from yeastar_adapter.limits.shared_connection import SCRIPT  # noqa: E402

from . import processes  # noqa: E402
from .compare import kinds_of_request  # noqa: E402
from .quiet import Patience  # noqa: E402

RATES = {
    "as shipped: nearly all refused": RateLimits(second=5, minute=300),
    "a second and a minute: all accepted": RateLimits(second=10**6, minute=10**7),
    "all four windows: all accepted": RateLimits(second=10**6, minute=10**7, hour=10**8, day=10**9),
}
SIMULTANEOUS = (1, 16, 128)

Ask = Callable[[RateLimits], object]


@dataclass(frozen=True)
class Cost:
    """Microseconds of CPU a request, here and in the Redis server."""

    limiter: str
    rates: str
    simultaneous: int
    here: float
    in_redis: float


def costs(rounds: int, requests: int, patience: Patience) -> Iterator[Cost]:
    with processes.redis() as port:
        server = redis.Redis(port=port)
        ways = _ways(port, server)
        for name, rates in RATES.items():
            for way, ask in ways.items():
                for simultaneous in SIMULTANEOUS if way == "Redis" else (1,):
                    once = partial(_run, ask, rates, requests, simultaneous, server)
                    runs = [patience.measure(once)[0] for _ in range(rounds)]
                    here, in_redis = (statistics.median(run) for run in zip(*runs, strict=True))
                    yield Cost(way, name, simultaneous, here, in_redis)


def _ways(port: int, server: redis.Redis) -> dict[str, Ask]:
    local = open_limiter(RateLimitSettings(policy="local"))
    shared = open_limiter(RateLimitSettings(redis=RedisSettings(host="127.0.0.1", port=port)))
    script = server.register_script(SCRIPT)

    def through_client(rates: RateLimits) -> object:
        return script(keys=["client"], args=[0, *(number for window in rates.windows for number in window)])

    return {
        "local": lambda rates: local.admit("acme", rates),
        "Redis": lambda rates: shared.admit("acme", rates),
        "Redis, through redis-py's client": through_client,
    }


def _run(
    ask: Ask, rates: RateLimits, requests: int, simultaneous: int, server: redis.Redis
) -> tuple[float, float]:
    each = requests // simultaneous

    def worker() -> None:
        for _ in range(each):
            ask(rates)

    worker()
    in_redis, here = _cpu(server), time.process_time()
    gevent.joinall([gevent.spawn(worker) for _ in range(simultaneous)], raise_error=True)
    here, in_redis = time.process_time() - here, _cpu(server) - in_redis
    return here / (each * simultaneous) * 1e6, in_redis / (each * simultaneous) * 1e6


def _cpu(server: redis.Redis) -> float:
    used = server.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.limiter", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each kind; the median counts")
    parser.add_argument("--requests", type=int, default=10_000, help="requests of one measurement")
    parser.add_argument(
        "--patience", type=float, default=120, help="seconds that may be spent waiting for a quiet machine"
    )
    options = parser.parse_args()
    patience = Patience(options.patience)
    whole = {
        result.traffic: result.cpu * 1000 for result in kinds_of_request(1, 1.0, patience, lambda line: None)
    }
    print(
        f"An accepted message: {whole['accepted, counters in Redis']:.0f} µs with counters in Redis, ", end=""
    )
    print(f"{whole['accepted, local counters']:.0f} µs with local counters.\n")
    print("| limiter | windows | simultaneous | µs a request | of an accepted message | µs in Redis |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for cost in costs(options.rounds, options.requests, patience):
        of = whole["accepted, local counters" if cost.limiter == "local" else "accepted, counters in Redis"]
        in_redis = "–" if cost.limiter == "local" else f"{cost.in_redis:.0f}"
        print(
            f"| {cost.limiter} | {cost.rates} | {cost.simultaneous} | {cost.here:.1f} "
            f"| {cost.here / of:.0%} | {in_redis} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
