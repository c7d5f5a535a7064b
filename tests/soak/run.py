"""One run: everything started, the load sent, the incidents brought about, the balance drawn."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.harness.gateway import EmbeddedGateway, Gateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.redis import RedisServer
from tests.harness.stub import StubServer

from .footprint import Footprint
from .incidents import Stage
from .ledger import Balance, Ledger
from .load import Load, Sent

CALIBRATION_SECONDS = 10.0
RECOVERY_SECONDS = 10.0
"""So long after an incident failures count as its own."""


@dataclass(frozen=True)
class Options:
    """`seconds` of load; where there is a gateway already, its addresses, and how it is killed and reloaded."""

    seconds: float
    proxy_url: str | None = None
    admin_url: str | None = None
    prefix: Path | None = None
    kill_command: str | None = None
    reload_command: str | None = None
    declared: Path | None = None
    """The file that it reads its configuration from when it is reloaded."""


@dataclass(frozen=True)
class Outcome:
    rate: float
    seconds: float
    balance: Balance
    incidents: list[tuple[float, str]]
    """When each was brought about, in seconds since the start."""
    sent: list[Sent]
    samples: list[dict[str, float]]

    def summary(self) -> dict[str, Any]:
        """Counts, latencies in milliseconds, and what failed away from any incident."""
        answered = sorted(sent.seconds * 1000 for sent in self.sent if sent.status)
        calm = sorted(sent.seconds * 1000 for sent in self.sent if sent.status and not self._near(sent.due))
        failed_in_calm = sum(sent.status in (0, 500) for sent in self.sent if not self._near(sent.due))
        return {
            "rate": self.rate,
            "seconds": self.seconds,
            **asdict(self.balance),
            "failed": sum(sent.status in (0, 500) for sent in self.sent),
            "failed away from incidents": failed_in_calm,
            "milliseconds": _percentiles(answered),
            "milliseconds away from incidents": _percentiles(calm),
        }

    def as_json(self) -> dict[str, Any]:
        """What the picture is drawn from: a row for each second."""
        rows: dict[int, list[Sent]] = {}
        for sent in self.sent:
            rows.setdefault(int(sent.due), []).append(sent)
        seconds = []
        for second, those in sorted(rows.items()):
            times = sorted(each.seconds * 1000 for each in those)
            seconds.append(
                {
                    "second": second,
                    "accepted": sum(each.status == 200 for each in those),
                    "refused": sum(each.status in (400, 401) for each in those),
                    "failed": sum(each.status in (0, 500) for each in those),
                    "p50": round(times[len(times) // 2], 2),
                    "p99": round(times[int(len(times) * 0.99)], 2),
                    "max": round(times[-1], 2),
                }
            )
        return {
            "summary": self.summary(),
            "incidents": self.incidents,
            "seconds": seconds,
            "samples": self.samples,
        }

    def _near(self, second: float) -> bool:
        return any(at - 1 <= second <= at + RECOVERY_SECONDS for at, _ in self.incidents)


def capacity(directory: Path, options: Options) -> float:
    """Requests a second that are answered when more are sent than can be."""
    with _stage(directory / "capacity", options) as stage:
        load = Load(stage.gateway.proxy_url, 5000)
        start = time.monotonic()
        threading.Timer(CALIBRATION_SECONDS, load.stop).start()
        asyncio.run(load.run(CALIBRATION_SECONDS))
        return len(load.sent) / (time.monotonic() - start)


def run(directory: Path, options: Options, rate: float, say: Callable[[str], object]) -> Outcome:
    """Raises AssertionError where the balance does not come out."""
    with _stage(directory / "run", options) as stage:
        load, ledger = Load(stage.gateway.proxy_url, rate), Ledger(stage.stub)
        footprint = Footprint(_prefix(stage.gateway, options))
        happened: list[tuple[float, str]] = []
        failures: list[BaseException] = []

        def bring_about() -> None:
            start = time.monotonic()
            for incident in stage.incidents():
                wait = incident.moment * options.seconds - (time.monotonic() - start)
                if stopped.wait(max(wait, 0)):
                    return
                happened.append((round(time.monotonic() - start, 1), incident.name))
                say(f"{happened[-1][0]:6.0f} s  {len(load.sent):8} requests  {incident.name}")
                try:
                    incident.act()
                except BaseException as failure:
                    failures.append(failure)
                    load.stop()
                    raise

        stopped = threading.Event()
        incidents = threading.Thread(target=bring_about, name="incidents", daemon=True)
        ledger.start()
        footprint.start()
        incidents.start()
        try:
            asyncio.run(load.run(options.seconds))
        finally:
            stopped.set()
            incidents.join(60)
            footprint.close()
        if failures:
            raise failures[0]
        wait_until(lambda: _is_settled(footprint), 120, "no event left open in the plugin server")
        ledger.close()
        samples = [*footprint.as_rows(), *(asdict(last) for last in [footprint.look()] if last)]
        return Outcome(rate, options.seconds, Balance.of(load, ledger), happened, load.sent, samples)


@contextmanager
def _stage(directory: Path, options: Options) -> Iterator[Stage]:
    directory.mkdir()
    with contextlib.ExitStack() as stack:
        stub, redis = StubServer(directory), RedisServer(directory)
        stack.callback(stub.stop)
        stack.callback(redis.stop)
        kong_yml = KongYml.read()
        kong_yml.use_upstream(stub.url)
        kong_yml.use_redis(redis.settings())
        kong_yml.resolve_vaults()
        kong_yml.limit(second=100_000, minute=1_000_000, hour=10_000_000)
        kong_yml.config["rate_limit"]["policy"] = "redis"
        # A line for each refusal of a load's is no news.
        kong_yml.config["log"] = {"level": "warning"}
        probe = f"{stub.url}/__stub__/status"
        gateway: Gateway
        if options.proxy_url and options.admin_url:
            gateway = Gateway(options.proxy_url, options.admin_url, probe)
            gateway.load(kong_yml)
            if options.declared is not None:
                options.declared.write_text(kong_yml.as_json())
        else:
            gateway = EmbeddedGateway(directory / "gateway", kong_yml, probe_url=probe)
            stack.callback(gateway.stop)
        yield Stage(gateway, stub, redis, kong_yml, options.kill_command, options.reload_command)


def _prefix(gateway: Gateway, options: Options) -> Path:
    if isinstance(gateway, EmbeddedGateway):
        return gateway.prefix
    return options.prefix or Path("/nowhere")


def _is_settled(footprint: Footprint) -> bool:
    sample = footprint.look()
    return sample is None or sample.open_events == 0


def _percentiles(milliseconds: list[float]) -> dict[str, float]:
    if not milliseconds:
        return {}
    last = len(milliseconds) - 1
    found = {f"p{share:g}": milliseconds[int(last * share / 100)] for share in (50, 90, 99, 99.9)}
    found |= {"max": milliseconds[-1], "mean": statistics.fmean(milliseconds)}
    return {name: round(value, 1) for name, value in found.items()}
