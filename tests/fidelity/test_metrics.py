"""The metrics of the bundled plugin prometheus: names, labels and buckets as Kong writes them."""

from __future__ import annotations

import http.client
import re
from pathlib import Path

from tests.fidelity.recording import PATIENCE, ReplayGateway
from tests.fidelity.upstream import ANSWER_HEADERS, Upstream

_KONG_YML = r"""
_format_version: "3.0"
consumers: [{username: "ac\"me", keyauth_credentials: [{key: k}]}]
services:
  - name: s
    url: "http://127.0.0.1:PORT"
    routes:
      - name: all
        paths: [/all]
        plugins:
          - {name: key-auth, config: {}}
          - name: prometheus
            config: {per_consumer: true, status_code_metrics: true, latency_metrics: true, bandwidth_metrics: true}
      - name: no-consumer
        paths: [/no-consumer]
        plugins:
          - {name: key-auth, config: {}}
          - {name: prometheus, config: {status_code_metrics: true}}
  - url: "http://127.0.0.1:PORT"
    routes:
      - {name: nothing, paths: [/nothing], plugins: [{name: prometheus, config: {}}]}
      - name: ended
        paths: [/ended]
        plugins:
          - {name: prometheus, config: {status_code_metrics: true, latency_metrics: true}}
          - {name: request-termination, config: {}}
"""
# What Kong 3.9.1 has after one request to each route, where key-auth is with the key, and two more.
_COUNTED = r"""
kong_bandwidth_bytes{service="s",route="all",direction="egress",workspace="default",consumer=""} N
kong_bandwidth_bytes{service="s",route="all",direction="egress",workspace="default",consumer="ac\"me"} N
kong_bandwidth_bytes{service="s",route="all",direction="ingress",workspace="default",consumer=""} N
kong_bandwidth_bytes{service="s",route="all",direction="ingress",workspace="default",consumer="ac\"me"} N
kong_http_requests_total{service="127.0.0.1",route="ended",code="503",source="kong",workspace="default",consumer=""} 1
kong_http_requests_total{service="s",route="all",code="202",source="service",workspace="default",consumer="ac\"me"} 1
kong_http_requests_total{service="s",route="all",code="401",source="kong",workspace="default",consumer=""} 1
kong_http_requests_total{service="s",route="no-consumer",code="202",source="service",workspace="default",consumer=""} 1
kong_http_requests_total{service="s",route="no-consumer",code="502",source="kong",workspace="default",consumer=""} 1
kong_kong_latency_ms_count{service="127.0.0.1",route="ended",workspace="default"} 1
kong_kong_latency_ms_count{service="s",route="all",workspace="default"} 2
kong_request_latency_ms_count{service="127.0.0.1",route="ended",workspace="default"} 1
kong_request_latency_ms_count{service="s",route="all",workspace="default"} 2
kong_upstream_latency_ms_count{service="s",route="all",workspace="default"} 1
"""
_WAITS = (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000)
_WORK = (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)
_BUCKETS = {
    "kong_kong_latency_ms": _WORK,
    "kong_request_latency_ms": _WAITS,
    "kong_upstream_latency_ms": _WAITS,
}
_BUCKET = re.compile(r'(kong_\w+_latency_ms)_bucket\{service="s",route="all",workspace="default",le="(.+)"\}')


def _metrics(tmp_path: Path) -> str:
    with (
        Upstream(b'{"ok":true}', ANSWER_HEADERS, slow_seconds=1) as upstream,
        ReplayGateway(tmp_path, _KONG_YML.replace("PORT", str(upstream.port)), "accepting_plugin") as gateway,
    ):
        for path, headers in (
            ("/all", {"apikey": "k"}),
            ("/all", {}),
            ("/no-consumer", {"apikey": "k"}),
            ("/no-consumer", {"apikey": "k", "X-Up": "drop"}),
            ("/nothing", {}),
            ("/ended", {}),
        ):
            with gateway.connection() as connection:
                connection.request("POST", path, headers=headers)
                connection.getresponse().read()
        admin = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=PATIENCE)
        admin.request("GET", "/metrics")
        text = admin.getresponse().read().decode()
        admin.close()
        return text


def test_metrics_are_those_of_kong(tmp_path: Path) -> None:
    text = _metrics(tmp_path)
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    counted = [
        re.sub(r" \d+$", " N", line) if "bandwidth" in line else line
        for line in samples
        if not re.match(r"kong_(node_info|\w+_(bucket|sum)\{)", line)
    ]
    assert sorted(counted) == sorted(_COUNTED.strip().splitlines())
    found: dict[str, list[str]] = {}
    for line in samples:
        if bucket := _BUCKET.match(line):
            found.setdefault(bucket[1], []).append(bucket[2])
    assert found.keys() == _BUCKETS.keys()
    for name, bounds in found.items():
        # a bucket without a request is not written
        assert bounds == [*map(str, _BUCKETS[name]), "+Inf"][-len(bounds) :]
