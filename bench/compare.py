"""The same plugin under three plugin servers, side by side; and what each kind of request costs under
ours."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import processes, traffic
from .load import Load, Measurement, Prepared, prepare, start_instance
from .processes import BASELINE, OURS, SERVERS, PluginServer, plugin_server
from .quiet import Patience

CONNECTIONS = (1, 16, 128)
WARM_UP = 0.5
"""Seconds of load before a measurement."""

Report = Callable[[str], object]


@dataclass(frozen=True)
class Result:
    """One server under one load. Times are in milliseconds, memory in megabytes."""

    server: str
    traffic: str
    connections: int
    rate: float
    p50: float
    p99: float
    cpu: float
    """CPU time of the plugin server per request."""
    busy: float
    """CPU time of the plugin server by time: 1.0 is one core."""
    generator_busy: float
    """The same of the load generator: at 1.0, it would be the limit."""
    pdk_calls: float
    rss: float
    disturbed: float
    """Cores that everything else on the machine used meanwhile."""
    ratio: float = 0.0
    """Rate by that of the baseline with as many connections."""


def measure(
    server: PluginServer,
    name: str,
    kind: str,
    load: Load,
    connections: int,
    seconds: float,
    patience: Patience,
) -> Result:
    def once() -> tuple[Measurement, float]:
        before = server.cpu()
        return load.run(seconds), server.cpu() - before

    (run, cpu), disturbed = patience.measure(once)
    if run.unexpected:
        raise RuntimeError(f"{name} gave answers that were not expected: {run.unexpected}")
    return Result(
        server=name,
        traffic=kind,
        connections=connections,
        rate=run.rate,
        p50=run.percentile(0.50) * 1000,
        p99=run.percentile(0.99) * 1000,
        cpu=cpu / run.requests * 1000,
        busy=cpu / run.seconds,
        generator_busy=run.own_cpu / run.seconds,
        pdk_calls=run.pdk_calls / run.requests,
        rss=server.rss() / 1e6,
        disturbed=disturbed,
    )


def compare(rounds: int, seconds: float, patience: Patience, report: Report) -> list[Result]:
    """Accepted messages under every server, in turns, so that what else the machine does meets all alike."""
    measured: dict[tuple[str, int], list[Result]] = {}
    requests = prepare(traffic.accepted())
    with contextlib.ExitStack() as stack:
        merchant = stack.enter_context(processes.stub())
        servers = {name: stack.enter_context(plugin_server(name)) for name in SERVERS}
        configuration = traffic.configuration(merchant)
        instances = {
            name: start_instance(server.path, OURS, configuration) for name, server in servers.items()
        }
        for turn in range(rounds):
            for connections in CONNECTIONS:
                for name, server in servers.items():
                    with _load(server, instances[name], requests, connections) as load:
                        result = measure(server, name, "accepted", load, connections, seconds, patience)
                    measured.setdefault((name, connections), []).append(result)
                    report(f"  round {turn + 1}/{rounds}: {_line(result)}")
    typical = {key: _median(results) for key, results in measured.items()}
    return [
        Result(**{**asdict(result), "ratio": result.rate / typical[BASELINE, connections].rate})
        for (_, connections), result in sorted(typical.items(), key=lambda item: item[0][1])
    ]


def kinds_of_request(rounds: int, seconds: float, patience: Patience, report: Report) -> list[Result]:
    """Our server at 16 connections, with counters here and in Redis, and with requests that are refused."""
    results = []
    with processes.stub() as merchant, processes.redis() as redis:
        here, there = traffic.configuration(merchant), traffic.configuration(merchant, redis)
        everybody_new = prepare(traffic.accepted())
        with plugin_server(OURS) as server:
            for kind, configuration, requests in (
                ("accepted, local counters", here, everybody_new),
                ("accepted, counters in Redis", there, everybody_new),
                ("accepted, 1 000 recipients", here, prepare(traffic.accepted(1000))),
                ("verify", here, prepare(traffic.verify())),
                ("refused: unknown key", here, prepare(traffic.refused_key())),
                ("refused: invalid recipient", here, prepare(traffic.invalid_recipient())),
            ):
                instance = start_instance(server.path, OURS, configuration)
                with _load(server, instance, requests, 16) as load:
                    runs = [measure(server, OURS, kind, load, 16, seconds, patience) for _ in range(rounds)]
                results.append(_median(runs))
                report(f"  {_line(results[-1])}")
    return results


def profile(seconds: float, patience: Patience) -> dict[str, float]:
    """Microseconds of CPU that an accepted message takes, by part of the work (`profiled_server.PARTS`)."""
    with tempfile.TemporaryDirectory() as directory:
        outcome = Path(directory, "samples")
        sampled = ("bench.profiled_server", str(outcome))
        with processes.stub() as merchant, plugin_server(OURS, sampled) as server:
            instance = start_instance(server.path, OURS, traffic.configuration(merchant))
            with _load(server, instance, prepare(traffic.accepted()), 16) as load:
                server.process.send_signal(processes.START_SAMPLING)
                result = measure(server, OURS, "accepted", load, 16, seconds, patience)
        samples: dict[str, Any] = json.loads(outcome.read_text())
    return {
        part: result.cpu * 1000 * count / samples["samples"]
        for part, count in sorted(samples["parts"].items(), key=lambda item: -item[1])
    }


@contextlib.contextmanager
def _load(server: PluginServer, instance: int, requests: Prepared, connections: int) -> Iterator[Load]:
    load = Load(server.path, instance, requests, connections)
    try:
        load.run(WARM_UP)
        yield load
    finally:
        load.close()


def _median(results: list[Result]) -> Result:
    """The result with the median rate, but the median of each other number."""
    rates = statistics.median(result.rate for result in results)
    return Result(
        **{
            **asdict(results[0]),
            **{
                name: statistics.median(getattr(result, name) for result in results)
                for name in ("p50", "p99", "cpu", "busy", "generator_busy", "pdk_calls", "rss", "disturbed")
            },
            "rate": rates,
        }
    )


def _line(result: Result) -> str:
    return (
        f"{result.server}, {result.traffic}, {result.connections} connections: {result.rate:.0f} requests/s, "
        f"p50 {result.p50:.2f} ms, p99 {result.p99:.2f} ms, {result.cpu:.3f} ms CPU, "
        f"{result.disturbed:.2f} cores disturbed"
    )
