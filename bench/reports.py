"""`python -m bench.reports`: ten thousand messages, a third undelivered, each reported twice, and two nodes.

In the middle the plugin server of one node is killed, and the other node with everything. At the end what FutureSMS
(the stub) was answered 200 for and what Prometheus has must be the same.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.harness.gateway import EmbeddedGateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Journal, Pbx
from tests.harness.redis import RedisServer
from tests.harness.secrets import Secrets
from tests.harness.stub import StubServer

from .prometheus import Prometheus

COUNTED = "sum by (status) (max by (consumer, status, counted_in) (yeastar_adapter_delivery_reports_total))"
REPORTS = "/api/v1/integration/yeastar/sms/reports/"
_SENDERS = 4


def main() -> int:
    parser = argparse.ArgumentParser(description="Count delivery reports at FutureSMS and in Prometheus.")
    parser.add_argument("--messages", type=int, default=10_000)
    with tempfile.TemporaryDirectory(prefix="kong-") as directory:
        found = run(Path(directory), parser.parse_args().messages)
    print(json.dumps(found, indent=2))
    return 0 if found["agree"] else 1


def run(directory: Path, messages: int) -> dict[str, object]:
    """The run; `agree` is what it is about."""
    for name in ("redis", "stub", "prometheus"):
        (directory / name).mkdir()
    redis, stub = RedisServer(directory / "redis"), StubServer(directory / "stub")
    stub.report(https_only=False, allow_private=True, charge_ms=0, delay_ms=500, retry_ms=2000, repeat=1)
    stub.report(statuses={"1": "UNDELIV", "2": "EXPIRED", "3": "REJECTD"})
    # A plugin server that is started again has to be found at the same address.
    listen = {name: f"127.0.0.1:{_free_port()}" for name in ("staying", "leaving")}
    probe = f"{stub.url}/__stub__/status"
    first = _kong_yml(stub, redis, "http://127.0.0.1:9", listen["staying"])
    staying = EmbeddedGateway(directory / "staying", first, probe_url=probe)
    public_url = staying.proxy_url
    staying.load(_kong_yml(stub, redis, public_url, listen["staying"]))
    second = _kong_yml(stub, redis, public_url, listen["leaving"])
    leaving = EmbeddedGateway(directory / "leaving", second, probe_url=probe)
    prometheus = None
    try:
        jobs: dict[str, str] = {}
        for name, gateway in (("staying", staying), ("leaving", leaving)):
            Pbx(gateway.proxy_url, journal=Journal(), secrets=Secrets()).verify()
            jobs[name] = f"http://{listen[name]}/metrics"
        prometheus = Prometheus(directory / "prometheus", jobs, scrape_seconds=1)
        begin = time.monotonic()
        accepted = _send(messages, staying, leaving)
        seconds = time.monotonic() - begin
        wait_until(lambda: stub.reports()["waiting"] == 0, 120, "the reports to be done")
        counts = stub.reports()["counts"]
        stored = {key.split()[1]: n for key, n in counts.items() if key.startswith("stored ")}
        counted = _counted(prometheus, stored)
        return {
            "messages": messages,
            "seconds": round(seconds, 1),
            "answered 200 to the PBX": accepted,
            "orders": stub.status()["orders"],
            "reports": counts,
            "prometheus": counted,
            "agree": counted == stored,
        }
    finally:
        if prometheus is not None:
            prometheus.stop()
        for gateway in (staying, leaving):
            if gateway.alive:
                gateway.stop()
        stub.stop()
        redis.stop()


def _send(messages: int, staying: EmbeddedGateway, leaving: EmbeddedGateway) -> int:
    """Send from several threads, with the two incidents on the way. Returns how many were answered 200."""
    numbers = iter(range(messages))
    lock = threading.Lock()
    accepted = 0

    def send() -> None:
        nonlocal accepted
        pbxs = [Pbx(one.proxy_url, journal=Journal(), secrets=Secrets()) for one in (staying, leaving)]
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            pbx = pbxs[number % 2 if leaving.alive else 0]
            # Refused while a node is away: as the PBX's user would, again.
            while not _is_sent(pbx, f"+63917{number:06d}{number % 9 + 1}"):
                pbx = pbxs[0]
                time.sleep(0.1)
            with lock:
                accepted += 1
            if number == messages // 3:
                staying.kill_plugin_server()
            elif number == 2 * messages // 3:
                leaving.kill()

    threads = [threading.Thread(target=send) for _ in range(_SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return accepted


def _is_sent(pbx: Pbx, recipient: str) -> bool:
    try:
        return pbx.send(to=recipient).status == 200
    except OSError:
        return False  # the node that has just gone


def _counted(prometheus: Prometheus, stored: dict[str, int]) -> dict[str, int]:
    """What Prometheus has; waits for the scrapes that are still to come."""

    def read() -> dict[str, int]:
        return {labels["status"]: int(value) for labels, value in prometheus.query(COUNTED)}

    end = time.monotonic() + 20
    while read() != stored and time.monotonic() < end:
        time.sleep(1)
    return read()


def _kong_yml(stub: StubServer, redis: RedisServer, public_url: str, listen: str) -> KongYml:
    kong_yml = KongYml.read()
    kong_yml.use_upstream(stub.url)
    kong_yml.use_redis(redis.settings())
    kong_yml.resolve_vaults()
    kong_yml.limit()
    kong_yml.config["metrics"] = {"listen": listen}
    secret = "bench-secret-0123456789abcdefghij"
    kong_yml.config["delivery_reports"] = {"enabled": True, "public_url": public_url, "secret": secret}
    [service] = kong_yml["services"]
    route = {**service["routes"][0], "name": "yeastar-reports", "paths": [f"~{REPORTS}"]}
    service["routes"].append(route)
    return kong_yml


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
