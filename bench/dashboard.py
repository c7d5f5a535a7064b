"""Fills the dashboard with a run of good and bad minutes, and draws it.

    python -m bench.dashboard --record DIR --out docs/images/dashboard.png

The run needs Prometheus on PATH. It starts a FutureSMS stand-in, a Redis server and an embedded gateway, all on
loopback, or takes a gateway that runs already (a real Kong), into which it loads its own configuration:

    python -m bench.dashboard --record DIR --proxy-url http://127.0.0.1:8000 --admin-url http://127.0.0.1:8001 \\
        --kong-metrics http://127.0.0.1:8007/metrics --gateway-name 'Kong 3.9.1'

`--draw DIR` draws a recorded run once more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tests.harness.gateway import EmbeddedGateway, Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Journal, Pbx
from tests.harness.redis import RedisServer
from tests.harness.stub import SENDS, StubServer

from .grafana import Variables, panels, read
from .prometheus import Prometheus, QueryError

SCRAPE_SECONDS = 5.0
REPORTS = "/api/v1/integration/yeastar/sms/reports/"
PROMETHEUS_PLUGIN = {
    "name": "prometheus",
    "config": {"per_consumer": True, "status_code_metrics": True, "latency_metrics": True},
}

KEYS = {name: f"ystr_bench_{name.replace('-', '_')}_7Jw2pVqX9sKd4nBt" for name in (
    "acme-manila", "globex-cebu", "hooli-baguio", "initech-davao", "stark-makati", "umbrella-iloilo"
)}  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """A PBX that sends so many messages a second; a share of them to a number that does not exist."""

    name: str
    rate: float
    wrong: float = 0.0
    key: str | None = None
    begins: float = 0.0
    """Parts of the run: 0 its beginning, 1 its end."""
    ends: float = 1.0


CALLERS = (
    Caller("acme-manila", 6.0),
    Caller("globex-cebu", 2.0),
    Caller("hooli-baguio", 3.0, begins=0.08),
    Caller("initech-davao", 1.5),
    Caller("stark-makati", 0.4),
    Caller("umbrella-iloilo", 2.0, wrong=0.25),
    Caller("a stranger", 1.0, key="ystr_guess_of_a_stranger_00000000", begins=0.45, ends=0.60),
)


# By the last digit of the recipient.
UNREACHED = {"1": "UNDELIV", "2": "EXPIRED", "3": "REJECTD"}

LOAD = sum(caller.rate * (caller.ends - caller.begins) for caller in CALLERS)
"""Requests a second, on average."""


def configuration(stub_url: str, redis: dict[str, Any], listen: str, public_url: str) -> KongYml:
    """kong.yml with the callers' consumers: hooli-baguio may send one a second, stark-makati is disabled.

    FutureSMS sends its delivery reports to `public_url`.
    """
    kong_yml = KongYml.read()
    kong_yml.use_upstream(stub_url)
    kong_yml.service["read_timeout"] = 2000
    kong_yml.use_redis(redis)
    kong_yml.resolve_vaults()
    kong_yml.limit()
    # Shorter than the pause that a limit of one a second wants: hooli-baguio is refused, and does not only wait.
    kong_yml.config["rate_limit"]["max_wait_ms"] = 200
    kong_yml["consumers"], kong_yml.config["consumers"] = [], []
    for name, key in KEYS.items():
        kong_yml.add_pbx(name, key, sender_id="SID-1001", rate_limit={"second": 50})
    kong_yml.entry("hooli-baguio")["rate_limit"] = {"second": 1}
    kong_yml.entry("stark-makati")["enabled"] = False
    kong_yml.config["metrics"] = {"listen": listen}
    secret = "bench-secret-0123456789abcdefghij"
    kong_yml.config["delivery_reports"] = {"enabled": True, "public_url": public_url, "secret": secret}
    route = {**kong_yml.service["routes"][0], "name": "yeastar-reports", "paths": [f"~{REPORTS}"]}
    kong_yml.service["routes"].append(route)
    kong_yml["plugins"] = [PROMETHEUS_PLUGIN]
    return kong_yml


class Run:
    """A gateway with everything around it, and what is done to it."""

    def __init__(self, directory: Path, options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        self.stub = StubServer(directory)
        stack.callback(self.stub.stop)
        self.redis = RedisServer(directory)
        stack.callback(self.redis.stop)
        self.listen = f"127.0.0.1:{_free_port()}"
        # Over plain HTTP, on this machine.
        self.stub.report(https_only=False, allow_private=True, statuses={})
        redis = self.redis.settings()
        self.kong_yml = configuration(
            self.stub.url, redis, self.listen, options.proxy_url or "http://127.0.0.1:9"
        )
        probe = f"{self.stub.url}/__stub__/status"
        if options.proxy_url:
            self.gateway = Gateway(options.proxy_url, options.admin_url, probe)
            self.kong_metrics = options.kong_metrics
        else:
            embedded = EmbeddedGateway(directory, self.kong_yml, probe_url=probe)
            stack.callback(embedded.stop)
            self.gateway, self.kong_metrics = embedded, f"{embedded.admin_url}/metrics"
            # Its port is known now, and reports can find it.
            self.kong_yml = configuration(self.stub.url, redis, self.listen, embedded.proxy_url)
        self.gateway.load(self.kong_yml)

    @property
    def jobs(self) -> dict[str, str]:
        return {"kong": self.kong_metrics, "yeastar-adapter": f"http://{self.listen}/metrics"}

    def timeline(self) -> tuple[tuple[float, str, Callable[[], object]], ...]:
        """(part of the run, what it is, what is done)."""
        stub = self.stub
        return (
            (0.16, "initech-davao is given a sender that is not authorised", self._spoil_sender),
            (0.24, "FutureSMS answers 503", lambda: stub.behave(path=SENDS, status=503, times=None)),
            (0.31, "FutureSMS is well", stub.behave_well),
            (0.38, "FutureSMS takes 900 ms", lambda: stub.behave(path=SENDS, delay_ms=900, times=None)),
            (0.45, "FutureSMS is well", stub.behave_well),
            (0.47, "a third of the recipients cannot be reached", lambda: stub.report(statuses=UNREACHED)),
            (0.51, "FutureSMS hangs up", lambda: stub.behave(path=SENDS, drop_connection=True, times=None)),
            (0.56, "FutureSMS is well", stub.behave_well),
            (0.60, "all recipients can be reached", lambda: stub.report(statuses={})),
            (0.62, "Redis is killed", self.redis.kill),
            (0.66, "and no request may go uncounted (fault_tolerant: false)", lambda: self._tolerate(False)),
            (0.70, "Redis is there again", self.redis.start),
            (0.72, "fault_tolerant: true", lambda: self._tolerate(True)),
            *((0.76 + 0.008 * n, "the plugin server is killed", self._kill_plugin_server) for n in range(6)),
            (0.86, "FutureSMS has another password", self._change_password),
            (
                0.92,
                "and the old one again",
                lambda: stub.merchant("yeastar-gateway", password="stub-password"),
            ),
        )

    def _spoil_sender(self) -> None:
        self.kong_yml.entry("initech-davao")["sender_id"] = "AUTO"
        self.gateway.load(self.kong_yml)

    def _tolerate(self, tolerant: bool) -> None:
        self.kong_yml.config["rate_limit"]["fault_tolerant"] = tolerant
        self.gateway.load(self.kong_yml)

    def _change_password(self) -> None:
        self.stub.merchant("yeastar-gateway", password="another-password")
        self.stub.revoke_tokens()

    def _kill_plugin_server(self) -> None:
        """Whoever serves the metrics."""
        port = int(self.listen.rpartition(":")[2])
        for connection in psutil.net_connections("tcp"):
            serves = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if serves and connection.pid is not None:
                psutil.Process(connection.pid).kill()


def call(caller: Caller, proxy_url: str, start: float, seconds: float, journal: Journal) -> None:
    """Send a caller's messages until the run is over."""
    pbx = Pbx(proxy_url, key=caller.key or KEYS[caller.name], journal=journal, timeout=20)
    chance = random.Random(caller.name)
    due = start + caller.begins * seconds
    while due < start + caller.ends * seconds:
        late = time.monotonic() - due
        time.sleep(max(0.0, -late))
        # What an answer that was slow in coming held up is not made up for: the rate is what a PBX sends at most.
        due += max(0.0, late) + chance.expovariate(caller.rate)
        prefix = "0917" if chance.random() < caller.wrong else "+63917"
        number = prefix + "".join(chance.choices("123456789", k=7))
        # A killed plugin server or a dropped connection is what this run is about.
        with contextlib.suppress(OSError, AssertionError):
            pbx.send(to=number)


def record(directory: Path, seconds: float, options: argparse.Namespace) -> None:
    """Run the load and its mishaps under the eyes of a Prometheus server, whose data stays in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        run = Run(directory, options, stack)
        prometheus = Prometheus(directory / "prometheus", run.jobs, SCRAPE_SECONDS)
        stack.callback(prometheus.stop)
        journal = Journal()
        began, start = time.time(), time.monotonic()
        threads = [
            threading.Thread(target=call, args=(caller, run.gateway.proxy_url, start, seconds, journal))
            for caller in CALLERS
        ]
        for thread in threads:
            thread.start()
        happened = []
        for part, what, action in run.timeline():
            time.sleep(max(0.0, start + part * seconds - time.monotonic()))
            print(f"{part * seconds:5.0f} s  {what}", file=sys.stderr, flush=True)
            happened.append((time.time(), what))
            action()
        for thread in threads:
            thread.join()
        time.sleep(2 * SCRAPE_SECONDS)
        facts = {
            "start": began,
            "end": time.time(),
            "gateway": options.gateway_name,
            "answers": journal.seen,
            "outside the contract": journal.outside[:5],
            "happened": happened,
        }
        (directory / "run.json").write_text(json.dumps(facts, indent=2))
        print(
            json.dumps({name: facts[name] for name in ("answers", "outside the contract")}), file=sys.stderr
        )


@contextlib.contextmanager
def recorded(directory: Path) -> Iterator[tuple[Prometheus, dict[str, Any]]]:
    """A Prometheus server that has the data of a recorded run, and the run's facts."""
    facts = json.loads((directory / "run.json").read_text())
    prometheus = Prometheus(directory / "prometheus", {})
    try:
        yield prometheus, facts
    finally:
        prometheus.stop()


def variables(start: float, end: float) -> Variables:
    """The dashboard's, with everything chosen."""
    named = {"route": "yeastar-sms", "consumer": ".*", "datasource": "prometheus"}
    return Variables(SCRAPE_SECONDS, end - start, named)


def check(prometheus: Prometheus, facts: dict[str, Any]) -> list[str]:
    """Ask every query of the dashboard over the time of the run; what is wrong or empty, by panel."""
    start, end = facts["start"], facts["end"]
    found = []
    for panel in panels(read()):
        for target in panel.targets:
            expression = variables(start, end).fill_in(target.expression)
            try:
                series = prometheus.query_range(expression, start, end, 10)
            except QueryError as problem:
                found.append(f"{panel.title}: {problem}")
                continue
            if not series:
                found.append(f"{panel.title}: {target.legend or target.ref}: nothing")
    return found


def draw(directory: Path, out: Path) -> list[str]:
    """Draw a recorded run. Returns what `check` says."""
    from .picture import draw as draw_dashboard

    with recorded(directory) as (prometheus, facts):
        start, end = facts["start"], facts["end"]
        day = datetime.fromtimestamp(start, timezone.utc).strftime("%Y-%m-%d")
        note = (
            f"Drawn with matplotlib from the panels' own queries, in Grafana's places and colours; not a picture of "
            f"Grafana itself. {facts['gateway']} and Prometheus under a load of {LOAD:.0f} requests/s with faults "
            f"switched on and off, {day} (UTC), scraped every {SCRAPE_SECONDS:.0f} s."
        )
        problems = check(prometheus, facts)
        out.parent.mkdir(parents=True, exist_ok=True)
        draw_dashboard(prometheus, variables(start, end), (start, end), (note, facts["happened"]), out)
    return problems


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.dashboard", description=__doc__.partition("\n")[0])
    parser.add_argument("--record", type=Path, metavar="DIR", help="where the run's data goes")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="a recorded run")
    parser.add_argument("--out", type=Path, default=Path("docs/images/dashboard.png"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--proxy-url")
    parser.add_argument("--admin-url")
    parser.add_argument("--kong-metrics", metavar="URL")
    parser.add_argument("--gateway-name", default="The embedded gateway")
    options = parser.parse_args(arguments)
    if not (options.record or options.draw):
        parser.error("give --record DIR, --draw DIR, or both")
    if options.record:
        record(options.record, options.minutes * 60, options)
    problems = draw(options.draw or options.record, options.out)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(options.out)
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
