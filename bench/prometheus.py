"""A Prometheus server of one's own on loopback: it scrapes what it is told to, and answers queries."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from kong.embedded.child import Child

ROOT = Path(__file__).parent.parent
RULES = ROOT / "observability" / "alerts.yml"

Sample = tuple[dict[str, str], float]
Series = tuple[dict[str, str], list[tuple[float, float]]]


class QueryError(Exception):
    """Prometheus refuses a query."""


def is_installed() -> bool:
    return shutil.which("prometheus") is not None


class Prometheus:
    """A running server. `jobs`: job name → `http://HOST:PORT/metrics`; none: it answers of what `directory` has."""

    def __init__(self, directory: Path, jobs: Mapping[str, str], scrape_seconds: float = 5) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        interval = f"{scrape_seconds * 1000:.0f}ms"
        configuration = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [str(RULES)] if jobs else [],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [address]}]}
                for job, address in ((job, url.split("/")[2]) for job, url in jobs.items())
            ],
        }
        path = directory / "prometheus.json"  # JSON is YAML
        path.write_text(json.dumps(configuration))
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._child = Child(
            "prometheus",
            [
                "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={directory / 'data'}",
                "--storage.tsdb.retention.time=10y",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            log=directory / "prometheus.log",
        )
        self._child.wait_for("Server is ready to receive web requests", 60)

    def stop(self) -> None:
        self._child.stop()

    def query(self, expression: str, time: float | None = None) -> list[Sample]:
        """The vector that an expression is at a time (default: now); a scalar has no labels. Raises QueryError."""
        found = self._ask("query", query=expression, time=time)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in found["result"]]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """(labels, [(time, value), …]) of each series. Raises QueryError."""
        found = self._ask("query_range", query=expression, start=start, end=end, step=step)
        return [
            (row["metric"], [(at, float(value)) for at, value in row["values"]]) for row in found["result"]
        ]

    def targets(self) -> dict[str, str]:
        """Job → health of its target: `up`, `down`, `unknown`."""
        found = self._ask("targets", state="active")["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in found}

    def _ask(self, what: str, **parameters: Any) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=60)
        found = answer.json()
        if found["status"] != "success":
            raise QueryError(f"{found['error']}: {parameters.get('query')}")
        return found["data"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
